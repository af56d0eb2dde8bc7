"""One request, every provider: what each would charge, or why it cannot do it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from onetake import plugins
from onetake.catalog import Catalog, ModelCard
from onetake.errors import RequestError
from onetake.fitting import fit
from onetake.pricing.estimate import CostEstimate, estimate_chain
from onetake.request import GenerationRequest, GenerationType


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can do exactly what was asked.

    Attributes:
        estimate: its price.
        card: the model.
        notes: what would be translated on the way.
        sound: ``on`` or ``off``, as asked for or as the vendor does by default.
    """

    estimate: CostEstimate
    card: ModelCard
    notes: tuple[str, ...] = ()
    sound: str | None = None


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
        offers: what can be had.
        unavailable: what cannot, and why.
    """

    offers: tuple[Offer, ...]
    unavailable: tuple[Unavailable, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "offers": [offer.estimate.to_json() for offer in self.offers],
            "unavailable": [item.to_json() for item in self.unavailable],
        }


def compare(
    request: GenerationRequest,
    providers: Sequence[str] | None = None,
    *,
    region: str | None = None,
    on: datetime.date | None = None,
) -> Comparison:
    """Compare what a request costs at every provider. Needs no key, network or vendor SDK.

    Without a model in the request, every model of its generation type is compared; with one,
    each provider's models of that name.

    Args:
        request: the shot; only its parameters count, its files stay unread.
        providers: names; all installed ones when None.
        region: for providers that have it, decides the currency.
        on: day of the prices; today when None.

    Raises:
        RequestError: neither a model nor an exact generation type is given.
        ConfigurationError: a named provider is not installed.
    """
    if not request.model and _task(request) is None:
        raise RequestError(
            "generation_type: to compare, say which task, such as image-to-video, or name a model."
        )
    offers: list[Offer] = []
    unavailable: list[Unavailable] = []
    for name in providers if providers is not None else sorted(plugins.registry().cards):
        card = plugins.provider_card(name)
        known_region = region if region in card.regions else None
        for model in _candidates(request, plugins.catalog(name), unavailable):
            _price(request, plugins.catalog(name), model, known_region, on, offers, unavailable)
    return Comparison(tuple(sorted(offers, key=_rank)), tuple(unavailable))


def _task(request: GenerationRequest) -> str | None:
    kind = request.generation_type
    if isinstance(kind, GenerationType) and kind.is_exact:
        return kind.value
    if kind in (None, GenerationType.VIDEO, GenerationType.IMAGE) and request.assets:
        return f"image-to-{kind.value if isinstance(kind, GenerationType) else 'video'}"
    return None


def _candidates(
    request: GenerationRequest, catalog: Catalog, unavailable: list[Unavailable]
) -> list[ModelCard]:
    if not request.model:
        return [card for card in catalog.cards if card.task == _task(request)]
    cards = catalog.find(request.model)
    if not cards:
        error = catalog.unknown(request.model)
        unavailable.append(Unavailable(catalog.provider.name, request.model, str(error)))
    task = _task(request)
    return [card for card in cards if task is None or card.task == task] or list(cards)


def _price(
    request: GenerationRequest,
    catalog: Catalog,
    model: ModelCard,
    region: str | None,
    on: datetime.date | None,
    offers: list[Offer],
    unavailable: list[Unavailable],
) -> None:
    provider = catalog.provider
    exact = Catalog(provider, [model.model_copy(update={"groups": ()})])
    try:
        # the prompt costs nothing, so a shot can be priced before it is written
        shot = replace(request, model=model.name, prompt=request.prompt or "…")
        fitted = fit(shot, exact, load_assets=False)
    except RequestError as error:
        unavailable.append(Unavailable(provider.name, model.name, error.message))
    else:
        price = estimate_chain(fitted, catalog, region=region, on=on)
        sound = {True: "on", False: "off"}.get(fitted.value("audio"))
        offers.append(Offer(price, model, fitted.notes, sound))


def _rank(offer: Offer) -> tuple[bool, str, Decimal, Decimal, str, str]:
    price = offer.estimate
    return (
        price.expected is None,
        price.currency,
        price.per_second if price.per_second is not None else Decimal("Infinity"),
        price.expected if price.expected is not None else Decimal("Infinity"),
        price.model,
        price.provider,
    )
