"""What fal charges, from the prices as captured; no price captured: nothing is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from onetake_fal.sandbox import schema
from onetake_fal.sandbox.works import Work

_STARTED = 5
"""Seconds to which lip-sync rounds up."""


def bill(endpoint: str, body: Mapping[str, Any], work: Work) -> tuple[Decimal | None, str | None]:
    """Return the amount in USD and the billed units, as far as a price was captured."""
    row = schema.endpoints()[endpoint]["price"]
    if "usd" not in row:
        return None, None
    units = _units(str(row["unit"]), work)
    if _is_guided(body, row):
        units *= 2  # input and output seconds, twice the output's at least
    return _rate(endpoint, body, row) * units, f"{units.normalize():f}"


def _units(unit: str, work: Work) -> Decimal:
    if unit.startswith("input video second"):
        return Decimal(max(_STARTED, math.ceil(work.seconds / _STARTED) * _STARTED))
    if unit.startswith("input + output second"):
        return 2 * _exactly(work.seconds)
    if unit == "output second":
        return _exactly(work.seconds)
    if unit == "image":
        return Decimal(len(work.files["images"]))
    return Decimal(1)


def _exactly(seconds: float) -> Decimal:
    return Decimal(str(round(seconds, 3)))


def _is_guided(body: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """A video among the inputs has a price of its own at some endpoints."""
    return bool(body.get("video_url")) and "video_input_720p" in row.get("tiers", {})


def _rate(endpoint: str, body: Mapping[str, Any], row: Mapping[str, Any]) -> Decimal:
    tiers = row.get("tiers", {})
    if "audio_on" in tiers:
        if not schema.value(endpoint, body, "generate_audio"):
            return Decimal(tiers["audio_off"])
        if body.get("voice_ids") or any("voice_id" in item for item in body.get("elements") or ()):
            return Decimal(tiers.get("audio_on_voice_control", tiers["audio_on"]))
        return Decimal(tiers["audio_on"])
    asked = str(schema.value(endpoint, body, "resolution"))
    if asked in tiers:
        return Decimal(tiers[f"video_input_{asked}" if _is_guided(body, row) else asked])
    return Decimal(row["usd"])
