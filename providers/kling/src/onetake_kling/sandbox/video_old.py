"""Video on the old API: ``model_name`` in the body, one path per task."""

from __future__ import annotations

from onetake.sandbox import Sandbox
from onetake_kling.sandbox import inputs, prices, video_new
from onetake_kling.sandbox.answers import invalid
from onetake_kling.sandbox.fields import (
    Body,
    items,
    model_of,
    number,
    one_of,
    seconds,
    text_of,
    unsupported,
    words,
)
from onetake_kling.sandbox.orders import Order, old_order
from onetake_kling.sandbox.rules import DEFAULT_OLD, LONG, MEDIUM, OLD, RATIOS, OldModel

_AXES = ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")
_CAMERAS = ("simple", "down_back", "forward_up", "right_turn_forward", "left_turn_forward")
_MOTIONS = {"zoom": ("zoom_in", "zoom_out"), "pan": ("pan_left", "pan_right")}


def order(sandbox: Sandbox, task: str, body: Body) -> Order:
    """Read a body of text2video, image2video or multi-image2video.

    Raises:
        Refusal: as the vendor words it.
    """
    name = text_of(body, "model_name") or DEFAULT_OLD
    rules = OLD.get(name)
    if rules is None or task not in rules.tasks:
        raise unsupported(name)
    if rules.discontinued and not sandbox.settings.allow_discontinued:
        raise invalid(f"The model '{name}' has been discontinued and is no longer available.")
    mode = _mode(body, name, rules)
    length = seconds("duration", body.get("duration") or "5", rules.durations)
    camera = _camera(task, body, rules, mode, length)
    _features(task, body, rules, mode, length)
    first, last = _frames(sandbox, task, body, name, rules, mode, length)
    prompt = _prompt(task, body, length)
    sound = _sound(body, rules, mode, last_given=bool(body.get("image_tail")))
    _scale(body)
    ratio = body.get("aspect_ratio") or "16:9"
    if task != "image2video":
        one_of("aspect_ratio", ratio, RATIOS)
    resolution, path = rules.resolution_of(mode), f"/v1/videos/{task}"
    film = inputs.film(
        sandbox,
        prompt=prompt,
        label=name,
        resolution=resolution,
        seconds=length,
        ratio=ratio,
        first=first,
        last=last,
        audio=sound,
        motion=camera,
    )
    words_of_mode = (
        (f"{mode} with voice_list",) if body.get("voice_list") else (mode, f"{mode} no voice")
    )
    return old_order(
        path,
        name,
        body,
        kind="videos",
        prompt=prompt,
        files=inputs.one_film(film),
        units=prices.units(
            path, name, mode=words_of_mode, resolution=resolution, seconds=length, audio=sound
        ),
        reason=inputs.fault(sandbox, first, last),
        info={"mode": mode},
    )


def _mode(body: Body, name: str, rules: OldModel) -> str:
    """Return the mode; the master models take either, and make the same film (seen 2026-08-21)."""
    mode = body.get("mode") or "std"
    if mode == "4k" and "4k" not in rules.modes:
        raise invalid(f"4k mode is not supported by the current model: {name}")
    if mode not in (rules.modes or ("std", "pro")):
        raise invalid(f"mode value '{mode}' is invalid")
    return str(mode) if rules.modes else ""


def _camera(task: str, body: Body, rules: OldModel, mode: str, length: int) -> str | None:
    """Return the motion that a camera control asks for."""
    control = body.get("camera_control")
    if not control:
        return None
    if rules.camera != (task, mode) or length != 5:
        raise invalid("Camera control is not supported by the current model")
    kind, config = control.get("type"), control.get("config")
    one_of("camera_control.type", kind, _CAMERAS if task == "text2video" else ("simple",))
    if kind != "simple":
        if config is not None:
            raise invalid("camera_control.config must be empty")
        return "zoom_out" if kind == "down_back" else "zoom_in"
    values = {axis: (config or {}).get(axis, 0) for axis in _AXES}
    if any(abs(value) > 10 for value in values.values()):
        raise invalid("camera_control.config must be between -10 and 10")
    moving = [axis for axis, value in values.items() if value]
    if len(moving) != 1:
        raise invalid("camera_control.config must have exactly one non-zero value")
    pair = _MOTIONS.get(moving[0], ("tilt_down", "tilt_up"))
    return pair[values[moving[0]] > 0]


def _features(task: str, body: Body, rules: OldModel, mode: str, length: int) -> None:
    if body.get("static_mask") or items(body, "dynamic_masks"):
        if task != "image2video" or mode not in rules.brush or length != 5:
            raise invalid("Motion brush is not supported by the current model")
        _check_masks(body)
    if body.get("image_tail") and body.get("camera_control"):
        raise invalid("image_tail, masks and camera_control cannot be used together")
    if len(items(body, "element_list")) > rules.elements:
        raise invalid(f"element_list: size must be between 0 and {rules.elements}")
    if body.get("voice_list"):
        if not rules.voices or task != "image2video":
            raise invalid("voice_list is not supported by the current model")
        if body.get("sound") != "on" or len(items(body, "voice_list")) > 2:
            raise invalid("voice_list needs sound on, and has 2 entries at most")
    if body.get("multi_shot") in (True, "true"):
        _check_shots(body, length, allowed=rules.multi_shot)


def _check_masks(body: Body) -> None:
    masks = items(body, "dynamic_masks")
    if body.get("image_tail") or body.get("camera_control"):
        raise invalid("image_tail, masks and camera_control cannot be used together")
    if len(masks) > 6:
        raise invalid("dynamic_masks: size must be between 0 and 6")
    for mask in masks:
        if not 2 <= len(items(mask, "trajectories")) <= 77:
            raise invalid("trajectories: size must be between 2 and 77")


def _check_shots(body: Body, length: int, *, allowed: bool) -> None:
    if not allowed:
        raise invalid("multi_shot is not supported by the current model")
    one_of("shot_type", body.get("shot_type"), ("customize", "intelligence"))
    if body.get("shot_type") != "customize":
        return
    shots = items(body, "multi_prompt")
    if not 1 <= len(shots) <= 6:
        raise invalid("multi_prompt: size must be between 1 and 6")
    if [shot.get("index") for shot in shots] != list(range(1, len(shots) + 1)):
        raise invalid("multi_prompt: index must be consecutive from 1")
    if any(len(str(shot.get("prompt", ""))) > 512 for shot in shots):
        raise invalid("multi_prompt: prompt: size must be between 0 and 512")
    if sum(int(shot.get("duration", 0)) for shot in shots) != length:
        raise invalid("multi_prompt: the sum of durations must equal the total duration")


def _frames(
    sandbox: Sandbox, task: str, body: Body, name: str, rules: OldModel, mode: str, length: int
) -> tuple[str | None, str | None]:
    if task == "text2video":
        return None, None
    if task == "multi-image2video":
        return _first_of_list(sandbox, body, "image_list", "image", 4), None
    first, last = body.get("image") or None, body.get("image_tail") or None
    if first is None and last is None:
        raise invalid("image and image_tail can not be empty at the same time")
    if last is not None:
        if not rules.tail_modes:
            raise invalid("Image tail is not supported by the current model")
        if mode not in rules.tail_modes:
            what = f"model/mode/duration({name}/{mode}/{length})"
            raise invalid(f"{what} is not supported with image_tail")
    return (
        inputs.picture(sandbox, first, "image", required=False),
        inputs.picture(sandbox, last, "image_tail", required=False),
    )


def _first_of_list(sandbox: Sandbox, body: Body, field: str, member: str, most: int) -> str | None:
    found = items(body, field)
    if not 1 <= len(found) <= most:
        raise invalid(f"{field}: size must be between 1 and {most}")
    kept = [inputs.picture(sandbox, item.get(member), member) for item in found]
    return kept[0]


def _prompt(task: str, body: Body, length: int) -> str:
    shots = body.get("multi_shot") in (True, "true")
    prompt = words(body, "prompt", required=task != "image2video" and not shots)
    words(body, "negative_prompt")
    if shots and body.get("shot_type") == "customize":
        return "; ".join(str(shot.get("prompt", "")) for shot in items(body, "multi_prompt"))
    return prompt


def _sound(body: Body, rules: OldModel, mode: str, *, last_given: bool) -> bool:
    sound = text_of(body, "sound") or "off"
    if sound not in ("on", "off"):
        raise invalid(f"sound value '{sound}' is invalid")
    if sound == "off":
        return False
    if mode not in rules.sound_modes:
        if rules.sound_modes:
            raise invalid(f"mode value '{mode}' is invalid")
        raise invalid("sound is not supported by the current model")
    if last_given and rules.sound_modes == ("pro",):
        raise invalid("sound on is not supported with image_tail")
    return True


def _scale(body: Body) -> None:
    """Any model takes one within bounds: pages say only v1 does, the API was seen to take more."""
    if body.get("cfg_scale") is not None:
        number(body, "cfg_scale", 0, 1, 0.5)


_OMNI = {"kling-video-o1": ("std", "pro"), "kling-v3-omni": ("std", "pro", "4k")}
_CLASS = {"std": "720p", "pro": "1080p", "4k": "4k"}


def omni(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of omni-video (2026-02-10, and vendor page).

    Raises:
        Refusal: as the vendor words it.
    """
    name = model_of(body, "kling-video-o1", _OMNI)
    mode = body.get("mode") or "pro"
    if mode not in _OMNI[name]:
        raise invalid(f"mode value '{mode}' is invalid")
    shots = body.get("multi_shot") in (True, "true")
    prompt = words(body, "prompt", required=not shots)
    pictures, given = _omni_pictures(sandbox, body)
    edited, source = _omni_source(sandbox, body)
    sound = body.get("sound") == "on"
    if sound and source is not None:
        raise invalid("sound on is not supported with video input")
    if "first_frame" not in pictures and edited is None and not body.get("aspect_ratio"):
        raise invalid(
            "Aspect ratio must be specified unless a first frame is provided or the task is video "
            "editing"
        )
    _check_count(given, 4 if source is not None else 7)
    length = _omni_length(name, body, edited, free=bool(given) or source is not None)
    if shots:
        _check_shots(body, int(length), allowed=name == "kling-v3-omni")
    film = inputs.film(
        sandbox,
        prompt=prompt,
        label=name,
        resolution=_CLASS[mode],
        seconds=length,
        ratio=body.get("aspect_ratio") or "16:9",
        first=pictures.get("first_frame") or (edited.frame if edited else None),
        last=pictures.get("end_frame"),
        audio=sound,
    )
    units = prices.units(
        "/v1/videos/omni-video",
        name,
        mode=(f"{mode} {'no' if source is None else 'with'} video input",),
        resolution=_CLASS[mode],
        seconds=length,
        audio=None if name == "kling-video-o1" else sound,
    )
    return old_order(
        "/v1/videos/omni-video",
        name,
        body,
        kind="videos",
        prompt=prompt,
        files=inputs.one_film(film),
        units=units,
        reason=inputs.fault(sandbox, *pictures.values()),
    )


def _check_count(given: int, most: int) -> None:
    if given > most:
        raise invalid(f"The number of images and elements exceeds the limit, max number is {most}")


def _omni_pictures(sandbox: Sandbox, body: Body) -> tuple[dict[str, str | None], int]:
    found: dict[str, str | None] = {}
    listed = items(body, "image_list")
    for item in listed:
        file = inputs.picture(sandbox, item.get("image_url"), "image_url")
        found.setdefault(item.get("type") or "reference", file)
    if "end_frame" in found and "first_frame" not in found:
        raise invalid("end_frame must be used together with first_frame")
    return found, len(listed) + len(items(body, "element_list"))


def _omni_source(sandbox: Sandbox, body: Body) -> tuple[inputs.Video | None, inputs.Video | None]:
    """Return the video that is edited, and the video that is given at all."""
    listed = items(body, "video_list")
    if not listed:
        return None, None
    if len(listed) > 1:
        raise invalid("The number of videos exceeds the limit, max number is 1")
    source = inputs.video(sandbox, url=listed[0].get("video_url"))
    if source.seconds < 3:
        raise invalid("Video duration can not less than 3s")
    return (source if listed[0].get("refer_type", "base") == "base" else None), source


def _omni_length(name: str, body: Body, edited: inputs.Video | None, *, free: bool) -> float:
    if edited is not None:
        return float(round(edited.seconds))
    allowed = MEDIUM if name == "kling-video-o1" else LONG
    length = seconds("duration", body.get("duration") or "5", allowed)
    if name == "kling-video-o1" and not free and length not in (5, 10):
        raise invalid("Duration only supports 5 or 10 seconds when no refer_image is provided")
    return length


def motion(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of motion-control; what is missing is told in this order (2026-08-22).

    Raises:
        Refusal: as the vendor words it.
    """
    name = body.get("model_name") or "kling-v2-6"
    if name not in ("kling-v2-6", "kling-v3"):
        raise invalid("model_name must be 'kling-v2-6' or 'kling-v3'")
    for field, message in _MOTION_NEEDS:
        if not body.get(field):
            raise invalid(message)
    mode = one_of("mode", body["mode"], ("std", "pro"))
    orientation = one_of("character_orientation", body["character_orientation"], ("image", "video"))
    prompt = words(body, "prompt")
    made = video_new.motion(
        sandbox,
        "/v1/videos/motion-control",
        name,
        prompt=prompt,
        picture=body["image_url"],
        video=body["video_url"],
        orientation=orientation,
        resolution=_CLASS[mode],
        audio=(body.get("keep_original_sound") or "yes") == "yes",
        mode=mode,
        model=name,
    )
    path = made.pop("endpoint")
    return old_order(path, name, body, kind="videos", prompt=prompt, **made)


_MOTION_NEEDS = (
    ("image_url", "imageUrl: must not be blank"),
    ("video_url", "videoUrl: must not be blank"),
    ("mode", "video mode must be specified"),
    ("character_orientation", "character orientation must be specified"),
)
