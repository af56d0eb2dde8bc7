"""What the vendor deducts, from its price tables as captured (``prices.csv``, verbatim)."""

from __future__ import annotations

import csv
import functools
import importlib.resources
from decimal import Decimal

UNIT_USD = Decimal("0.14")


@functools.cache
def _rows() -> list[dict[str, str]]:
    text = (importlib.resources.files(__package__) / "prices.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def units(
    endpoint: str, model: str, mode: str, resolution: str, seconds: int, *, audio: bool
) -> Decimal | None:
    """Return the units of a video, or None when the captured tables do not say.

    Args:
        endpoint: path of the create call.
        model: as the vendor names it there.
        mode: ``std``, ``pro``, ``4k``, or empty on the new API.
        resolution: resolution class.
        seconds: as asked for; plain video is billed on these, not on the delivered ones.
        audio: whether native sound was asked for (or comes always).
    """
    for row in _rows():
        if row["endpoint"] != endpoint or row["model"] != model or not row["units_deducted"]:
            continue
        if row["mode"] not in (mode, f"{mode} no voice".strip()):
            continue
        if row["resolution"] != resolution or row["audio"] not in ("any", "on" if audio else "off"):
            continue
        if row["unit"] == "per_second":
            return Decimal(row["units_deducted"]) * seconds
        if row["unit"] == "per_video" and row["duration_s"] == str(seconds):
            return Decimal(row["units_deducted"])
    return None
