"""``onetake estimate`` and ``onetake compare``. They need no key, network or SDK."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from onetake.cli import options, output

if TYPE_CHECKING:
    from onetake.pricing.compare import Comparison, Offer
    from onetake.pricing.estimate import CostEstimate


class Format(enum.StrEnum):
    """How to print a comparison."""

    TABLE = "table"
    JSON = "json"


def estimate(
    prompt: options.Prompt = "",
    provider: options.ProviderName = None,
    model: options.Model = None,
    asset: options.Assets = None,
    duration: options.Duration = None,
    aspect_ratio: options.AspectRatio = None,
    resolution: options.Resolution = None,
    mode: options.Mode = None,
    audio: options.Audio = None,
    param: options.Params = None,
    region: options.Region = None,
    as_json: options.Json = False,
) -> None:
    """Say what a request will cost, and where the price comes from."""
    from onetake import plugins
    from onetake.fitting import fit
    from onetake.pricing.estimate import estimate as price_of

    name = options.choose_provider(provider, model)
    card = plugins.provider_card(name)
    card.host(region)
    request = options.build_request(
        prompt or "…",
        model=model or "",
        assets=asset,
        params=param,
        duration=duration,
        aspect_ratio=aspect_ratio,
        resolution=resolution,
        mode=mode,
        audio=audio,
    )
    fitted = fit(request, plugins.catalog(name), load_assets=False)
    price = price_of(fitted, card, region=region)
    if as_json:
        output.print_json(price.to_json())
    else:
        _print_estimate(price)


def _print_estimate(price: CostEstimate) -> None:
    if price.expected is None:
        output.say(f"{price.provider} {price.model}: unknown: {price.reason}.")
        return
    per_second = "" if price.per_second is None else f", {_plain(price.per_second)} per second"
    output.say(
        f"{price.provider} {price.model}: {price.currency} {_plain(price.expected)}{per_second}"
    )
    output.say(f"source: {price.source}; read {price.checked_on}; confidence {price.confidence}")


def compare(
    prompt: options.Prompt = "",
    provider: Annotated[
        list[str] | None, typer.Option("-p", "--provider", help="Only these; repeatable.")
    ] = None,
    model: options.Model = None,
    task: Annotated[str | None, typer.Option(help="Such as image-to-video.")] = None,
    asset: options.Assets = None,
    duration: options.Duration = None,
    aspect_ratio: options.AspectRatio = None,
    resolution: options.Resolution = None,
    mode: options.Mode = None,
    audio: options.Audio = None,
    param: options.Params = None,
    region: options.Region = None,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TABLE,
    as_json: options.Json = False,
) -> None:
    """Compare what the same shot costs at every provider."""
    from onetake.pricing.compare import compare as compare_prices

    request = options.build_request(
        prompt or "…",
        model=model or "",
        generation_type=task or (None if model or asset else "text-to-video"),
        assets=asset,
        params=param,
        duration=duration,
        aspect_ratio=aspect_ratio,
        resolution=resolution,
        mode=mode,
        audio=audio,
    )
    found = compare_prices(request, provider or None, region=region)
    if as_json or form is Format.JSON:
        output.print_json(found.to_json())
    else:
        print_comparison(found)


def print_comparison(found: Comparison) -> None:
    """Print a comparison as a table, and why the rest cannot do it."""
    columns = (
        "provider",
        "model",
        "resolution",
        "sound",
        "$/second",
        "$/job",
        "currency",
        "read",
        "source",
    )
    output.table(columns, [_row(offer) for offer in found.offers])
    for item in found.unavailable:
        output.hint(f"not {item.provider} {item.model}: {item.reason}")


def _row(offer: Offer) -> tuple[str | None, ...]:
    price = offer.estimate
    if price.expected is None:
        unknown = f"unknown: {price.reason}"
        shown = (price.provider, price.model, offer.card.resolution, offer.sound)
        return (*shown, None, None, None, None, unknown)
    return (
        price.provider,
        price.model,
        offer.card.resolution,
        offer.sound,
        None if price.per_second is None else _plain(price.per_second),
        _plain(price.expected),
        price.currency,
        price.checked_on,
        price.source,
    )


def _plain(amount: Decimal) -> str:
    from onetake.money import plain

    return plain(amount)
