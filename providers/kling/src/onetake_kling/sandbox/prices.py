"""What the vendor deducts: ``prices.csv`` and ``packs.csv`` are its tables as captured."""

from __future__ import annotations

import csv
import functools
import importlib.resources
from collections.abc import Collection
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

BASE = "(unit base price)"


@functools.cache
def _table(name: str) -> list[dict[str, str]]:
    text = (importlib.resources.files(__package__) / name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def unit_usd(product: str) -> Decimal:
    """Return the base price of a unit of a product, outside China."""
    [price] = [
        row["price_per_unit"]
        for row in _table("packs.csv")
        if (row["region"], row["product"], row["pack_name"]) == ("global", product, BASE)
    ]
    return Decimal(price)


def units(
    endpoint: str,
    model: str | None = None,
    *,
    mode: Collection[str] = ("",),
    resolution: str = "",
    seconds: float = 0,
    images: int = 1,
    audio: bool | None = None,
) -> Decimal | None:
    """Return the units of a task, or None when the captured tables do not say.

    Args:
        endpoint: path of the create call.
        model: as the vendor names it there; None where the endpoint has one only.
        mode: words that the table's mode column may have.
        resolution: resolution class; empty where the table has none.
        seconds: as asked for, or of the input that decides; plain video is billed on these, not
            on the delivered ones.
        images: number of pictures.
        audio: whether native sound was asked for (or comes always); None where it does not count.
    """
    for row in _table("prices.csv"):
        if row["endpoint"] != endpoint or not row["units_deducted"]:
            continue
        if model is not None and row["model"] != model:
            continue
        if row["mode"] not in mode or row["resolution"] not in ("", resolution):
            continue
        heard = {None: "any", True: "on", False: "off"}[audio]
        if row["audio"] not in ("", "any", heard):
            continue
        amount = _amount(row, Decimal(row["units_deducted"]), seconds, images)
        if amount is not None:
            return amount
    return None


def _amount(row: dict[str, str], each: Decimal, seconds: float, images: int) -> Decimal | None:
    length = Decimal(str(round(seconds, 3)))
    if row["unit"] == "per_second":
        return each * length.to_integral_value(ROUND_HALF_UP)
    if row["unit"] == "per_5s_started":
        return each * (length / 5).to_integral_value(ROUND_CEILING)
    if row["unit"] == "per_video":
        return each if row["duration_s"] == f"{seconds:g}" else None
    return each * images if row["unit"] == "per_image" else each
