"""Spelling: parameters as people write them, and what they mean.

Guides and older code write durations as text, switches as ``on``, modes in full, and files as
parameters. Each is put into the one neutral form here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from onetake.errors import UnsupportedParameter

FRAME_PARAMETERS: Mapping[str, str] = {
    "image": "first_frame",
    "image_url": "first_frame",
    "start_image_url": "first_frame",
    "first_frame": "first_frame",
    "image_tail": "last_frame",
    "tail_image_url": "last_frame",
    "end_image_url": "last_frame",
    "last_frame": "last_frame",
}
"""Parameters that people write for a file; they are moved into the slot they mean."""

SYNONYMS: Mapping[str, str] = {"generate_audio": "audio", "sound": "audio"}

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


_NORMALISERS: Mapping[str, Callable[[Any], Any]] = {
    "duration": _duration,
    "mode": _mode,
    "audio": _switch,
    "resolution": _lower,
    "aspect_ratio": _ratio,
    "camera_motion": _lower,
}
