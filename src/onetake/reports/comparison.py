"""Comparisons and storyboards as tables and charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from onetake.money import Money
from onetake.pricing.compare import Comparison, Offer
from onetake.pricing.estimate import CostEstimate
from onetake.pricing.storyboard import Storyboard, Total
from onetake.reports.page import Chart
from onetake.reports.tables import Cell, Table

_OFFER = (
    "provider", "model", "resolution", "sound", "seconds", "per second", "per minute", "per job",
    "currency", "typical wait", "least purchase", "price of", "confidence", "source",
)  # fmt: skip


_SPARE = (
    "source", "typical wait", "least purchase", "confidence", "per minute", "seconds", "price of",
    "resolution", "sound",
)  # fmt: skip


def comparison_tables(found: Comparison) -> list[Table]:
    """Return offers, near offers, and what cannot be had."""
    tables = [Table("Offers", _OFFER, tuple(map(_offer, found.offers)), _NOTE, _SPARE)]
    if found.nearest:
        rows = tuple(
            (*_offer(offer)[:2], ", ".join(offer.differs), *_offer(offer)[4:])
            for offer in found.nearest
        )
        columns = ("provider", "model", "differs", *_OFFER[4:])
        tables.append(Table("Near to it, but not the same", columns, rows, spare=_SPARE))
    if found.unavailable:
        rows = tuple((item.provider, item.model, item.reason) for item in found.unavailable)
        tables.append(Table("Not to be had", ("provider", "model", "why not"), rows))
    return tables


_NOTE = (
    "Least purchase: the smallest pack whose price is known, where the vendor sells packs. "
    "Typical wait: seconds. An unknown price is shown as –, with its reason as the source."
)


def _offer(offer: Offer) -> tuple[Cell, ...]:
    price = offer.estimate
    return (
        price.provider,
        price.model,
        offer.resolution,
        offer.sound,
        price.seconds,
        offer.per_second,
        offer.per_minute,
        price.expected,
        price.currency,
        f"{offer.card.typical_seconds:g} s",
        _least(offer),
        read_on(price),
        price.confidence,
        price.source if price.expected is not None else f"unknown: {price.reason}",
    )


def _least(offer: Offer) -> str | None:
    pack = offer.least_purchase
    if pack is None or pack.price is None:
        return None
    return f"{Money(pack.price, pack.currency)} ({pack.confidence})"


def read_on(price: CostEstimate) -> str | None:
    """Return the day on which a price was read, and whether that is long ago."""
    return f"{price.checked_on}, stale" if price.stale else price.checked_on


def comparison_charts(found: Comparison) -> list[Chart]:
    """Return the price of a second of each offer; one chart per currency."""
    return [
        _bars(f"Price of a second, {currency}", offers)
        for currency, offers in _by_currency(found.offers).items()
    ]


def _by_currency(offers: Sequence[Offer]) -> dict[str, list[Offer]]:
    found: dict[str, list[Offer]] = {}
    for offer in offers:
        if offer.per_second is not None:
            found.setdefault(offer.estimate.currency, []).append(offer)
    return found


def _bars(title: str, offers: Sequence[Offer]) -> Chart:
    names = sorted({offer.estimate.provider for offer in offers})
    series = {
        name: [offer.per_second if offer.estimate.provider == name else None for offer in offers]
        for name in names
    }
    return Chart(title, _labels(offers), series)


def _labels(offers: Sequence[Offer]) -> list[str]:
    """Name offers with what they differ in: a second with sound is not one without."""
    resolutions = {offer.resolution for offer in offers}
    sounds = {offer.sound for offer in offers}
    return [
        " ".join(
            [
                offer.estimate.provider,
                offer.estimate.model,
                *([str(offer.resolution)] if offer.resolution and len(resolutions) > 1 else []),
                *([f"sound {offer.sound}"] if offer.sound and len(sounds) > 1 else []),
            ]
        )
        for offer in offers
    ]


_CHOSEN = (
    "provider", "model", "seconds", "per second", "per job", "currency", "price of", "confidence",
    "source",
)  # fmt: skip
_TOTAL = (
    "way", "all shots", "currency", "seconds", "per second", "oldest price", "models", "why not",
)  # fmt: skip


def storyboard_tables(found: Storyboard) -> list[Table]:
    """Return the totals of all ways, then the cheapest offer for each shot."""
    tables = [
        _ways("The whole storyboard", (*found.mixes, *found.providers)),
        _ways("With one model for all shots", found.routes),
    ]
    for mix in found.mixes:
        where = f", {mix.currency}" if len(found.mixes) > 1 else ""
        tables.append(_shots(f"The cheapest offer for each shot{where}", found, mix))
    return [table for table in tables if table.rows]


def _ways(title: str, totals: Sequence[Total]) -> Table:
    spare = ("oldest price", "models", "per second", "seconds")
    return Table(title, _TOTAL, tuple(map(_total, totals)), spare=spare)


def _shots(title: str, found: Storyboard, mix: Total) -> Table:
    rows = [
        (number, (shot.prompt or "…")[:60], *_chosen(offer), None if offer else _why_not(item))
        for number, (shot, offer, item) in enumerate(
            zip(found.shots, mix.offers, found.comparisons, strict=True), start=1
        )
    ]
    columns, spare = ("shot", "prompt", *_CHOSEN, "why not"), (*_SPARE, "prompt")
    return Table(title, columns, tuple(rows), spare=spare)


def _oldest(total: Total) -> str | None:
    """Return the day of the price that was read longest ago, and whether one is stale."""
    prices = [offer.estimate for offer in total.offers if offer is not None]
    days = [price.checked_on for price in prices if price.checked_on is not None]
    stale = ", stale" if any(price.stale for price in prices) else ""
    return f"{min(days)}{stale}" if days else None


def _total(total: Total) -> tuple[Cell, ...]:
    names = dict.fromkeys(
        f"{offer.estimate.provider} {offer.estimate.model}" for offer in total.offers if offer
    )
    told = ", ".join(names)
    return (
        total.name,
        total.expected,
        total.currency,
        total.seconds,
        total.per_second,
        _oldest(total),
        told,
        total.reason,
    )


def _chosen(offer: Offer | None) -> tuple[Cell, ...]:
    if offer is None:
        return (None,) * len(_CHOSEN)
    price = offer.estimate
    return (
        price.provider,
        price.model,
        price.seconds,
        offer.per_second,
        price.expected,
        price.currency,
        read_on(price),
        price.confidence,
        price.source,
    )


def _why_not(found: Comparison) -> str:
    """Say why a shot has no offer: the reason that most models give."""
    reasons = [offer.estimate.reason for offer in found.offers if offer.estimate.reason]
    reasons += [item.reason.replace(item.model, "it") for item in found.unavailable]
    alive = [reason for reason in reasons if "discontinued" not in reason]
    near = [f"only nearly: {', '.join(offer.differs)}" for offer in found.nearest]
    counted = Counter(alive or near or reasons).most_common(1)
    return counted[0][0] if counted else "no model does this task"


def storyboard_charts(found: Storyboard) -> list[Chart]:
    """Return what all shots cost on each way."""
    charts = []
    for title, totals in (
        ("The whole storyboard", (*found.mixes, *found.providers)),
        ("With one model for all shots", found.routes),
    ):
        known = [total for total in totals if total.expected is not None]
        for currency in dict.fromkeys(total.currency for total in known):
            some = [total for total in known if total.currency == currency]
            values = {currency: [total.expected for total in some]}
            names = [total.name for total in some]
            charts.append(Chart(f"{title}, {currency}", names, values))
    return charts
