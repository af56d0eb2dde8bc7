"""Storyboards: several shots at once, what each provider and model would charge for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from onetake.errors import RequestError
from onetake.money import NO_RATES, ExchangeRates, Money, exact
from onetake.pricing.compare import Comparison, Offer, compare
from onetake.request import GenerationRequest


@dataclass(frozen=True, slots=True)
class Total:
    """One way to make every shot.

    Attributes:
        name: provider, ``provider model``, or ``cheapest mix``.
        offers: the offer for each shot; None where there is none of known price.
        currency: of ``expected``.
        expected: cost of all shots; None if a shot is missing or its price is unknown: a part of
            the shots is not a price for all.
        seconds: length of all shots, or None.
        reason: why there is no total, else None.
    """

    name: str
    offers: tuple[Offer | None, ...]
    currency: str
    expected: Decimal | None
    seconds: Decimal | None
    reason: str | None = None

    @property
    def per_second(self) -> Decimal | None:
        """Cost of one second of the storyboard."""
        if self.expected is None or not self.seconds:
            return None
        return (self.expected / self.seconds).quantize(Decimal("0.000001"))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON; money as decimal strings."""
        return {
            "name": self.name,
            "models": [
                None if offer is None else f"{offer.estimate.provider} {offer.estimate.model}"
                for offer in self.offers
            ],
            "currency": self.currency,
            "expected": exact(self.expected),
            "seconds": exact(self.seconds),
            "per_second": exact(self.per_second),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Storyboard:
    """Several shots compared.

    Attributes:
        shots: what was asked for.
        comparisons: each shot's own comparison.
        providers: the cheapest way at each provider alone, cheapest first.
        routes: each model that makes all shots, cheapest first.
        mixes: the cheapest offer for each shot, wherever it is; one for each currency that has all
            shots and that no rate of yours brings together. If none has all, one that lacks some.
    """

    shots: tuple[GenerationRequest, ...]
    comparisons: tuple[Comparison, ...]
    providers: tuple[Total, ...]
    routes: tuple[Total, ...]
    mixes: tuple[Total, ...]

    @property
    def mix(self) -> Total:
        """The first of the mixes: the cheapest of all only if there is no other."""
        return self.mixes[0]

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "shots": [item.to_json() for item in self.comparisons],
            "providers": [item.to_json() for item in self.providers],
            "routes": [item.to_json() for item in self.routes],
            "mix": self.mix.to_json(),
            "mixes": [item.to_json() for item in self.mixes],
        }


def compare_shots(
    shots: Sequence[GenerationRequest],
    providers: Sequence[str] | None = None,
    *,
    rates: ExchangeRates = NO_RATES,
    **options: Any,
) -> Storyboard:
    """Compare what several shots cost: at each provider, with each model, and mixed.

    Args:
        shots: the requests.
        providers: names; all installed ones when None.
        rates: your exchange rates; without one, a total is in the currency that most
            shots can be had in, and each currency has its own cheapest mix.
        **options: further arguments of `onetake.compare`.

    Raises:
        RequestError: there are no shots, or one of them cannot be compared.
        ConfigurationError: as for `onetake.compare`.
    """
    if not shots:
        raise RequestError("shots: give one at least.")
    found = tuple(compare(shot, providers, rates=rates, **options) for shot in shots)
    offers = [offer for item in found for offer in item.offers]
    names = dict.fromkeys(offer.estimate.provider for offer in offers)
    models = dict.fromkeys((offer.estimate.provider, offer.estimate.model) for offer in offers)
    return Storyboard(
        shots=tuple(shots),
        comparisons=found,
        providers=_sorted([_total(name, found, rates, _of_provider(name)) for name in names]),
        routes=_sorted(
            [
                _total(" ".join(model), found, rates, _of_model(model))
                for model in models
                if all(any(map(_of_model(model), item.offers)) for item in found)
            ]
        ),
        mixes=_mixes(found, rates),
    )


Choice = Callable[[Offer], bool]


def _of_provider(name: str) -> Choice:
    return lambda offer: offer.estimate.provider == name


def _of_model(model: tuple[str, str]) -> Choice:
    return lambda offer: (offer.estimate.provider, offer.estimate.model) == model


def _total(
    name: str, found: Sequence[Comparison], rates: ExchangeRates, is_wanted: Choice
) -> Total:
    """Add the cheapest wanted offers up, in the currency that most shots can be had in."""
    return _ways(name, found, rates, is_wanted)[0]


def _mixes(found: Sequence[Comparison], rates: ExchangeRates) -> tuple[Total, ...]:
    """Return the cheapest mix of each currency; one that lacks shots only if all lack some."""
    ways = _ways("cheapest mix", found, rates, lambda offer: True)
    whole = [way for way in ways if way.expected is not None] or ways[:1]
    if len(whole) == 1:
        return tuple(whole)
    return tuple(replace(way, name=f"{way.name} in {way.currency}") for way in whole)


def _ways(
    name: str, found: Sequence[Comparison], rates: ExchangeRates, is_wanted: Choice
) -> list[Total]:
    """Add the cheapest wanted offers up in each currency; those with the most shots come first."""
    costs = [_costs(item, rates, is_wanted) for item in found]
    currencies = sorted({cost.currency for shot in costs for cost, _ in shot})
    ways = [_in_currency(name, costs, currency) for currency in currencies or ["USD"]]
    return sorted(ways, key=lambda way: -sum(offer is not None for offer in way.offers))


Cost = tuple[Money, Offer]


def _costs(item: Comparison, rates: ExchangeRates, is_wanted: Choice) -> list[Cost]:
    """Return the wanted offers of known price, cheapest job first."""
    known = [
        (rates.common(Money(offer.estimate.expected, offer.estimate.currency)), offer)
        for offer in filter(is_wanted, item.offers)
        if offer.estimate.expected is not None
    ]
    return sorted(known, key=lambda cost: cost[0].amount)


def _in_currency(name: str, costs: Sequence[Sequence[Cost]], currency: str) -> Total:
    chosen = [next((cost for cost in shot if cost[0].currency == currency), None) for shot in costs]
    missing = [
        f"{number} (only in another currency)" if shot else str(number)
        for number, (shot, cost) in enumerate(zip(costs, chosen, strict=True), start=1)
        if cost is None
    ]
    lengths = [None if cost is None else cost[1].estimate.seconds for cost in chosen]
    known = [length for length in lengths if length is not None]
    amounts = [cost[0].amount for cost in chosen if cost is not None]
    return Total(
        name=name,
        offers=tuple(None if cost is None else cost[1] for cost in chosen),
        currency=currency,
        expected=None if missing else sum(amounts, Decimal(0)),
        seconds=sum(known, Decimal(0)) if len(known) == len(lengths) else None,
        reason=f"no offer of known price for shot {', '.join(missing)}" if missing else None,
    )


def _sorted(totals: Sequence[Total]) -> tuple[Total, ...]:
    def rank(total: Total) -> tuple[bool, str, Decimal, str]:
        return (total.expected is None, total.currency, total.expected or Decimal(0), total.name)

    return tuple(sorted(totals, key=rank))


def shots_of(entries: Any) -> list[GenerationRequest]:
    """Read shots from plain data, as a JSON or TOML file has them.

    Args:
        entries: a list of mappings with ``prompt``, ``task``, ``model``, and any parameter beside
            them, such as ``duration``.

    Raises:
        RequestError: names the entry that is none.
    """
    if not isinstance(entries, list):
        raise RequestError(f"shots: expected a list of objects, got {type(entries).__name__}.")
    shots = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, Mapping):
            raise RequestError(f"shots: entry {number} is {entry!r:.60}, not an object.")
        try:
            shots.append(_shot(dict(entry)))
        except RequestError as error:
            raise RequestError(f"shots: entry {number}: {error.message}") from error
    return shots


def _shot(entry: dict[str, Any]) -> GenerationRequest:
    prompt, model = entry.pop("prompt", "…"), entry.pop("model", "")
    task = entry.pop("task", None if model else "text-to-video")
    assets = entry.pop("assets", ())
    return GenerationRequest(
        prompt=prompt,
        model=model,
        generation_type=task,
        reference_assets=assets,
        parameters=entry,
    )
