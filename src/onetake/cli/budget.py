"""``onetake budget``: limits on spending that the ledger keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from onetake.cli import options, output
from onetake.cli.ledger import ask
from onetake.errors import RequestError

if TYPE_CHECKING:
    from onetake.engine.reserving import Budgets, Used
    from onetake.ledger.spending import Limit, Scope

app = typer.Typer(
    help="Limits on spending that all processes with this ledger keep to.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_SCOPE = "job (each), run, day (UTC) or tag."


@app.command("list")
def list_budgets(sandbox: options.Sandbox = False, as_json: options.Json = False) -> None:
    """List the limits of the ledger and of the settings, and what is used of each."""
    import time

    from onetake.ledger import spending

    budgets = _budgets(sandbox)

    def read(connection: Any) -> list[tuple[Limit, Used]]:
        kept = [*budgets.limits, *spending.limits(connection, budgets.environment)]
        budgets.give_up(connection, time.time())
        return [(limit, budgets.used(connection, time.time(), limit)) for limit in kept]

    found = ask(read)
    if as_json:
        output.print_json([_limit_json(limit, used) for limit, used in found])
        return
    columns = ("scope", "name", "limit", "used", "left", "of unknown price", "without rate", "by")
    output.table(columns, [tuple(_limit_json(*item).values()) for item in found])


def _limit_json(limit: Limit, used: Used) -> dict[str, Any]:
    from onetake.money import plain

    # what each run of an unnamed one has used, only that run knows
    each = limit.scope == "job" or (limit.scope == "run" and not limit.name)
    return {
        "scope": limit.scope,
        "name": limit.name or None,
        "limit": str(limit.money),
        "used": None if each else plain(used.amount),
        "left": None if each else plain(limit.money.amount - used.amount),
        "unpriced": None if each else used.unpriced,
        "other_currencies": ", ".join(map(str, used.foreign)) or None,
        "set_by": limit.origin,
    }


def _budgets(sandbox: bool) -> Budgets:
    """Return the limits of the settings, in the environment that is meant."""
    from onetake import plugins
    from onetake.settings import load_settings
    from onetake.workshop import Workshop

    settings = load_settings()
    chosen = options.sandbox_argument(sandbox)
    place = chosen if chosen is not None else settings.sandbox
    card = plugins.provider_card(sorted(plugins.registry().cards)[0])
    # without a name, a limit for runs is for each of them
    return Workshop(card=card, settings=settings, sandbox=place, run=settings.run or "").budgets


@app.command("set")
def set_budget(
    scope: Annotated[str, typer.Argument(help=_SCOPE)],
    amount: Annotated[str, typer.Argument(help="Such as 20, or '150 CNY'.")],
    name: Annotated[str, typer.Argument(help="Of the run or tag.")] = "",
    sandbox: options.Sandbox = False,
) -> None:
    """Set a limit, in place of an earlier one."""
    import time

    from onetake.ledger import spending
    from onetake.pricing.budget import amount_of

    kind, name = _scope(scope, name)
    budgets = _budgets(sandbox)
    money = amount_of("amount", amount)

    def write(connection: Any) -> None:
        spending.set_limit(connection, budgets.environment, kind, name, money, time.time())

    ask(write)
    output.say(f"{spending.Limit(kind, name, money, 'ledger')}, from now on.")


@app.command("remove")
def remove_budget(
    scope: Annotated[str, typer.Argument(help=_SCOPE)],
    name: Annotated[str, typer.Argument(help="Of the run or tag.")] = "",
    sandbox: options.Sandbox = False,
) -> None:
    """Remove a limit from the ledger; those of settings stay."""
    from onetake.ledger import spending

    kind, name = _scope(scope, name)
    budgets = _budgets(sandbox)

    def forget(connection: Any) -> bool:
        return spending.remove_limit(connection, budgets.environment, kind, name)

    if not ask(forget):
        raise RequestError(f"scope: the ledger keeps no budget for {f'{scope} {name}'.strip()}.")
    output.say("removed.")


def _scope(text: str, name: str) -> tuple[Scope, str]:
    """Return what a limit is for, and its name in the form in which tags are kept."""
    from onetake.ledger.spending import SCOPES
    from onetake.request import TAG, is_tag, normal

    name = normal(name) if text == "tag" else name
    found = next((scope for scope in SCOPES if scope == text), None)
    if found is None:
        raise RequestError(f"scope: {text!r} is none; it is one of {', '.join(SCOPES)}.")
    if name and not is_tag(name):
        raise RequestError(f"name: {name!r} is no word of up to {TAG} printable characters.")
    if (found in ("run", "tag")) != bool(name):
        needs = "needs a name" if found in ("run", "tag") else "takes no name"
        raise RequestError(f"scope: a budget of a {found} {needs}.")
    return found, name
