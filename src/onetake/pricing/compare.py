"""One request, every provider: what each would charge, or why it cannot do it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from onetake import plugins
from onetake.catalog import Catalog, ModelCard
from onetake.errors import ConfigurationError, RequestError
from onetake.fitting import FittedRequest, fit
from onetake.money import NO_RATES, ExchangeRates, Money, exact
from onetake.pricing.estimate import MAX_AGE, CostEstimate, Terms, estimate_chain
from onetake.pricing.nearest import adjusted, differences
from onetake.pricing.price_book import Pack
from onetake.request import GenerationRequest, GenerationType


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can do what was asked, or something near to it.

    Attributes:
        estimate: its price.
        card: the model.
        notes: what would be translated on the way.
        sound: ``on`` or ``off``, as asked for or as the vendor does by default.
        resolution: resolution class, or None where it is not known.
        least_purchase: the smallest pack that can be bought, where the vendor sells packs.
        differs: in what it is not what was asked for; empty for an exact offer.
    """

    estimate: CostEstimate
    card: ModelCard
    notes: tuple[str, ...] = ()
    sound: str | None = None
    resolution: str | None = None
    least_purchase: Pack | None = None
    differs: tuple[str, ...] = ()

    @property
    def per_second(self) -> Decimal | None:
        """Cost of one second of output; where its length is not known, of one billed second."""
        price = self.estimate
        return price.per_second if price.per_output_second is None else price.per_output_second

    @property
    def per_minute(self) -> Decimal | None:
        """Cost of one minute of output."""
        return None if self.per_second is None else 60 * self.per_second

    def to_json(self) -> dict[str, Any]:
        """Return the estimate's JSON object with what belongs to the offer."""
        least = self.least_purchase
        return {
            **self.estimate.to_json(),
            "per_minute": exact(self.per_minute),
            "resolution": self.resolution,
            "sound": self.sound,
            "typical_seconds": self.card.typical_seconds,
            "least_purchase": None if least is None else least.model_dump(mode="json"),
            "notes": list(self.notes),
            "differs": list(self.differs),
        }


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A model that cannot do what was asked.

    Attributes:
        provider: provider name.
        model: model name.
        reason: why not, in one sentence.
    """

    provider: str
    model: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """Return it as plain JSON."""
        return {"provider": self.provider, "model": self.model, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Comparison:
    """All offers for one request, cheapest second first; unknown prices come last.

    Attributes:
        offers: what can be had exactly as asked.
        nearest: what comes near, and in what it differs.
        unavailable: what cannot be had, and why.
    """

    offers: tuple[Offer, ...]
    unavailable: tuple[Unavailable, ...]
    nearest: tuple[Offer, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "offers": [offer.to_json() for offer in self.offers],
            "nearest": [offer.to_json() for offer in self.nearest],
            "unavailable": [item.to_json() for item in self.unavailable],
        }


def compare(
    request: GenerationRequest,
    providers: Sequence[str] | None = None,
    *,
    region: str | None = None,
    on: datetime.date | None = None,
    prices: Path | None = None,
    price_age: int = MAX_AGE,
    rates: ExchangeRates = NO_RATES,
) -> Comparison:
    """Compare what a request costs at every provider. Needs no key, network or vendor SDK.

    Without a model in the request, every model of its generation type is compared; with one,
    each provider's models of that name. Like is compared with like: a model that has another
    length, resolution or sound than was asked for is listed apart.

    Args:
        request: the shot; only its parameters count, its files stay unread.
        providers: names; all installed ones when None.
        region: for providers that have it, decides the currency.
        on: day of the prices; today when None.
        prices: your own price file.
        price_age: days after which a price that was not read again is stale.
        rates: your exchange rates; without one, currencies are listed one after the other.

    Raises:
        RequestError: neither a model nor an exact generation type is given.
        ConfigurationError: a named provider is not installed, or the price file is not valid.
    """
    if not request.model and _task(request) is None:
        raise RequestError(
            "generation_type: to compare, say which task, such as image-to-video, or name a model."
        )
    search = _Search(request, Terms(region, on, prices, price_age))
    names = list(providers) if providers is not None else sorted(plugins.registry().cards)
    _check_region(region, names)
    for name in names:
        search.ask(plugins.catalog(name))
    return Comparison(
        offers=tuple(sorted(search.offers, key=lambda offer: _rank(offer, rates))),
        nearest=tuple(sorted(search.nearest, key=lambda offer: _rank(offer, rates))),
        unavailable=tuple(search.unavailable),
    )


def _check_region(region: str | None, providers: Sequence[str]) -> None:
    """Refuse a region that nobody has; it would silently be the default one everywhere.

    Raises:
        ConfigurationError: names the regions that there are.
    """
    known = {name for provider in providers for name in plugins.provider_card(provider).regions}
    if region is not None and region not in known:
        raise ConfigurationError(
            f"region: {region!r} is unknown; it is one of {', '.join(sorted(known))}."
        )


def _task(request: GenerationRequest) -> str | None:
    kind = request.generation_type
    if isinstance(kind, GenerationType) and kind.is_exact:
        return kind.value
    if kind in (None, GenerationType.VIDEO, GenerationType.IMAGE) and request.assets:
        return f"image-to-{kind.value if isinstance(kind, GenerationType) else 'video'}"
    return None


@dataclass
class _Search:
    """What was found so far."""

    request: GenerationRequest
    terms: Terms
    offers: list[Offer] = field(default_factory=list)
    nearest: list[Offer] = field(default_factory=list)
    unavailable: list[Unavailable] = field(default_factory=list)

    def ask(self, catalog: Catalog) -> None:
        """Price the request with each model of a provider that may do it."""
        regions = catalog.provider.regions
        region = self.terms.region if self.terms.region in regions else None
        terms = replace(self.terms, region=region)
        for model in self._candidates(catalog):
            self._price(catalog, model, terms)

    def _candidates(self, catalog: Catalog) -> list[ModelCard]:
        task = _task(self.request)
        if not self.request.model:
            return [card for card in catalog.cards if card.task == task]
        cards = catalog.find(self.request.model)
        if not cards:
            error = catalog.unknown(self.request.model)
            self._not(catalog.provider.name, self.request.model, str(error))
        return [card for card in cards if task is None or card.task == task] or list(cards)

    def _price(self, catalog: Catalog, model: ModelCard, terms: Terms) -> None:
        # the prompt costs nothing, so a shot can be priced before it is written
        shot = replace(self.request, model=model.name, prompt=self.request.prompt or "…")
        alone = Catalog(catalog.provider, [model.model_copy(update={"groups": ()})])
        try:
            fitted = fit(shot, alone, load_assets=False)
        except RequestError as error:
            self._near(catalog, alone, shot, terms, error)
        else:
            self.offers.append(_offer(catalog, fitted, terms))

    def _near(
        self,
        catalog: Catalog,
        alone: Catalog,
        shot: GenerationRequest,
        terms: Terms,
        error: RequestError,
    ) -> None:
        """Take what comes near in length, resolution or sound; say why the rest is out."""
        model = alone.cards[0]
        changed = replace(shot, parameters=adjusted(shot.parameters, model))
        try:
            fitted = fit(changed, alone, load_assets=False)
        except RequestError:
            self._not(catalog.provider.name, model.name, error.message)
            return
        differs = differences(shot.parameters, fitted)
        self.nearest.append(replace(_offer(catalog, fitted, terms), differs=differs))

    def _not(self, provider: str, model: str, reason: str) -> None:
        self.unavailable.append(Unavailable(provider, model, reason))


def _offer(catalog: Catalog, fitted: FittedRequest, terms: Terms) -> Offer:
    price = estimate_chain(fitted, catalog, terms)
    book = terms.book(catalog.provider)
    row = book.row(fitted, terms.day)
    least = None
    if row is not None and row.units is not None:
        least = book.least_purchase(price.currency, terms.day, row.pack)
    resolution = fitted.value("resolution")
    return Offer(
        estimate=price,
        card=fitted.card,
        notes=fitted.notes,
        sound=_SOUND.get(fitted.value("audio")),
        resolution=None if resolution is None else str(resolution),
        least_purchase=least,
    )


_SOUND: Mapping[Any, str] = {True: "on", False: "off"}
_DEAREST = Decimal("Infinity")


def _rank(offer: Offer, rates: ExchangeRates) -> tuple[bool, str, Decimal, Decimal, str, str]:
    price = offer.estimate
    second = rates.common(_money(offer.per_second, price.currency))
    job = rates.common(_money(price.expected, price.currency))
    return (
        price.expected is None and offer.per_second is None,
        job.currency,
        second.amount,
        job.amount,
        price.model,
        price.provider,
    )


def _money(amount: Decimal | None, currency: str) -> Money:
    return Money(_DEAREST if amount is None else amount, currency)
