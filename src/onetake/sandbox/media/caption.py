"""Captions: every frame says SANDBOX, the prompt and the model."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

WORD = "SANDBOX"
_SHADE = (0, 0, 0, 180)
_WHITE = (255, 255, 255, 255)
_AMBER = (255, 196, 64, 255)


@dataclass(frozen=True)
class Caption:
    """The strips that are laid over every frame of a film.

    Attributes:
        badge: at the top left, says SANDBOX.
        foot: at the bottom, says the prompt and the model.
        badge_at: where the badge goes.
        foot_at: where the foot goes.
    """

    badge: Image.Image
    foot: Image.Image
    badge_at: tuple[int, int]
    foot_at: tuple[int, int]

    def stamp(self, frame: Image.Image, share: float) -> None:
        """Lay the strips over a frame; a bar along the bottom shows the time."""
        frame.paste(self.badge, self.badge_at, self.badge)
        frame.paste(self.foot, self.foot_at, self.foot)
        thickness = max(2, frame.height // 180)
        bar = (0, frame.height - thickness, round(frame.width * share), frame.height)
        ImageDraw.Draw(frame).rectangle(bar, fill=_AMBER[:3])


def caption(width: int, height: int, prompt: str, label: str) -> Caption:
    """Draw the strips for a frame size."""
    unit = min(width, height)
    margin = max(4, unit // 40)
    badge = _badge(max(14, unit // 18), margin)
    foot = _foot(width, max(11, unit // 30), margin, prompt, label)
    return Caption(badge, foot, (margin, margin), (0, height - foot.height))


def _badge(size: int, margin: int) -> Image.Image:
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(WORD)
    strip = Image.new("RGBA", (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin))
    draw = ImageDraw.Draw(strip)
    draw.rectangle((0, 0, *strip.size), fill=_SHADE)
    draw.text((margin - left, margin - top), WORD, font=font, fill=_AMBER)
    return strip


def _foot(width: int, size: int, margin: int, prompt: str, label: str) -> Image.Image:
    font = ImageFont.load_default(size)
    columns = max(16, int((width - 2 * margin) / (font.getlength("n") or 8)))
    words = textwrap.wrap(prompt, columns, max_lines=3, placeholder=" …") or ["(no prompt)"]
    about = textwrap.wrap(f"{label} · made offline, not by a model", columns)
    line_height = round(size * 1.3)
    lines = [*((line, _WHITE) for line in words), *((line, _AMBER) for line in about)]
    strip = Image.new("RGBA", (width, line_height * len(lines) + 2 * margin))
    draw = ImageDraw.Draw(strip)
    draw.rectangle((0, 0, *strip.size), fill=_SHADE)
    for number, (line, colour) in enumerate(lines):
        draw.text((margin, margin + number * line_height), line, font=font, fill=colour)
    return strip
