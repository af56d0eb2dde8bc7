"""``onetake account`` and ``onetake resources``: what the vendor keeps for an account."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onetake.cli import options, output
from onetake.errors import ConfigurationError, OnetakeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from onetake.driver import Balance, Deduction, Resource
    from onetake.provider import Provider

Kind = Annotated[str, typer.Argument(help="voice or element.")]
Named = Annotated[str, typer.Option("-p", "--provider", help="Provider: kling, or a plugin's.")]
app = typer.Typer(help="Voices and elements that the vendor keeps.", no_args_is_help=True)


def account(
    provider: Named,
    days: Annotated[
        int, typer.Option(min=0, help="Also list what was taken in so many days; 0: nothing.")
    ] = 0,
    region: options.Region = None,
    sandbox: options.Sandbox = False,
    as_json: options.Json = False,
) -> int:
    """Show packs and balances, when they end, and what was taken from them."""

    async def ask(vendor: Provider) -> dict[str, Any]:
        balances = [_balance(item) for item in await vendor.account()]
        taken = await vendor.deductions(days=days) if days else []
        return {"balances": balances, "deductions": [_deduction(item) for item in taken]}

    def show(found: dict[str, Any]) -> None:
        columns = ("pack or balance", "left", "unit", "ends", "days")
        output.table(columns, [tuple(row.values()) for row in found["balances"]])
        if days:
            books = ("at", "task", "model", "taken", "unit", "from")
            output.table(books, [tuple(row.values()) for row in found["deductions"]])

    return _asked(provider, region, sandbox, ask, show, as_json)


def _balance(item: Balance) -> dict[str, Any]:
    left = None
    if item.expires_at is not None:
        ends = datetime.datetime.fromtimestamp(item.expires_at, datetime.UTC)
        left = max(0, (ends - datetime.datetime.now(datetime.UTC)).days)
    return {
        "name": item.name,
        "remaining": f"{item.remaining.normalize():f}",
        "unit": item.unit,
        "expires_at": _day(item.expires_at),
        "days_left": left,
    }


def _deduction(item: Deduction) -> dict[str, Any]:
    return {
        "at": datetime.datetime.fromtimestamp(item.at, datetime.UTC).isoformat(timespec="seconds"),
        "task_id": item.task_id,
        "model": item.model,
        "amount": f"{item.amount.normalize():f}",
        "unit": item.unit,
        "source": item.source,
    }


def _day(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.datetime.fromtimestamp(at, datetime.UTC).date().isoformat()


@app.command("list")
def list_resources(
    kind: Kind,
    provider: Named,
    preset: Annotated[bool, typer.Option("--preset", help="The vendor's own instead.")] = False,
    region: options.Region = None,
    sandbox: options.Sandbox = False,
    as_json: options.Json = False,
) -> int:
    """List voices or elements."""

    async def ask(vendor: Provider) -> list[dict[str, Any]]:
        return [_resource(item) for item in await vendor.resources(kind, preset=preset)]

    def show(found: list[dict[str, Any]]) -> None:
        output.table(("kind", "id", "name", "owner"), [tuple(row.values())[:4] for row in found])

    return _asked(provider, region, sandbox, ask, show, as_json)


def _resource(item: Resource) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "id": item.id,
        "name": item.name,
        "owner": item.owner,
        "url": item.url,
    }


@app.command("create")
def create_resource(
    kind: Kind,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    provider: Named,
    asset: options.Assets = None,
    param: options.Params = None,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key: the same key is the same job.")
    ] = None,
    region: options.Region = None,
    sandbox: options.Sandbox = False,
    as_json: options.Json = False,
) -> int:
    """Make a voice or an element; a job like any other."""

    async def ask(vendor: Provider) -> dict[str, Any]:
        made = await vendor.create_resource(
            kind,
            name,
            reference_assets=[options.parse_asset(item) for item in asset or []],
            parameters=options.parse_params(param or []),
            key=key,
        )
        return _resource(made)

    return _asked(provider, region, sandbox, ask, lambda made: output.say(made["id"]), as_json)


@app.command("delete")
def delete_resource(
    kind: Kind,
    resource_id: Annotated[str, typer.Argument(metavar="ID", help="The vendor's id.")],
    provider: Named,
    region: options.Region = None,
    sandbox: options.Sandbox = False,
    as_json: options.Json = False,
) -> int:
    """Delete a voice or an element of your own."""

    async def ask(vendor: Provider) -> dict[str, Any]:
        await vendor.delete_resource(kind, resource_id)
        return {"kind": kind, "id": resource_id, "deleted": True}

    def show(found: dict[str, Any]) -> None:
        output.say(f"{kind} {resource_id} is deleted.")

    return _asked(provider, region, sandbox, ask, show, as_json)


def bill(
    provider: Named,
    days: Annotated[int, typer.Option(min=1, help="How far back.")] = 30,
    region: options.Region = None,
    sandbox: options.Sandbox = False,
    as_json: options.Json = False,
) -> int:
    """Take what the vendor's own books say of jobs into the ledger; costs nothing."""

    async def ask(vendor: Provider) -> list[dict[str, Any]]:
        return [job.to_json() for job in await vendor.settle_costs(days=days)]

    def show(found: list[dict[str, Any]]) -> None:
        columns = ("job", "model", "currency", "amount")
        rows = [
            (job["job_id"], job["model"], job["actual"]["currency"], job["actual"]["amount"])
            for job in found
        ]
        output.table(columns, rows)

    return _asked(provider, region, sandbox, ask, show, as_json)


def _asked(
    name: str,
    region: str | None,
    sandbox: bool,
    ask: Callable[[Provider], Awaitable[Any]],
    show: Callable[[Any], None],
    as_json: bool,
) -> int:
    """Ask a provider something and show the answer."""
    import anyio

    from onetake.opening import get_provider

    async def main() -> Any:
        chosen = get_provider(name, region=region, sandbox=options.sandbox_argument(sandbox))
        async with chosen as vendor:
            return await ask(vendor)

    try:
        found = anyio.run(main)
    except (OnetakeError, ConfigurationError) as error:
        output.complain(error)
        return output.exit_code(error)
    if as_json:
        output.print_json(found)
    else:
        show(found)
    return output.DONE
