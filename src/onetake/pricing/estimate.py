"""What a request will cost, from which row, and how sure that is."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from onetake.catalog import ProviderCard
from onetake.driver import Charge
from onetake.fitting import FittedRequest
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
    currency = provider.currencies.get(region or provider.default_region, "USD")
    row = load_price_book(provider.package).row(fitted, day)
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
    quantity = _quantity(fitted, row)
    if quantity is None:
        return _unknown(fitted, provider, currency, f"the {row.unit}s are not known beforehand")
    amount, source, confidence = row.amount, row.source, row.confidence
    if row.units is not None:
        unit = load_price_book(provider.package).money_per_unit(currency, day)
        if unit is None:
            return _unknown(fitted, provider, currency, f"no unit price in {currency}")
        amount, source = row.units * unit.amount, f"{source}; {unit.amount} {currency} per unit"
    else:
        currency = row.currency
    assert amount is not None
    cost = amount * quantity
    seconds = fitted.value("duration")
    per_second = cost / Decimal(str(seconds)) if seconds and row.unit != "image" else None
    return CostEstimate(
        provider=provider.name,
        model=fitted.card.name,
        expected=cost,
        low=cost,
        high=cost,
        per_second=per_second,
        currency=currency,
        checked_on=row.checked_on.isoformat(),
        source=source,
        confidence=confidence,
        reason=None,
        hash=_hash(fitted, provider.name, f"{cost} {currency} {row.checked_on}"),
    )


def _quantity(fitted: FittedRequest, row: PriceRow) -> Decimal | None:
    if row.unit == "second":
        seconds = fitted.value("duration")
        return None if seconds is None else Decimal(str(seconds))
    if row.unit == "image":
        return Decimal(str(fitted.value("n") or 1))
    return Decimal(1)


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


def priced(charge: Charge, provider: ProviderCard, region: str | None) -> Charge:
    """Put money beside a charge in units, at the list price of a unit; a pack may be cheaper."""
    if charge.amount is not None or charge.units is None:
        return charge
    currency = provider.currencies.get(region or provider.default_region, "USD")
    day = datetime.datetime.now(datetime.UTC).date()
    unit = load_price_book(provider.package).money_per_unit(currency, day)
    if unit is None:
        return charge
    return dataclasses.replace(charge, amount=charge.units * unit.amount, currency=currency)
