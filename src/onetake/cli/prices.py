"""``onetake estimate`` and ``onetake prices``: what a request will cost, and where that stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from onetake.cli import formats, options, output
from onetake.errors import ConfigurationError, OnetakeError, RequestError

if TYPE_CHECKING:
    from onetake.driver import ListPrice
    from onetake.pricing.estimate import CostEstimate, Terms
    from onetake.pricing.listing import Difference
    from onetake.reports.tables import Table

Providers = Annotated[
    list[str] | None, typer.Option("-p", "--provider", help="Only these; repeatable.")
]
app = typer.Typer(
    help="The price book: list it, compare it with a vendor's own list, its schema.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _terms(region: str | None) -> Terms:
    from onetake.pricing.estimate import Terms
    from onetake.settings import load_settings

    settings = load_settings()
    return Terms(region, None, settings.prices, settings.price_age)


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
    from onetake.assets import is_absent
    from onetake.fitting import fit
    from onetake.pricing.estimate import estimate_chain

    name = options.choose_provider(provider, model)
    plugins.provider_card(name).host(region)
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
    catalog = plugins.catalog(name)
    absent = [asset.label for asset in request.assets if is_absent(asset)]
    if absent:  # a price may not depend on it
        output.hint(f"not there, and so not read: {', '.join(absent)}")
    fitted = fit(request, catalog, load_assets=not absent)
    price = estimate_chain(fitted, catalog, _terms(region))
    if as_json:
        output.print_json(price.to_json())
    else:
        _print_estimate(price)


def _print_estimate(price: CostEstimate) -> None:
    from onetake.money import plain

    if price.expected is None:
        output.say(f"{price.provider} {price.model}: unknown: {price.reason}.")
        if price.low is not None and price.high is not None:
            output.say(f"between {price.currency} {plain(price.low)} and {plain(price.high)}")
    else:
        second = price.per_second if price.per_output_second is None else price.per_output_second
        per_second = "" if second is None else f", {plain(second)} per second"
        output.say(
            f"{price.provider} {price.model}: {price.currency} {plain(price.expected)}{per_second}"
        )
        if price.low != price.high and price.low is not None and price.high is not None:
            span = f"between {plain(price.low)} and {plain(price.high)}"
            output.say(f"{span}: sources differ, or the vendor's rounding is not known")
    if price.basis is not None:
        output.say(f"basis: {price.basis}")
        output.say(f"row {price.why}")
        stale = "; it was read long ago and may have changed" if price.stale else ""
        output.say(
            f"source: {price.source}; read {price.checked_on}; confidence {price.confidence}{stale}"
        )


@app.command("list")
def list_prices(
    provider: Providers = None,
    form: formats.Form = None,
    out: formats.Out = None,
    as_json: options.Json = False,
) -> None:
    """List every price row, with its source, its age and what other sources say."""
    from onetake import plugins
    from onetake.reports.prices import book_tables

    terms = _terms(None)
    names = provider or sorted(plugins.registry().cards)
    tables: list[Table] = []
    record: dict[str, Any] = {}
    for name in names:
        book = terms.book(plugins.provider_card(name))
        tables += book_tables(name, book, terms)
        record[name] = book.model_dump(mode="json", exclude_none=True)
    facts = [f"As known on {terms.day}."]
    report = formats.Report("The price book", facts, tables, [], record)
    formats.show(report, form, out, as_json=as_json)


@app.command()
def check(
    provider: Annotated[str, typer.Option("-p", "--provider", help="Whose list.")] = "fal",
    sandbox: options.Sandbox = False,
    form: formats.Form = None,
    out: formats.Out = None,
    as_json: options.Json = False,
) -> int:
    """Compare the price book with the vendor's own list of today; needs a key, costs nothing.

    Ends with 1 where they differ.
    """
    import anyio

    from onetake import plugins
    from onetake.opening import get_provider
    from onetake.pricing.listing import differences
    from onetake.reports.prices import difference_table

    catalog = plugins.catalog(provider)
    models = [card.name for card in catalog.cards if card.status != "discontinued"]

    async def ask() -> list[ListPrice]:
        chosen = get_provider(provider, sandbox=options.sandbox_argument(sandbox))
        async with chosen as vendor:
            return list(await vendor.list_prices(models))

    try:
        listed = anyio.run(ask)
    except (OnetakeError, ConfigurationError) as error:
        output.complain(error)
        return output.exit_code(error)
    if not listed:
        told = f"provider: {provider} has no price list that can be asked."
        output.complain(RequestError(told, hint="fal has one."))
        return output.USAGE
    terms = _terms(None)
    found: list[Difference] = differences(catalog, terms.book(catalog.provider), listed, terms.day)
    record = [item.to_json() for item in found]
    facts = [f"{len(listed)} prices read, {len(found)} differ or are missing."]
    report = formats.Report(
        f"Prices of {provider}", facts, [difference_table(found)], [], {"differences": record}
    )
    formats.show(report, form, out, as_json=as_json)
    return output.FAILED if any(item.is_drift for item in found) else output.DONE


@app.command()
def schema(
    own: Annotated[
        bool, typer.Option("--own", help="Of your own price file (ONETAKE_PRICES) instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of price files, for editors."""
    from onetake.pricing import price_book

    output.print_json(price_book.own_schema() if own else price_book.schema())
