"""What a request will cost, from which row, and how sure that is."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Any

from onetake import chains
from onetake.catalog import Catalog, ProviderCard
from onetake.driver import Charge
from onetake.fitting import FittedRequest, fit
from onetake.pricing.price_book import PriceRow, load_price_book


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """An estimate. An unknown price is ``None`` with a reason, never zero.

    Attributes:
        provider: provider name.
        model: neutral model name.
        expected: most likely cost, in ``currency``; None when unknown.
        low: lowest cost that the vendor's rules allow.
        high: highest cost that the vendor's rules allow; what a budget reserves.
        per_second: expected cost of one second of output; None for pictures.
        units: what the price row counts, as expected: seconds, pictures, calls; None if unknown.
        currency: ISO 4217 code.
        checked_on: day on which the price was read (ISO 8601).
        source: where it was read.
        confidence: ``high``, ``medium`` or ``low``.
        reason: why the price is unknown, else None.
        hash: identifies exactly this price for exactly this request.
    """

    provider: str
    model: str
    expected: Decimal | None
    low: Decimal | None
    high: Decimal | None
    per_second: Decimal | None
    units: Decimal | None
    currency: str
    checked_on: str | None
    source: str | None
    confidence: str | None
    reason: str | None
    hash: str

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON object; money as decimal strings."""
        return {
            "provider": self.provider,
            "model": self.model,
            "expected": _text(self.expected),
            "low": _text(self.low),
            "high": _text(self.high),
            "per_second": _text(self.per_second),
            "units": _text(self.units),
            "currency": self.currency,
            "checked_on": self.checked_on,
            "source": self.source,
            "confidence": self.confidence,
            "reason": self.reason,
            "hash": self.hash,
        }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount.normalize():f}"


def estimate(
    fitted: FittedRequest,
    provider: ProviderCard,
    *,
    region: str | None = None,
    on: datetime.date | None = None,
) -> CostEstimate:
    """Estimate a request that fits its model.

    Args:
        fitted: the request.
        provider: its provider.
        region: decides the currency; the provider's default when None.
        on: the day; today when None.
    """
    day = on or datetime.datetime.now(datetime.UTC).date()
    currency = provider.currency(region)
    row = load_price_book(provider.package).row(fitted, day)
    passed = sorted(set(fitted.vendor) - provider.unpriced_fields)
    if passed and fitted.card.catalogued:
        why = f"{', '.join(passed)} is passed to the vendor as it is, and may change it"
        return _unknown(fitted, provider, currency, why)
    if row is None:
        return _unknown(fitted, provider, currency, _why_unknown(fitted))
    return _priced(fitted, provider, row, currency, day)


def _why_unknown(fitted: FittedRequest) -> str:
    if not fitted.card.catalogued:
        return f"{fitted.card.vendor_id} is not in the catalog, so it has no price row"
    return f"no price row of {fitted.card.name} fits these parameters"


def _priced(
    fitted: FittedRequest,
    provider: ProviderCard,
    row: PriceRow,
    currency: str,
    day: datetime.date,
) -> CostEstimate:
    low, expected, high = _quantity(fitted, row)
    amount, source, confidence = row.amount, row.source, row.confidence
    if row.units is not None:
        unit = load_price_book(provider.package).money_per_unit(currency, day, row.pack)
        if unit is None:
            return _unknown(fitted, provider, currency, f"no unit price in {currency}")
        amount, source = row.units * unit.amount, f"{source}; {unit.amount} {currency} per unit"
    else:
        currency = row.currency
    assert amount is not None
    cost = _times(amount, expected)
    seconds = fitted.value("duration") if row.measure is None else expected
    timed = cost is not None and seconds and row.unit in ("second", "video")
    return CostEstimate(
        provider=provider.name,
        model=fitted.card.name,
        expected=cost,
        low=_times(amount, low),
        high=_times(amount, high),
        per_second=cost / Decimal(str(seconds)) if timed and cost is not None else None,
        units=expected if row.units is None else _times(row.units, expected),
        currency=currency,
        checked_on=row.checked_on.isoformat(),
        source=source,
        confidence=confidence,
        reason=None if expected is not None else _why_open(row),
        hash=_hash(fitted, provider.name, f"{cost} {currency} {row.checked_on}"),
    )


def _times(amount: Decimal, quantity: Decimal | None) -> Decimal | None:
    return None if quantity is None else amount * quantity


def _why_open(row: PriceRow) -> str:
    if row.measure is not None:
        return f"it depends on the length of the {row.measure}, which is not known here"
    return f"the number of {row.unit}s is not known beforehand"


Quantity = tuple[Decimal | None, Decimal | None, Decimal | None]
"""Lowest, expected and highest; None where it is not known."""


def _quantity(fitted: FittedRequest, row: PriceRow) -> Quantity:
    if row.measure is not None:
        return _measured(fitted, row, row.measure)
    if row.unit == "second":
        seconds = fitted.value("duration")
        return _exactly(None if seconds is None else Decimal(str(seconds)))
    if row.unit == "image":
        return _images(fitted)
    return _exactly(Decimal(1))


def _exactly(quantity: Decimal | None) -> Quantity:
    return quantity, quantity, quantity


def _images(fitted: FittedRequest) -> Quantity:
    series = fitted.value("series")
    if series == "auto":
        return Decimal(2), None, Decimal(9)
    return _exactly(Decimal(str(series or fitted.value("n") or 1)))


def _measured(fitted: FittedRequest, row: PriceRow, role: str) -> Quantity:
    """Count the seconds of an input; of one that was not read, what its slot allows."""
    asset, slot = fitted.asset(role), fitted.card.inputs[role]
    if asset is not None and asset.seconds is not None:
        return _exactly(_billed(asset.seconds, row))
    low, high = slot.min_seconds, slot.max_seconds
    return (
        None if low is None else _billed(low, row),
        None,
        None if high is None else _billed(high, row),
    )


def _billed(seconds: float, row: PriceRow) -> Decimal:
    exact = Decimal(str(round(seconds, 3)))
    if row.multiple is not None:
        return (exact / row.multiple).to_integral_value(ROUND_CEILING) * row.multiple
    if row.started is not None:
        return (exact / row.started).to_integral_value(ROUND_CEILING)
    return exact.to_integral_value(ROUND_HALF_UP)


def estimate_chain(
    fitted: FittedRequest,
    catalog: Catalog,
    *,
    region: str | None = None,
    on: datetime.date | None = None,
) -> CostEstimate:
    """Estimate a request with the paid steps that come before it; else like `estimate`."""
    own = estimate(fitted, catalog.provider, region=region, on=on)
    total = own
    for _, _, request in chains.steps(fitted):
        step = fit(request, catalog, load_assets=False)
        price = estimate(step, catalog.provider, region=region, on=on)
        total = _sum(total, price)
    return total


def _sum(first: CostEstimate, then: CostEstimate) -> CostEstimate:
    both = f"{first.hash}{then.hash}"
    return dataclasses.replace(
        first,
        expected=_add(first.expected, then.expected),
        low=_add(first.low, then.low),
        high=_add(first.high, then.high),
        per_second=None,
        units=None,
        reason=first.reason or then.reason,
        hash=hashlib.sha256(both.encode()).hexdigest()[:32],
    )


def _add(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


def _unknown(
    fitted: FittedRequest, provider: ProviderCard, currency: str, reason: str
) -> CostEstimate:
    return CostEstimate(
        provider=provider.name,
        model=fitted.card.name,
        expected=None,
        low=None,
        high=None,
        per_second=None,
        units=None,
        currency=currency,
        checked_on=None,
        source=None,
        confidence=None,
        reason=reason,
        hash=_hash(fitted, provider.name, reason),
    )


def _hash(fitted: FittedRequest, provider: str, price: str) -> str:
    content = {
        "provider": provider,
        "model": fitted.card.vendor_id,
        "prompt": fitted.prompt,
        "negative_prompt": fitted.negative_prompt,
        "parameters": dict(fitted.parameters),
        "vendor": dict(fitted.vendor),
        "assets": [(asset.role, asset.sha256) for asset in fitted.assets],
        "price": price,
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def priced(
    charge: Charge, estimated: Mapping[str, Any], provider: ProviderCard, region: str | None
) -> Charge:
    """Put money beside a charge in units, at the list price of a unit; a pack may be cheaper.

    An amount whose currency the vendor leaves out is in the one that the region is billed in.
    Where a unit has no price of its own, as many units as were estimated cost what was estimated;
    what a different number costs is not known until the vendor's books say it.

    Args:
        charge: what the vendor says of one task.
        estimated: the job's estimate, as JSON.
        provider: whose task it is.
        region: decides the currency.
    """
    currency = provider.currency(region)
    if charge.amount is not None:
        return dataclasses.replace(charge, currency=charge.currency or currency)
    if charge.units is None:
        return charge
    day = datetime.datetime.now(datetime.UTC).date()
    pack = charge.pack or "video"
    unit = load_price_book(provider.package).money_per_unit(currency, day, pack)
    if unit is not None:
        return dataclasses.replace(charge, amount=charge.units * unit.amount, currency=currency)
    counted, cost = estimated.get("units"), estimated.get("expected")
    if counted is None or cost is None or Decimal(counted) != charge.units:
        return charge
    return dataclasses.replace(charge, amount=Decimal(cost), currency=estimated["currency"])
