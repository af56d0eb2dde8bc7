"""Quantities: how many seconds, pictures or calls a vendor will count for a request."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from onetake.fitting import FittedRequest
from onetake.pricing.price_book import STARTED, PriceRow


@dataclass(frozen=True, slots=True)
class Quantity:
    """How many of a row's units are counted; None where that is not known beforehand.

    Attributes:
        low: at least.
        expected: most likely.
        high: at most.
        seconds: how long the output will be.
    """

    low: Decimal | None
    expected: Decimal | None
    high: Decimal | None
    seconds: Decimal | None = None


def quantity(fitted: FittedRequest, row: PriceRow) -> Quantity:
    """Count what a price row counts."""
    if row.measure is not None:
        counted = _measured(fitted, row, row.measure)
    elif row.unit == "image":
        counted = _images(fitted)
    elif row.unit == "second":
        seconds = output_seconds(fitted, row)
        counted = _choices(fitted) if seconds is None else _exactly(seconds)
    else:
        counted = _exactly(Decimal(1))
    return Quantity(*counted, output_seconds(fitted, row))


Bounds = tuple[Decimal | None, Decimal | None, Decimal | None]


def output_seconds(fitted: FittedRequest, row: PriceRow) -> Decimal | None:
    """Return how long the output will be: as asked for, or as the input that it follows."""
    if row.measure is not None:
        asset = fitted.asset(row.measure)
        return None if asset is None or asset.seconds is None else _exact(asset.seconds)
    seconds = fitted.value("duration")
    return Decimal(str(seconds)) if isinstance(seconds, int | float) and seconds else None


def _exactly(quantity: Decimal | None) -> Bounds:
    return quantity, quantity, quantity


def _choices(fitted: FittedRequest) -> Bounds:
    """Bound a length that was not asked for, by what the model makes at all."""
    spec = fitted.card.parameters.get("duration")
    lengths = [Decimal(str(one)) for one in (spec.choices if spec else ()) if _is_number(one)]
    if lengths:
        return min(lengths), None, max(lengths)
    low, high = (None, None) if spec is None else (spec.minimum, spec.maximum)
    return (
        None if low is None else Decimal(str(low)),
        None,
        None if high is None else Decimal(str(high)),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _images(fitted: FittedRequest) -> Bounds:
    series = fitted.value("series")
    if series == "auto":
        return Decimal(2), None, Decimal(9)
    return _exactly(Decimal(str(series or fitted.value("n") or 1)))


def _measured(fitted: FittedRequest, row: PriceRow, role: str) -> Bounds:
    """Count the seconds of an input; of one that was not read, what its slot allows."""
    asset, slot = fitted.asset(role), fitted.card.inputs[role]
    if asset is not None and asset.seconds is not None:
        return _billed(asset.seconds, row)
    low, high = slot.min_seconds, slot.max_seconds
    return (
        None if low is None else _billed(low, row)[0],
        None,
        None if high is None else _billed(high, row)[2],
    )


def _billed(seconds: float, row: PriceRow) -> Bounds:
    length = _exact(seconds)
    if row.multiple is not None:
        return _exactly((length / row.multiple).to_integral_value(ROUND_CEILING) * row.multiple)
    if row.unit in STARTED:
        return _exactly((length / STARTED[row.unit]).to_integral_value(ROUND_CEILING))
    if row.rounding == "nearest":
        return _exactly(length.to_integral_value(ROUND_HALF_UP))
    low, high = (length.to_integral_value(way) for way in (ROUND_FLOOR, ROUND_CEILING))
    return low, length, high


def _exact(seconds: float) -> Decimal:
    return Decimal(str(round(seconds, 3)))
