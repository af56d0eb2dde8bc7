"""Still pictures: the caller's, fitted to the frame, or a scene drawn from the prompt."""

from __future__ import annotations

import colorsys
import hashlib
import io
import math
import random

from PIL import Image, ImageDraw, ImageFilter, ImageOps

RESERVE = 1.1
"""Pictures are kept this much larger than the frame, so that a zoom stays sharp."""


def fitted(data: bytes, width: int, height: int) -> Image.Image:
    """Return the caller's picture, covering the frame."""
    with Image.open(io.BytesIO(data)) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    return ImageOps.fit(upright, _reserved(width, height), Image.Resampling.BICUBIC)


def drawn(prompt: str, width: int, height: int, *, fast: bool = False) -> Image.Image:
    """Draw a landscape whose colours and shapes follow from the prompt."""
    size = _reserved(width, height)
    small = (max(32, size[0] // 8), max(32, size[1] // 8)) if fast else size
    seed = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big")
    chance = random.Random(seed)  # noqa: S311 - pictures, not secrets
    scene = _sky(small, chance)
    _sun(scene, chance)
    _hills(scene, chance)
    if fast:
        return scene.resize(size, Image.Resampling.NEAREST)
    return scene.filter(ImageFilter.SMOOTH)


def _reserved(width: int, height: int) -> tuple[int, int]:
    return round(width * RESERVE), round(height * RESERVE)


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _sky(size: tuple[int, int], chance: random.Random) -> Image.Image:
    hue = chance.random()
    top, bottom = _colour(hue, 0.55, 0.45), _colour(hue + 0.12, 0.5, 0.95)
    strip = Image.new("RGB", (1, 256))
    for y in range(256):
        share = y / 255
        strip.putpixel(
            (0, y),
            tuple(round(a + (b - a) * share) for a, b in zip(top, bottom, strict=True)),
        )
    return strip.resize(size, Image.Resampling.BILINEAR)


def _sun(scene: Image.Image, chance: random.Random) -> None:
    width, height = scene.size
    x, y = width * chance.uniform(0.2, 0.8), height * chance.uniform(0.18, 0.42)
    radius = height * chance.uniform(0.06, 0.11)
    box = (x - radius, y - radius, x + radius, y + radius)
    ImageDraw.Draw(scene).ellipse(box, fill=_colour(chance.random(), 0.25, 1.0))


def _hills(scene: Image.Image, chance: random.Random) -> None:
    width, height = scene.size
    draw = ImageDraw.Draw(scene)
    hue = chance.random()
    for layer in range(4):
        base = height * (0.5 + 0.12 * layer)
        waves = [(chance.uniform(0.5, 3.5), chance.uniform(0, 6.3)) for _ in range(3)]
        points = [(0.0, float(height))]
        for step in range(129):
            share = step / 128
            rise = sum(math.sin(share * pace * 6.28 + turn) for pace, turn in waves) / 3
            points.append((width * share, base + rise * height * 0.07))
        points.append((float(width), float(height)))
        draw.polygon(points, fill=_colour(hue + layer * 0.03, 0.45, 0.62 - 0.12 * layer))
