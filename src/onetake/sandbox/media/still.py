"""Stills: a picture of the asked size, drawn from the prompt or made of the caller's picture."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from onetake.files import temporary_name
from onetake.sandbox.media import caption, motion, scene

LONG_SIDE = {"1k": 1024, "2k": 2048, "4k": 4096}
"""Longer side by resolution class, in pixels."""


@dataclass(frozen=True, slots=True)
class Still:
    """A picture to be drawn. Two equal ones are drawn once.

    Attributes:
        width: pixels.
        height: pixels.
        prompt: shown at the bottom.
        label: model name, shown beside it.
        source: file id of the picture that it is made of, or None for a drawn scene.
        number: which of several it is; each looks different.
        fast: draw it coarsely.
        form: ``png``, ``jpeg`` or ``webp``.
    """

    width: int
    height: int
    prompt: str
    label: str
    source: str | None = None
    number: int = 0
    fast: bool = False
    form: str = "png"

    @property
    def id(self) -> str:
        """Name of the file, from everything that decides its pixels."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"kind": "still", **dataclasses.asdict(self)}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Still:
        """Rebuild what `to_json` wrote."""
        return Still(**{key: value for key, value in record.items() if key != "kind"})


def still_size(resolution: str, ratio: float) -> tuple[int, int]:
    """Return pixels for a resolution class and a ratio of width to height."""
    long = LONG_SIDE[resolution]
    return (long, round(long / ratio)) if ratio >= 1 else (round(long * ratio), long)


def draw(still: Still, path: Path, read_file: Callable[[str], bytes]) -> None:
    """Draw a picture and write it; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = temporary_name(path)
    try:
        picture = _drawn(still, read_file)
        if still.form == "png":
            picture.save(part, "PNG", compress_level=1 if still.fast else 6)
        else:
            picture.convert("RGB").save(part, still.form.upper(), quality=90)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _drawn(still: Still, read_file: Callable[[str], bytes]) -> Image.Image:
    if still.source is None:
        seed = f"{still.prompt} {still.number}"
        wide = scene.drawn(seed, still.width, still.height, fast=still.fast)
    else:
        wide = scene.fitted(read_file(still.source), still.width, still.height)
    box = motion.BOXES["zoom_in"](still.number / 10)
    pixels = (box[0] * wide.width, box[1] * wide.height, box[2] * wide.width, box[3] * wide.height)
    picture = wide.resize((still.width, still.height), Image.Resampling.BILINEAR, box=pixels)
    caption.caption(still.width, still.height, still.prompt, still.label).stamp(picture, 1.0)
    return picture
