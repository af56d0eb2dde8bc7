"""What a film is: everything that decides its pixels, and its size."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHORT_SIDE = {"480p": 480, "720p": 720, "1080p": 1080, "2k": 1440, "4k": 2160}
"""Short side of a 16:9 frame by resolution class, in pixels."""


@dataclass(frozen=True, slots=True)
class Film:
    """A film to be drawn. Two equal films are drawn once.

    Attributes:
        width: pixels, even.
        height: pixels, even.
        seconds: as asked for; like the vendor, one frame more is delivered.
        fps: frames per second.
        prompt: shown at the bottom.
        label: model name, shown beside it.
        motion: camera motion, one of `onetake.sandbox.media.motion.BOXES`.
        first: file id of the first frame's picture, or None for a drawn scene.
        last: file id of the last frame's picture, or None.
        audio: whether there is a sound track.
        fast: draw a few frames only.
        sound: file id of the sound that it carries; None: a tone, if there is a sound track.
    """

    width: int
    height: int
    seconds: float
    fps: int
    prompt: str
    label: str
    motion: str = "auto"
    first: str | None = None
    last: str | None = None
    audio: bool = False
    fast: bool = False
    sound: str | None = None

    @property
    def id(self) -> str:
        """Name of the film, from everything that decides its pixels."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def frames(self) -> int:
        """Number of frames: one more than asked for (5 s → 5.041 s), as the vendor does."""
        return round(self.seconds * self.fps) + 1

    @property
    def delivered_seconds(self) -> float:
        """Duration of the file."""
        return self.frames / self.fps

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"kind": "film", **dataclasses.asdict(self)}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Film:
        """Rebuild what `to_json` wrote."""
        return Film(**{key: value for key, value in record.items() if key != "kind"})


def frame_size(resolution: str, ratio: float) -> tuple[int, int]:
    """Return even pixels for a resolution class and a ratio of width to height.

    16:9 and 9:16 get the class's nominal pixels; every other ratio gets about as many of them
    (1:1 at 720p is 960×960), which is what vendors that say "720p" for all ratios deliver.
    """
    short = SHORT_SIDE[resolution]
    area = short * short * 16 / 9
    height = (area / ratio) ** 0.5
    return _even(height * ratio), _even(height)


def _even(pixels: float) -> int:
    return max(2, round(pixels / 2) * 2)


def ratio_of(text: str) -> float:
    """Turn ``16:9`` into a number."""
    width, _, height = text.partition(":")
    return int(width) / int(height)
