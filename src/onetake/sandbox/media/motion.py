"""Camera motions: which part of the picture is seen at which moment.

The emulated models read the camera from the prompt, as the real ones do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

Box = tuple[float, float, float, float]
"""Left, top, right, bottom of what is seen, as shares of the picture."""

_WORDS: tuple[tuple[str, str], ...] = (
    (
        r"(completely |perfectly )?(static|still|locked[- ]off) (camera|shot)|camera stays .*still",
        "static",
    ),
    (r"(zoom|push|doll|track)\w* in|push\w* in|doll\w+ forward|dramatic push", "zoom_in"),
    (r"zoom\w* out|pull\w* (back|out)|doll\w+ back|epic reveal", "zoom_out"),
    (r"pan\w*( to the)? left|truck\w* left", "pan_left"),
    (r"pan\w*( to the)? right|truck\w* right|orbit", "pan_right"),
    (r"tilt\w* up|crane\w* up|rises", "tilt_up"),
    (r"tilt\w* down|crane\w* down", "tilt_down"),
)


def read_motion(prompt: str) -> str:
    """Find the camera motion that a prompt asks for; ``auto`` when it asks for none."""
    text = prompt.lower()
    for pattern, motion in _WORDS:
        if re.search(pattern, text):
            return motion
    return "auto"


def _centred(scale: float, x: float = 0.5, y: float = 0.5) -> Box:
    half = scale / 2
    left = min(max(x - half, 0.0), 1.0 - scale)
    top = min(max(y - half, 0.0), 1.0 - scale)
    return left, top, left + scale, top + scale


def _smooth(t: float) -> float:
    return t * t * (3 - 2 * t)


BOXES: dict[str, Callable[[float], Box]] = {
    "auto": lambda t: _centred(1.0 - 0.14 * _smooth(t), 0.5 + 0.03 * math.sin(math.pi * t)),
    "static": lambda t: _centred(1.0),
    "zoom_in": lambda t: _centred(1.0 - 0.35 * _smooth(t)),
    "zoom_out": lambda t: _centred(0.65 + 0.35 * _smooth(t)),
    "pan_left": lambda t: _centred(0.72, 0.64 - 0.28 * _smooth(t)),
    "pan_right": lambda t: _centred(0.72, 0.36 + 0.28 * _smooth(t)),
    "tilt_up": lambda t: _centred(0.72, 0.5, 0.64 - 0.28 * _smooth(t)),
    "tilt_down": lambda t: _centred(0.72, 0.5, 0.36 + 0.28 * _smooth(t)),
}
"""What each motion sees at ``t`` from 0 to 1."""
