"""Spelling: parameters as people write them, and what they mean.

Guides and older code write durations as text, switches as ``on``, modes in full, and files as
parameters. Each is put into the one neutral form here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from onetake.errors import UnsupportedParameter

ASSET_PARAMETERS: Mapping[str, str] = {
    "image": "image",
    "image_url": "image",
    "start_image_url": "first_frame",
    "first_frame": "first_frame",
    "image_tail": "last_frame",
    "tail_image_url": "last_frame",
    "end_image_url": "last_frame",
    "last_frame": "last_frame",
    "images": "reference",
    "image_urls": "reference",
    "reference_image_urls": "reference",
    "human_image": "person",
    "cloth_image": "garment",
    "static_mask": "static_mask",
    "video": "video",
    "video_url": "video",
    "video_id": "video",
    "audio_url": "audio",
    "audio_file": "audio",
    "sound_file": "audio",
    "audio_id": "audio",
}
"""Parameters that people write for a file, and the role that they mean; lists are several files."""

SYNONYMS: Mapping[str, str] = {
    "generate_audio": "audio",
    "sound": "audio",
    "effect_scene": "effect",
    "num_images": "n",
    "voice_list": "voices",
    "element_list": "elements",
    "multi_prompt": "shots",
    "character_orientation": "orientation",
    "voice_language": "language",
    "voice_speed": "speed",
    "watermark_info": "watermark",
}
_MODES = {"standard": "std", "professional": "pro", "std": "std", "pro": "pro", "4k": "4k"}
_SWITCHES = {
    **dict.fromkeys((True, "true", "on", "yes", "native", "1", 1), True),
    **dict.fromkeys((False, "false", "off", "no", "none", "0", 0), False),
}


def normalise(name: str, value: Any) -> Any:
    """Return a value in its neutral form; what is not understood stays as it is.

    Raises:
        UnsupportedParameter: a duration that is no number of seconds.
    """
    normaliser = _NORMALISERS.get(name)
    return value if normaliser is None else normaliser(value)


def _duration(value: Any) -> Any:
    """Accept 5, 5.0, "5" and "5s"."""
    if isinstance(value, bool):
        raise UnsupportedParameter(f"duration: {value!r} is not a number of seconds.")
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|sec|seconds)?\s*", str(value))
    if match is None:
        raise UnsupportedParameter(
            f"duration: {value!r} is not a number of seconds.", hint="Write 5 or '5s'."
        )
    seconds = float(match.group(1))
    return int(seconds) if seconds.is_integer() else seconds


def _mode(value: Any) -> Any:
    return _MODES.get(str(value).strip().lower(), value)


def _switch(value: Any) -> Any:
    key = value.strip().lower() if isinstance(value, str) else value
    return _SWITCHES.get(key, value) if isinstance(key, str | bool | int) else value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _ratio(value: Any) -> Any:
    return re.sub(r"\s*[x/:]\s*", ":", value.strip()) if isinstance(value, str) else value


def _shots(value: Any) -> Any:
    """Accept shots as objects with ``prompt`` and ``duration``; numbers follow from the order."""
    if not isinstance(value, list | tuple):
        return value
    shots = []
    for number, shot in enumerate(value, start=1):
        whole = isinstance(shot, Mapping) and {"prompt", "duration"} <= set(shot)
        if not whole or not isinstance(shot["prompt"], str):
            raise UnsupportedParameter(
                f"shots: entry {number} is {shot!r:.80}, not {{'prompt': …, 'duration': …}}."
            )
        shots.append(
            {"prompt": str(shot["prompt"]).strip(), "duration": _duration(shot["duration"])}
        )
    return shots


def _ids(name: str) -> Callable[[Any], Any]:
    """Return a normaliser for the vendor's ids: one, several, or the vendor's own objects."""

    def read(value: Any) -> Any:
        items = value if isinstance(value, list | tuple) else [value]
        ids = [item.get(f"{name}_id") if isinstance(item, Mapping) else item for item in items]
        for item, found in zip(items, ids, strict=True):
            if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
                raise UnsupportedParameter(f"{name}s: {item!r:.60} is no id of a {name}.")
        return [str(item) for item in ids]

    return read


def _number_word(value: Any) -> Any:
    """A number among words: 4 is ``"4"``, beside ``"auto"``."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _lower(value)


def _enabled(value: Any) -> Any:
    return value.get("enabled") if isinstance(value, Mapping) else _switch(value)


_NORMALISERS: Mapping[str, Callable[[Any], Any]] = {
    "duration": _duration,
    "mode": _mode,
    "audio": _switch,
    "resolution": _lower,
    "aspect_ratio": _ratio,
    "camera_motion": _lower,
    "extend_duration": _duration,
    "keep_original_sound": _switch,
    "watermark": _enabled,
    "series": _number_word,
    "shots": _shots,
    "voices": _ids("voice"),
    "elements": _ids("element"),
}
