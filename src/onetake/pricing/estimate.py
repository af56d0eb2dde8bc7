"""What a request will cost, from which row, and how sure that is."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from onetake import chains
from onetake.catalog import Catalog, ProviderCard
from onetake.fitting import FittedRequest, fit
from onetake.money import exact, plain
from onetake.pricing.price_book import STARTED, PriceBook, PriceRow, UnitPrice, load_price_book
from onetake.pricing.quantities import Quantity, quantity

MAX_AGE = 180
"""Days after which a price that was not read again is called stale."""

_CONFIDENCE = ("low", "medium", "high")
_MICRO = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Terms:
    """What prices are asked for.

    Attributes:
        region: decides the currency; the provider's default when None.
        on: day of the prices; today (UTC) when None.
        prices: the user's own price file, or None.
        max_age: days after which a price that was not read again is stale.
    """

    region: str | None = None
    on: datetime.date | None = None
    prices: Path | None = None
    max_age: int = MAX_AGE

    @property
    def day(self) -> datetime.date:
        """The day of the prices."""
        return self.on or datetime.datetime.now(datetime.UTC).date()

    def is_stale(self, checked_on: datetime.date) -> bool:
        """Say whether a price was read so long ago that it may have changed."""
        return (self.day - checked_on).days > self.max_age

    def book(self, provider: ProviderCard) -> PriceBook:
        """Return a provider's price book, with the user's own prices.

        Raises:
            ConfigurationError: a price file cannot be read.
        """
        return load_price_book(provider.package, self.prices, provider.name)


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """An estimate. An unknown price is ``None`` with a reason, never zero.

    Attributes:
        provider: provider name.
        model: neutral model name.
        expected: most likely cost, in ``currency``; None when unknown.
        low: lowest cost that the vendor's rules and the sources allow.
        high: highest cost that they allow; what a budget reserves.
        per_second: cost of one second as the vendor counts them; None where it counts none.
        per_output_second: expected cost divided by the seconds of the output; None for pictures
            and where its length is not known. It differs from ``per_second`` where a vendor rounds
            up, counts seconds of an input, or where paid steps come first.
        units: what the price row counts, as expected: seconds, pictures, calls; None if unknown.
        seconds: length of the output, or None.
        currency: ISO 4217 code.
        basis: the calculation in words, such as ``5 s × USD 0.28``; None when unknown.
        row: name of the price row: model, conditions, first day; several for a chain.
        why: one sentence on why that row was chosen.
        as_of: day for which the price was looked up (ISO 8601).
        checked_on: day on which the price was read (ISO 8601).
        stale: it was read so long ago that it may have changed.
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
    as_of: str
    per_output_second: Decimal | None = None
    seconds: Decimal | None = None
    basis: str | None = None
    row: str | None = None
    why: str | None = None
    stale: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON object; money as decimal strings."""
        return {
            "provider": self.provider,
            "model": self.model,
            "expected": exact(self.expected),
            "low": exact(self.low),
            "high": exact(self.high),
            "per_second": exact(self.per_second),
            "per_output_second": exact(self.per_output_second),
            "units": exact(self.units),
            "seconds": exact(self.seconds),
            "currency": self.currency,
            "basis": self.basis,
            "row": self.row,
            "as_of": self.as_of,
            "checked_on": self.checked_on,
            "stale": self.stale,
            "source": self.source,
            "confidence": self.confidence,
            "reason": self.reason,
            "hash": self.hash,
        }


def estimate(
    fitted: FittedRequest, provider: ProviderCard, terms: Terms | None = None
) -> CostEstimate:
    """Estimate a request that fits its model, without the paid steps that may come before it.

    Args:
        fitted: the request.
        provider: its provider.
        terms: region, day and price file; today's list prices when None.
    """
    known = terms or Terms()
    book = known.book(provider)
    row = book.row(fitted, known.day)
    passed = sorted(set(fitted.vendor) - provider.unpriced_fields)
    if passed and fitted.card.catalogued:
        why = f"{', '.join(passed)} is passed to the vendor as it is, and may change it"
        return _unknown(fitted, provider, known, why)
    if row is None:
        return _unknown(fitted, provider, known, _why_unknown(fitted, book, known.day))
    return _priced(fitted, provider, book, row, known)


def _why_unknown(fitted: FittedRequest, book: PriceBook, day: datetime.date) -> str:
    if not fitted.card.catalogued:
        return f"{fitted.card.vendor_id} is not in the catalog, so it has no price row"
    deciding = book.deciding(fitted.card.name, day)
    asked = f"; its prices depend on {', '.join(deciding)}" if deciding else ""
    return f"no price row of {fitted.card.name} fits these parameters{asked}"


def _priced(
    fitted: FittedRequest, provider: ProviderCard, book: PriceBook, row: PriceRow, terms: Terms
) -> CostEstimate:
    currency, unit = row.currency, None
    if row.units is not None:
        currency = provider.currency(terms.region)
        unit = book.money_per_unit(currency, terms.day, row.pack)
        if unit is None:
            return _unknown(fitted, provider, terms, f"no unit price in {currency}")
    each = Decimal(1) if unit is None else unit.amount
    rates = [rate * each for rate in row.rates]
    lowest = min(rates) if row.at_least is None else row.at_least * each
    counted = quantity(fitted, row)
    expected = None if row.at_least is not None else _times(rates[0], counted.expected)
    source = (
        row.source
        if unit is None
        else f"{row.source}; {plain(unit.amount)} {currency} per unit: {unit.source}"
    )
    checked = min([row.checked_on, *([] if unit is None else [unit.checked_on])])
    price = CostEstimate(
        provider=provider.name,
        model=fitted.card.name,
        expected=expected,
        low=_times(lowest, counted.low),
        high=_times(max(rates), counted.high),
        per_second=_per_second(row, rates[0], counted),
        per_output_second=_divided(expected, counted.seconds),
        units=_units(book, row, counted),
        seconds=counted.seconds,
        currency=currency,
        basis=_basis(row, unit, currency, counted),
        row=row.name,
        why=book.why(row, fitted, terms.day),
        as_of=terms.day.isoformat(),
        checked_on=checked.isoformat(),
        stale=terms.is_stale(checked),
        source=source,
        confidence=_least(row.confidence, row.confidence if unit is None else unit.confidence),
        reason=None if expected is not None else _why_open(row),
        hash="",
    )
    return dataclasses.replace(price, hash=_hash(fitted, price))


def _units(book: PriceBook, row: PriceRow, counted: Quantity) -> Decimal | None:
    """Return how many units the vendor will count; of another kind of unit it may count others."""
    if not book.counts_alike(row):
        return None
    return _times(Decimal(1) if row.units is None else row.units, counted.expected)


def _times(amount: Decimal, count: Decimal | None) -> Decimal | None:
    return None if count is None else amount * count


def _divided(cost: Decimal | None, seconds: Decimal | None) -> Decimal | None:
    if cost is None or not seconds:
        return None
    return (cost / seconds).quantize(_MICRO, ROUND_HALF_UP)


def _per_second(row: PriceRow, rate: Decimal, counted: Quantity) -> Decimal | None:
    if row.unit == "second":
        return rate
    if row.unit in STARTED:
        return rate / STARTED[row.unit]
    if row.unit == "video":
        return _divided(_times(rate, counted.expected), counted.seconds)
    return None


_NAMES = {"second": "s", "started_5s": "× 5 s begun", "image": "pictures", "call": "calls"}


def _basis(row: PriceRow, unit: UnitPrice | None, currency: str, counted: Quantity) -> str:
    """Write the calculation in words."""
    rate = f"{currency} {plain(row.rates[0])}"
    if unit is not None:
        rate = f"{exact(row.rates[0])} units × {currency} {plain(unit.amount)}"
    per = _NAMES.get(row.unit, row.unit)
    if counted.expected is None:
        return f"{rate} for each {row.each}"
    if row.unit in ("video", "call") and counted.expected == 1:
        return rate
    return f"{exact(counted.expected)} {per} × {rate}"


def _why_open(row: PriceRow) -> str:
    if row.at_least is not None:
        return row.note or "what decides it is not part of the request"
    if row.measure is not None:
        return f"it depends on the length of the {row.measure}, which is not known here"
    return f"the number of {row.unit}s is not known beforehand"


def _least(*words: str | None) -> str | None:
    """Return the least sure of some confidences; None if one has none."""
    known = [_CONFIDENCE.index(word) for word in words if word is not None]
    return _CONFIDENCE[min(known)] if len(known) == len(words) else None


def estimate_chain(
    fitted: FittedRequest, catalog: Catalog, terms: Terms | None = None
) -> CostEstimate:
    """Estimate a request with the paid steps that come before it; else like `estimate`."""
    own = estimate(fitted, catalog.provider, terms)
    steps = [fit(request, catalog, load_assets=False) for _, _, request in chains.steps(fitted)]
    if not steps:
        return own
    return total([own, *(estimate(step, catalog.provider, terms) for step in steps)])


def total(parts: Sequence[CostEstimate]) -> CostEstimate:
    """Add estimates up; the first one says whose they are and how long the output is.

    One unknown part makes the sum unknown: nothing is free in a sum. So do two currencies.
    """
    first = parts[0]
    mixed = {part.currency for part in parts} != {first.currency}
    reasons = ["two currencies cannot be added"] if mixed else []
    reasons += [part.reason for part in parts if part.reason is not None]
    expected = None if reasons else _sum([part.expected for part in parts])
    told = [part for part in parts if part.row is not None]
    return dataclasses.replace(
        first,
        expected=expected,
        low=None if mixed else _sum([part.low for part in parts]),
        high=None if mixed else _sum([part.high for part in parts]),
        per_second=None,
        per_output_second=_divided(expected, first.seconds),
        units=None,
        basis=" + ".join(str(part.basis) for part in told) or None,
        row=" + ".join(str(part.row) for part in told) or None,
        why=" ".join(str(part.why) for part in told) or None,
        checked_on=min((str(part.checked_on) for part in told), default=None),
        stale=any(part.stale for part in parts),
        source="; ".join(dict.fromkeys(str(part.source) for part in told)) or None,
        confidence=_least(*(part.confidence for part in parts)),
        reason=reasons[0] if reasons else None,
        hash=hashlib.sha256("".join(part.hash for part in parts).encode()).hexdigest()[:32],
    )


def _sum(amounts: Sequence[Decimal | None]) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if len(known) == len(amounts) else None


def _unknown(
    fitted: FittedRequest, provider: ProviderCard, terms: Terms, reason: str
) -> CostEstimate:
    price = CostEstimate(
        provider=provider.name,
        model=fitted.card.name,
        expected=None,
        low=None,
        high=None,
        per_second=None,
        units=None,
        currency=provider.currency(terms.region),
        checked_on=None,
        source=None,
        confidence=None,
        reason=reason,
        hash="",
        as_of=terms.day.isoformat(),
    )
    return dataclasses.replace(price, hash=_hash(fitted, price))


def _hash(fitted: FittedRequest, price: CostEstimate) -> str:
    """Identify a request and everything of its price that an approval rests on."""
    bounds = (price.low, price.expected, price.high)
    content = {
        "provider": price.provider,
        "model": fitted.card.vendor_id,
        "prompt": fitted.prompt,
        "negative_prompt": fitted.negative_prompt,
        "parameters": dict(fitted.parameters),
        "vendor": dict(fitted.vendor),
        "assets": [(asset.role, asset.sha256) for asset in fitted.assets],
        "price": [*map(exact, bounds), price.currency, price.row, price.checked_on],
        "reason": price.reason,
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
