"""``onetake models`` and ``onetake providers``. Neither imports a driver or an SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from onetake.cli import options, output

if TYPE_CHECKING:
    from onetake.catalog import ModelCard

app = typer.Typer(help="List and show models.", invoke_without_command=True, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List and show models."""
    if context.invoked_subcommand is None:
        list_models(None, None, False)


@app.command("list")
def list_models(
    provider: options.ProviderName = None,
    task: Annotated[str | None, typer.Option(help="Such as image-to-video.")] = None,
    as_json: options.Json = False,
) -> None:
    """List the models of all providers."""
    cards = [card for card in _cards(provider) if task is None or card.task == task]
    if as_json:
        output.print_json([_summary(card) for card in cards])
        return
    rows = [
        (card.provider, card.name, card.task, card.resolution, card.status, card.vendor_id)
        for card in cards
    ]
    columns = ("provider", "model", "task", "resolution", "status", "vendor's id")
    output.table(columns, rows)


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="Name, alias or vendor id.")],
    provider: options.ProviderName = None,
    as_json: options.Json = False,
) -> None:
    """Show a model: inputs, parameters, price, and a command that works."""
    from onetake.errors import UnknownModel

    found = [card for card in _cards(provider) if _means(card, model)]
    if not found:
        raise UnknownModel(
            f"model: no provider has {model!r}.", hint="`onetake models list` shows what there is."
        )
    if as_json:
        output.print_json([_details(card) for card in found])
        return
    for card in found:
        _print_card(card)


def providers(as_json: options.Json = False) -> None:
    """List the installed providers, and plugins that failed to load."""
    from onetake import plugins

    found = plugins.registry()
    if as_json:
        output.print_json(
            {
                "providers": [
                    {
                        "name": card.name,
                        "display_name": card.display_name,
                        "distribution": found.origins[card.name],
                        "regions": list(card.regions),
                        "models": len(plugins.catalog(card.name).cards),
                    }
                    for card in found.cards.values()
                    if card.name not in found.conflicts
                ],
                "failures": [
                    {"plugin": f.plugin, "distribution": f.distribution, "reason": f.reason}
                    for f in found.failures
                ],
                "conflicts": found.conflicts,
            }
        )
        return
    rows = [
        (
            card.name,
            card.display_name,
            found.origins[card.name],
            ", ".join(card.regions),
            len(plugins.catalog(card.name).cards),
        )
        for card in found.cards.values()
    ]
    output.table(("provider", "name", "package", "regions", "models"), rows)
    for failure in found.failures:
        output.hint(f"broken: {failure.plugin} ({failure.distribution}): {failure.reason}")
    for name, both in found.conflicts.items():
        output.hint(f"conflict: {name} is claimed by {' and '.join(both)}")


def _cards(provider: str | None) -> list[ModelCard]:
    from onetake import plugins

    names = [provider] if provider else sorted(plugins.registry().cards)
    return [card for name in names for card in plugins.catalog(name).cards]


def _means(card: ModelCard, name: str) -> bool:
    return name.lower() in {known.lower() for known in (*card.names(), *card.groups)}


def _summary(card: ModelCard) -> dict[str, Any]:
    return {
        "provider": card.provider,
        "model": card.name,
        "vendor_id": card.vendor_id,
        "aliases": [*card.aliases, *card.groups],
        "task": card.task,
        "status": card.status,
    }


def _details(card: ModelCard) -> dict[str, Any]:
    return {
        **_summary(card),
        "resolution": card.resolution,
        "fixed": dict(card.fixed),
        "inputs": {name: slot.model_dump(mode="json") for name, slot in card.inputs.items()},
        "parameters": card.parameter_model().model_json_schema(),
        "notice": card.notice,
    }


def _print_card(card: ModelCard) -> None:
    output.say(f"{card.name} at {card.provider}  ({card.task}, {card.status})")
    output.say(f"  vendor's id   {card.vendor_id}")
    if card.resolution:
        output.say(f"  resolution    {card.resolution}")
    for name, value in card.fixed.items():
        output.say(f"  always        {name}: {'on' if value is True else 'off'}")
    for role, slot in card.inputs.items():
        must = "required" if slot.required else "optional"
        limits = slot.allowed()
        output.say(f"  input         {role}: {slot.kind}, {must}{f' ({limits})' if limits else ''}")
    for name, spec in card.parameters.items():
        default = "" if spec.default is None else f" (default {spec.default})"
        default = " (required)" if spec.required else default
        output.say(f"  parameter     {name}: {spec.allowed()}{default}")
    if card.notice:
        output.say(f"  notice        {card.notice}")
    output.say(f"  price         {_price(card)}")
    output.say(f"  try           {example(card)}")


def _price(card: ModelCard) -> str:
    from onetake.pricing.compare import compare
    from onetake.request import GenerationRequest

    request = GenerationRequest("a lake", model=card.name, generation_type=card.task)
    for offer in compare(request, [card.provider]).offers:
        if offer.card.name == card.name:
            price = offer.estimate
            if price.expected is None and price.low is not None and price.high is not None:
                low, high = price.low.normalize(), price.high.normalize()
                return f"{price.currency} {low:f} to {high:f}: {price.reason}"
            if price.expected is None:
                return f"unknown: {price.reason}"
            return (
                f"{price.currency} {price.expected.normalize():f} with its defaults "
                f"(read {price.checked_on})"
            )
    return "unknown"


def example(card: ModelCard) -> str:
    """Return a command for the card that works on the sandbox."""
    what = card.example
    if what is None:
        needed = _needed_inputs(card)
        what = " ".join(['"a lake at sunset"', *(f"-a {role}=picture.jpg" for role in needed)])
    ending = {"image": "png", "audio": "mp3", "voice": "mp3"}.get(card.output, "mp4")
    ending = "png" if card.output in ("element", "data") else ending
    return f"onetake generate {what} -p {card.provider} -m {card.name} --sandbox -o out.{ending}"


def _needed_inputs(card: ModelCard) -> list[str]:
    """Return the inputs that a request must bring: of a choice, the first."""
    needed = [role for role, slot in card.inputs.items() if slot.required]
    for choice in card.at_least_one_of:
        if choice[0] in card.inputs and not set(choice) & set(needed):
            needed.append(choice[0])
    return needed
