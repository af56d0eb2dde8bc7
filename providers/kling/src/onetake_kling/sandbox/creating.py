"""Creating tasks: reading a body as strictly as the vendor does, no more."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onetake.sandbox import Sandbox, SandboxTask
from onetake.sandbox.media.film import Film, frame_size, ratio_of
from onetake.sandbox.media.motion import read_motion
from onetake.sandbox.store import DuplicateExternalId
from onetake.sandbox.tasks import outcome_of, seconds_of
from onetake_kling.sandbox import prices
from onetake_kling.sandbox.answers import Refusal, invalid
from onetake_kling.sandbox.pictures import keep, picture_fault
from onetake_kling.sandbox.rules import (
    DEFAULT_OLD,
    NEW,
    OLD,
    RATIOS,
    VERSIONS,
    NewModel,
    OldModel,
)

FPS = 24


@dataclass(frozen=True)
class Order:
    """What a valid body asks for."""

    endpoint: str
    model: str
    mode: str
    generation: str
    prompt: str
    resolution: str
    ratio: str
    seconds: int
    audio: bool
    first: str | None
    last: str | None
    external_id: str | None
    watermark: bool


def new_order(task: str, model: str, body: Mapping[str, Any]) -> Order:
    """Read a body of the new API.

    Raises:
        Refusal: as the vendor words it.
    """
    rules = NEW.get(model)
    if rules is None:
        raise invalid("model is not supported")
    settings, options = _object(body, "settings"), _object(body, "options")
    prompt, first, last = _new_inputs(task, body, rules)
    if len(prompt) > rules.prompt:
        raise invalid(f"prompt length must not exceed {rules.prompt}")
    resolution = settings.get("resolution") or "720p"
    if resolution not in rules.resolutions:
        raise _not_among("settings.resolution", resolution, rules.resolutions)
    ratio = settings.get("aspect_ratio") or "16:9"
    if task == "text-to-video" and ratio not in RATIOS:
        raise _not_among("settings.aspect_ratio", ratio, RATIOS)
    audio = settings.get("audio") or "off"
    if rules.audio and audio not in rules.audio:
        raise invalid(f"settings.audio value '{audio}' is invalid")
    native = rules.always_audio or (bool(rules.audio) and audio == "native")
    _check_1080p(rules, resolution, native=native and not rules.always_audio, last=last)
    return Order(
        endpoint=f"/{task}/{model}",
        model=model,
        mode="",
        generation="new",
        prompt=prompt,
        resolution=resolution,
        ratio=ratio,
        seconds=_seconds("settings.duration", settings.get("duration") or 5, rules.durations),
        audio=native,
        first=first,
        last=last,
        external_id=options.get("external_task_id") or None,
        watermark=bool(_object(options, "watermark_info").get("enabled")),
    )


def _new_inputs(
    task: str, body: Mapping[str, Any], rules: NewModel
) -> tuple[str, str | None, str | None]:
    if task == "text-to-video":
        prompt = body.get("prompt")
        if not isinstance(prompt, str) or not prompt.strip():
            raise invalid("prompt cannot be empty")
        return prompt, None, None
    contents = body.get("contents")
    if contents is None or contents == []:
        raise invalid("contents cannot be empty")
    if not isinstance(contents, list):
        raise invalid("contents value type is invalid, expected array")
    found: dict[str, str] = {}
    for number, item in enumerate(contents):
        _content(number, item, found)
    if "first_frame" not in found:
        raise invalid("contents must include at least one first_frame item")
    if "last_frame" in found and not rules.last_frame:
        raise invalid("Image tail is not supported by the current model")
    return found.get("prompt", ""), found["first_frame"], found.get("last_frame")


def _content(number: int, item: Any, found: dict[str, str]) -> None:
    """Read one item of ``contents`` into ``found``."""
    kind = item.get("type") if isinstance(item, dict) else None
    if kind == "prompt":
        message = "content item of type 'prompt' must have non-blank text"
        found["prompt"] = _text(item, "text", message)
    elif kind in ("first_frame", "last_frame"):
        message = f"content item of type '{kind}' must have a non-blank url"
        found[kind] = _text(item, "url", message)
    elif kind not in ("element", "voice", "image", "video"):
        raise invalid(f"contents[{number}].type value '{kind}' is invalid")


def _check_1080p(rules: NewModel, resolution: str, *, native: bool, last: str | None) -> None:
    if native and rules.native_1080p and resolution != "1080p":
        raise invalid("settings.audio value 'native' is only supported with resolution 1080p")
    if last is not None and rules.last_frame_1080p and resolution != "1080p":
        raise invalid("last_frame is only supported with resolution 1080p")
    if last is not None and native and rules.native_1080p:
        raise invalid("last_frame is not supported with audio 'native'")


def old_order(task: str, body: Mapping[str, Any], *, allow_discontinued: bool) -> Order:
    """Read a body of the old API.

    Raises:
        Refusal: as the vendor words it.
    """
    name = body.get("model_name") or DEFAULT_OLD
    rules = OLD.get(name)
    if rules is None or task not in rules.tasks:
        raise invalid(f"model_name value '{name}' is invalid")
    if rules.discontinued and not allow_discontinued:
        raise invalid(f"The model '{name}' has been discontinued and is no longer available.")
    mode = _old_mode(body, name, rules)
    _old_features(body, rules)
    seconds = _seconds("duration", body.get("duration") or "5", rules.durations)
    first, last = _old_frames(task, body, name, rules, mode, seconds)
    prompt = _old_prompt(task, body)
    sound = _old_sound(body, rules, mode, last)
    _old_scale(body, rules)
    ratio = body.get("aspect_ratio") or "16:9"
    if task == "text2video" and ratio not in RATIOS:
        raise invalid(
            f"aspect_ratio value '{ratio}' is invalid, allowed values: {', '.join(RATIOS)}"
        )
    return Order(
        endpoint=f"/v1/videos/{task}",
        model=name,
        mode=mode,
        generation="old",
        prompt=prompt,
        resolution=rules.resolution_of(mode),
        ratio=ratio,
        seconds=seconds,
        audio=sound,
        first=first,
        last=last,
        external_id=body.get("external_task_id") or None,
        watermark=bool(_object(body, "watermark_info").get("enabled")),
    )


def _old_mode(body: Mapping[str, Any], name: str, rules: OldModel) -> str:
    mode = body.get("mode")
    if not rules.modes:
        return ""
    mode = mode or "std"
    if mode == "4k" and "4k" not in rules.modes:
        raise invalid(f"4k mode is not supported by the current model: {name}")
    if mode not in rules.modes:
        raise invalid(f"mode value '{mode}' is invalid")
    return str(mode)


def _old_features(body: Mapping[str, Any], rules: OldModel) -> None:
    """No emulated model has a camera or a motion brush; the words are recorded ones."""
    if body.get("camera_control"):
        raise invalid("Camera control is not supported by the current model")
    if body.get("static_mask") or body.get("dynamic_masks"):
        raise invalid("Motion brush is not supported by the current model")
    if body.get("multi_shot") in (True, "true") and not rules.sound_modes:
        raise invalid("multi_shot is not supported by the current model")


def _old_frames(
    task: str, body: Mapping[str, Any], name: str, rules: OldModel, mode: str, seconds: int
) -> tuple[str | None, str | None]:
    if task == "text2video":
        return None, None
    first, last = body.get("image") or None, body.get("image_tail") or None
    if first is None and last is None:
        raise invalid("image and image_tail can not be empty at the same time")
    if last is not None:
        if not rules.tail_modes:
            raise invalid("Image tail is not supported by the current model")
        if mode not in rules.tail_modes:
            what = f"model/mode/duration({name}/{mode}/{seconds})"
            raise invalid(f"{what} is not supported with image_tail")
    return first, last


def _old_prompt(task: str, body: Mapping[str, Any]) -> str:
    prompt = body.get("prompt") or ""
    if not isinstance(prompt, str):
        raise invalid("prompt value type is invalid")
    shots = body.get("multi_shot") in (True, "true")
    if task == "text2video" and not prompt.strip() and not shots:
        raise invalid("prompt can not be empty")
    for field in ("prompt", "negative_prompt"):
        if len(body.get(field) or "") > 2500:
            raise invalid(f"{field}: size must be between 0 and 2500")
    return prompt


def _old_sound(body: Mapping[str, Any], rules: OldModel, mode: str, last: str | None) -> bool:
    sound = body.get("sound") or "off"
    if sound not in ("on", "off"):
        raise invalid(f"sound value '{sound}' is invalid")
    if sound == "off":
        return False
    if mode not in rules.sound_modes:
        if rules.sound_modes:
            raise invalid(f"mode value '{mode}' is invalid")
        raise invalid("sound is not supported by the current model")
    if last is not None and rules.sound_modes == ("pro",):
        raise invalid("sound on is not supported with image_tail")
    return True


def _old_scale(body: Mapping[str, Any], rules: OldModel) -> None:
    scale = body.get("cfg_scale")
    if scale is None:
        return
    if not rules.cfg_scale:
        raise invalid("cfg_scale is not supported by the current model")
    if not isinstance(scale, int | float) or scale < 0:
        raise invalid("cfgScale: must be greater than or equal to 0")
    if scale > 1:
        raise invalid("cfgScale: must be less than or equal to 1")


def create(sandbox: Sandbox, order: Order) -> SandboxTask:
    """Accept an order: keep its pictures, check pack and slots, remember the task.

    Raises:
        Refusal: duplicate id, empty pack, or no free slot.
    """
    first, last = keep(sandbox, order.first), keep(sandbox, order.last)
    external = order.external_id
    if external and sandbox.store.task_by_external_id("kling", external) is not None:
        raise invalid(f"External_task_id {external} already exists")
    if remaining_units(sandbox) <= 0:
        raise Refusal(1102, "Account balance not enough")
    now = sandbox.now()
    bucket = f"{VERSIONS.get(order.model, order.model)}/video"
    if sandbox.store.running("kling", bucket, now) >= sandbox.settings.concurrency:
        raise Refusal(1303, "parallel task over resource pack limit")
    try:
        return sandbox.accept(_task(sandbox, order, first, last, now, bucket))
    except DuplicateExternalId:
        raise invalid(f"External_task_id {external} already exists") from None


def remaining_units(sandbox: Sandbox) -> float:
    """Return what is left in the video pack; tasks deduct when they succeed."""
    return sandbox.settings.units - sandbox.store.units_spent("kling", "video", sandbox.now())


def _task(
    sandbox: Sandbox, order: Order, first: str | None, last: str | None, now: float, bucket: str
) -> SandboxTask:
    units = prices.units(
        order.endpoint, order.model, order.mode, order.resolution, order.seconds, audio=order.audio
    )
    reason = picture_fault(sandbox, first) or picture_fault(sandbox, last)
    outcome = "failed" if reason else outcome_of(order.prompt)
    if outcome == "moderation":
        reason = "Failure to pass the risk control system"
    return SandboxTask(
        id=_new_id(),
        provider="kling",
        model=order.model,
        endpoint=order.endpoint,
        accepted_at=now,
        seconds=seconds_of(order.prompt, sandbox.settings.seconds_per_job),
        outcome=outcome,
        prompt=order.prompt,
        external_id=order.external_id,
        film=_film(sandbox, order, first, last).to_json(),
        bucket=bucket,
        amount=None if units is None else f"{(units * prices.UNIT_USD).normalize():f}",
        units=None if units is None else f"{units.normalize():f}",
        pack="video",
        reason=reason or "the sandbox was told to fail",
        extra={"generation": order.generation, "watermark": order.watermark},
    )


def _film(sandbox: Sandbox, order: Order, first: str | None, last: str | None) -> Film:
    ratio = ratio_of(order.ratio) if order.ratio in RATIOS else 16 / 9
    picture = first or last
    if picture is not None:
        shown = sandbox.picture_size(picture)
        ratio = shown[0] / shown[1]
    width, height = frame_size(order.resolution, ratio)
    return Film(
        width=width,
        height=height,
        seconds=order.seconds,
        fps=FPS,
        prompt=order.prompt,
        label=order.model,
        motion=read_motion(order.prompt),
        first=first,
        last=last,
        audio=order.audio,
        fast=sandbox.settings.media == "fast",
    )


def _new_id() -> str:
    return str(secrets.randbelow(9 * 10**17) + 10**17)


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _text(item: Mapping[str, Any], field: str, message: str) -> str:
    value = item.get(field)
    if not isinstance(value, str) or not value.strip():
        raise invalid(message)
    return value


def _not_among(field: str, value: Any, allowed: tuple[str, ...]) -> Refusal:
    return invalid(f"{field} value '{value}' is invalid, allowed values: {', '.join(allowed)}")


def _seconds(field: str, value: Any, allowed: tuple[int, ...]) -> int:
    try:
        seconds = int(str(value))
    except ValueError:
        raise invalid(f"{field} value '{value}' is invalid") from None
    if seconds not in allowed:
        raise invalid(f"{field} value '{value}' is invalid")
    return seconds
