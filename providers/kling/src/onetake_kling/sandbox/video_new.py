"""Video on the new API: model in the path, ``contents``, ``settings``, ``options``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onetake.sandbox import Sandbox
from onetake_kling.sandbox import inputs, prices
from onetake_kling.sandbox.answers import invalid
from onetake_kling.sandbox.fields import not_among, one_of, seconds, text, within
from onetake_kling.sandbox.orders import Order, common
from onetake_kling.sandbox.rules import NEW, RATIOS, RESOLUTIONS, SOUNDS, NewModel

OTHER_NAMES = {("omni-video", "kling-v3-omni"): "kling-3.0-omni"}
"""Names of the old API that a path of the new one takes as well (seen 2026-09-28)."""

FAMILIES = ("text-to-video", "image-to-video", "omni-video", "motion-control")
_URLS = (
    "first_frame",
    "last_frame",
    "refer_image",
    "feature_video",
    "base_video",
    "image",
    "video",
)
_SHOT = re.compile(r"(?:shot|镜头)\s*(\d+)\s*,\s*(\d+)\s*,\s*([^;]*);?", re.IGNORECASE)


@dataclass
class Contents:
    """``contents`` by type."""

    prompt: str = ""
    urls: dict[str, list[str]] = field(default_factory=dict)
    things: dict[str, list[str]] = field(default_factory=dict)

    def url(self, kind: str) -> str | None:
        """Return the first URL of a type."""
        return next(iter(self.urls.get(kind, ())), None)

    def count(self, *kinds: str) -> int:
        """Return how many items there are of some types."""
        both = {**self.urls, **self.things}
        return sum(len(both.get(kind, ())) for kind in kinds)


@dataclass(frozen=True)
class Asked:
    """A body that was read, with what its model may do.

    Attributes:
        sandbox: the sandbox.
        path: of the model.
        rules: of the model.
        given: ``contents``.
        settings: ``settings``.
        resolution: of them, or the default.
    """

    sandbox: Sandbox
    path: str
    rules: NewModel
    given: Contents
    settings: Mapping[str, Any]
    resolution: str

    def film(self, length: float, **more: Any) -> dict[str, Any]:
        """Return a film of that length as it is to be drawn."""
        return inputs.film(
            self.sandbox,
            prompt=self.given.prompt,
            label=self.path.rpartition("/")[2],
            resolution=self.resolution,
            seconds=length,
            **more,
        )

    def units(self, length: float, mode: tuple[str, ...], *, audio: bool | None) -> Any:
        """Return the units that a film of that length costs."""
        return prices.units(
            self.path, mode=mode, resolution=self.resolution, seconds=length, audio=audio
        )

    def order(self, film: dict[str, Any], units: Any, *files: str | None) -> dict[str, Any]:
        """Return the parts of an order; a bad picture shows after acceptance."""
        reason = inputs.fault(self.sandbox, *files)
        return {
            "endpoint": self.path,
            "files": inputs.one_film(film),
            "units": units,
            "reason": reason,
        }


def order(sandbox: Sandbox, family: str, model: str, body: Mapping[str, Any]) -> Order:
    """Read a body.

    Raises:
        Refusal: as the vendor words it.
    """
    rules = NEW.get(model)
    if rules is None or family not in rules.families:
        raise invalid("model is not supported")
    settings, options = within(body, "settings"), within(body, "options")
    resolution = _checked(settings, rules)
    given = _contents(family, body)
    if len(given.prompt) > rules.prompt:
        raise invalid(f"prompt length must not exceed {rules.prompt}")
    _check_things(given, rules)
    asked = Asked(sandbox, f"/{family}/{model}", rules, given, settings, resolution)
    made = _MAKERS[family](asked)
    return Order(
        generation="new",
        prompt=given.prompt,
        kind="videos",
        watermark=bool(within(options, "watermark_info").get("enabled")),
        model=model,
        **common(options),
        **made,
    )


def _checked(settings: Mapping[str, Any], rules: NewModel) -> str:
    """Check the settings that are looked at before anything else (in this order, 2026-09-19).

    What no model takes is told apart from what this one does not.
    """
    if settings.get("aspect_ratio"):
        _ratio(settings)
    resolution = settings.get("resolution") or "720p"
    if resolution not in RESOLUTIONS:
        raise not_among("settings.resolution", resolution, RESOLUTIONS)
    if resolution not in rules.resolutions:
        raise invalid(f"video resolution value '{resolution}' is invalid")
    one_of("settings.audio", settings.get("audio") or "off", SOUNDS)
    seed = settings.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise invalid(f"settings.seed value '{seed}' is invalid")
    return str(resolution)


def _contents(family: str, body: Mapping[str, Any]) -> Contents:
    if family == "text-to-video":
        return Contents(text(body, "prompt", "prompt is required"))
    contents = body.get("contents")
    if contents is None or contents == []:
        raise invalid("contents cannot be empty")
    if not isinstance(contents, list):
        raise invalid("contents value type is invalid, expected array")
    found = Contents()
    for number, item in enumerate(contents):
        _content(number, item if isinstance(item, dict) else {}, found)
    return found


def _content(number: int, item: Mapping[str, Any], found: Contents) -> None:
    """Read one item of ``contents`` into ``found``."""
    kind = item.get("type")
    if kind == "prompt":
        message = "content item of type 'prompt' must have non-blank text"
        found.prompt = text(item, "text", message)
    elif kind in _URLS:
        message = f"content item of type '{kind}' must have a non-blank url"
        found.urls.setdefault(kind, []).append(text(item, "url", message))
    elif kind in ("element", "voice"):
        message = f"Invalid {kind} id: "
        found.things.setdefault(kind, []).append(text(item, f"{kind}_id", message))
    else:
        raise invalid(f"contents[{number}].type value '{kind}' is invalid")


def _check_things(given: Contents, rules: NewModel) -> None:
    most = dict(rules.things)
    for kind, ids in given.things.items():
        if len(ids) > most.get(kind, 0):
            raise invalid(
                f"The number of {kind}s exceeds the limit, max number is {most.get(kind, 0)}"
            )
    if not rules.shots:
        return
    shots = _SHOT.findall(given.prompt)
    if any(not 1 <= int(number) <= 6 or int(length) < 1 for number, length, _ in shots):
        raise invalid("shots must be 1 to 6, each of at least 1 second")
    if any(len(words) > 512 for _, _, words in shots):
        raise invalid("shot prompt: size must be between 0 and 512")


def _length(settings: Mapping[str, Any], rules: NewModel, prompt: str) -> int:
    length = seconds("settings.duration", settings.get("duration") or 5, rules.durations)
    shots = [int(found[1]) for found in _SHOT.findall(prompt)] if rules.shots else []
    if shots and sum(shots) != length:
        raise invalid("the sum of all shot durations must equal the total video duration")
    return length


def _ratio(settings: Mapping[str, Any]) -> str:
    ratio = settings.get("aspect_ratio") or "16:9"
    if ratio not in RATIOS:
        raise invalid(
            f"aspect_ratio value '{ratio}' is invalid, supported values: {', '.join(RATIOS)}"
        )
    return str(ratio)


def _sound(settings: Mapping[str, Any], rules: NewModel) -> str:
    if rules.always_audio:
        return "native"
    audio = settings.get("audio") or "off"
    if rules.audio and audio not in rules.audio:
        raise invalid(f"audio mode '{audio}' is not supported by the current model")
    return str(audio) if rules.audio else "off"


def _from_text(asked: Asked) -> dict[str, Any]:
    rules, settings = asked.rules, asked.settings
    ratio, native = _ratio(settings), _sound(settings, rules) == "native"
    length = _length(settings, rules, asked.given.prompt)
    if native and rules.native_1080p and asked.resolution != "1080p":
        raise invalid("settings.audio value 'native' is only supported with resolution 1080p")
    film = asked.film(length, ratio=ratio, audio=native)
    return asked.order(film, asked.units(length, ("", "no voice"), audio=native))


def _from_frames(asked: Asked) -> dict[str, Any]:
    given, rules, settings = asked.given, asked.rules, asked.settings
    if given.url("first_frame") is None:
        raise invalid("contents must include at least one first_frame item")
    last = given.url("last_frame")
    native = _sound(settings, rules) == "native"
    _check_last(rules, asked.resolution, native=native, last=last)
    voices = given.count("voice")
    if voices and not native:
        raise invalid("voice is only supported with settings.audio value 'native'")
    first_file = inputs.picture(asked.sandbox, given.url("first_frame"), "first_frame")
    last_file = inputs.picture(asked.sandbox, last, "last_frame", required=False)
    length = _length(settings, rules, given.prompt)
    film = asked.film(length, first=first_file, last=last_file, audio=native)
    mode = ("with voice",) if voices else ("", "no voice")
    return asked.order(film, asked.units(length, mode, audio=native), first_file, last_file)


def _check_last(rules: NewModel, resolution: str, *, native: bool, last: str | None) -> None:
    if last is not None and not rules.last_frame:
        raise invalid("Image tail is not supported by the current model")
    if native and rules.native_1080p and resolution != "1080p":
        raise invalid("settings.audio value 'native' is only supported with resolution 1080p")
    if last is not None and rules.last_frame_1080p and resolution != "1080p":
        raise invalid("last_frame is only supported with resolution 1080p")
    if last is not None and native and rules.native_1080p:
        raise invalid("last_frame is not supported with audio 'native'")


def _omni(asked: Asked) -> dict[str, Any]:
    given, settings = asked.given, asked.settings
    if not given.prompt:
        raise invalid("prompt is required")
    base, guide = given.url("base_video"), given.url("feature_video")
    if base and asked.rules.shots and settings.get("multi_shot") is not False:
        raise invalid("multi_shot is not supported with video input")  # its default is true
    source = _omni_video(asked.sandbox, given, base, guide)
    audio = _sound(settings, asked.rules)
    _check_omni(given, settings, audio, source is not None, base is not None)
    files = {
        kind: inputs.picture(asked.sandbox, given.url(kind), kind, required=False)
        for kind in ("first_frame", "last_frame", "refer_image")
    }
    length = _omni_length(asked, source if base else None)
    ratio = _ratio(settings) if given.url("first_frame") is None and base is None else "16:9"
    film = asked.film(
        length,
        ratio=ratio,
        first=files["first_frame"] or (source.frame if base and source else None),
        last=files["last_frame"],
        audio=audio != "off",
    )
    mode = ("no video input",) if source is None else ("with video input",)
    sounds = None if asked.path.endswith("kling-o1") else audio == "native"
    units = asked.units(length, mode, audio=sounds)
    if units is None:
        units = asked.units(length, mode, audio=False)
    return asked.order(film, units, *files.values())


def _omni_video(
    sandbox: Sandbox, given: Contents, base: str | None, guide: str | None
) -> inputs.Video | None:
    if given.count("base_video", "feature_video") > 1:
        raise invalid("The number of videos exceeds the limit, max number is 1")
    if base is None and guide is None:
        return None
    source = inputs.video(sandbox, url=base or guide)
    if source.seconds < 3:
        raise invalid("Video duration can not less than 3s")
    return source


def _check_omni(
    given: Contents, settings: Mapping[str, Any], audio: str, has_video: bool, edits: bool
) -> None:
    most = 4 if has_video else 7
    if given.count("first_frame", "last_frame", "refer_image", "element") > most:
        raise invalid(f"The number of images and elements exceeds the limit, max number is {most}")
    if given.url("last_frame") and not given.url("first_frame"):
        raise invalid("last_frame must be used together with first_frame")
    if edits and (given.url("first_frame") or given.url("last_frame")):
        raise invalid("first_frame and last_frame are not supported with base_video")
    if audio == "original" and not has_video:
        raise invalid("audio mode 'original' is not supported by the current model")
    if audio == "native" and has_video:
        raise invalid("sound on is not supported with video input")
    needs_ratio = given.url("first_frame") is None and not edits
    if needs_ratio and not settings.get("aspect_ratio"):
        raise invalid(
            "Aspect ratio must be specified unless a first frame is provided or the task is video "
            "editing"
        )


def _omni_length(asked: Asked, edited: inputs.Video | None) -> float:
    """An edited video keeps its length, which is billed (seen live, 2026-10-06)."""
    if edited is not None:
        return float(round(edited.seconds))
    length = _length(asked.settings, asked.rules, asked.given.prompt)
    free = asked.given.count("refer_image", "element", "feature_video")
    if asked.path.endswith("kling-o1") and not free and length not in (5, 10):
        raise invalid("Duration only supports 5 or 10 seconds when no refer_image is provided")
    return length


def _motion(asked: Asked) -> dict[str, Any]:
    given, settings = asked.given, asked.settings
    if given.url("image") is None or given.url("video") is None:
        raise invalid("contents must include one image item and one video item")
    orientation = settings.get("character_orientation")
    if orientation not in ("image", "video"):
        raise invalid("character orientation must be specified")
    if settings.get("audio") == "native":
        raise invalid("audio mode 'native' is not supported by the current model")
    return motion(
        asked.sandbox,
        asked.path,
        asked.path.rpartition("/")[2],
        prompt=given.prompt,
        picture=given.url("image"),
        video=given.url("video"),
        orientation=str(orientation),
        resolution=asked.resolution,
        audio=(settings.get("audio") or "original") == "original",
    )


def motion(
    sandbox: Sandbox,
    path: str,
    label: str,
    *,
    prompt: str,
    picture: Any,
    video: Any,
    orientation: str,
    resolution: str,
    audio: bool,
    mode: str = "",
    model: str | None = None,
) -> dict[str, Any]:
    """Return a film in which the picture moves as the video does; billed on its length."""
    source = inputs.video(sandbox, url=video)
    if source.seconds < 3:
        raise invalid("Video duration can not less than 3s")
    if source.seconds > (10.5 if orientation == "image" else 30.5):
        raise invalid("Video duration exceeds the limit")
    first = inputs.picture(sandbox, picture, "image")
    film = inputs.film(
        sandbox,
        prompt=prompt,
        label=label,
        resolution=resolution,
        seconds=round(source.seconds),
        first=first,
        audio=audio,
        motion="pan_right",
    )
    units = prices.units(path, model, mode=(mode,), resolution=resolution, seconds=source.seconds)
    reason = inputs.fault(sandbox, first)
    return {"endpoint": path, "files": inputs.one_film(film), "units": units, "reason": reason}


_MAKERS = {
    "text-to-video": _from_text,
    "image-to-video": _from_frames,
    "omni-video": _omni,
    "motion-control": _motion,
}
