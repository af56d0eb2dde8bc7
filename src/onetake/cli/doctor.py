"""``onetake doctor``: is everything in place? It reads, and never pays."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from onetake.cli import options, output
from onetake.errors import AuthenticationError, ConfigurationError, OnetakeError

if TYPE_CHECKING:
    from onetake.provider import Provider

Finding = tuple[str, bool, str]
"""What was looked at, whether it is well, and details."""


def doctor(
    provider: Annotated[
        list[str] | None, typer.Option("-p", "--provider", help="Only these; repeatable.")
    ] = None,
    region: options.Region = None,
    sandbox: options.Sandbox = False,
    as_json: options.Json = False,
) -> int:
    """Check installation, ledger and credentials. Costs nothing."""
    findings = [_python(), *_plugins(), _ledger(), _sandbox()]
    for name in provider or _installed():
        findings.append(_provider(name, region, options.sandbox_argument(sandbox)))
    if as_json:
        output.print_json(
            [{"check": name, "ok": well, "details": text} for name, well, text in findings]
        )
    else:
        rows = [(name, "ok" if well else "PROBLEM", text) for name, well, text in findings]
        output.table(("check", "", "details"), rows)
    return output.DONE if all(well for _, well, _ in findings) else output.FAILED


def _installed() -> list[str]:
    from onetake import plugins

    return sorted(plugins.registry().cards)


def _python() -> Finding:
    from onetake import __version__

    version = ".".join(str(part) for part in sys.version_info[:3])
    return "onetake", sys.version_info >= (3, 11), f"{__version__} on Python {version}"


def _plugins() -> list[Finding]:
    from onetake import plugins

    found = plugins.registry()
    broken = [(f"plugin {f.plugin}", False, f.reason) for f in found.failures]
    clashes = [
        (f"provider {name}", False, f"claimed by {' and '.join(both)}")
        for name, both in found.conflicts.items()
    ]
    return [*broken, *clashes]


def _ledger() -> Finding:
    from onetake.ledger import store
    from onetake.settings import load_settings

    ledger = store.Ledger(load_settings().ledger_url)
    try:
        count = len(ledger.run_blocking(lambda c: store.listed(c, open_only=True)))
    except OnetakeError as error:
        return "ledger", False, str(error)
    finally:
        ledger.close()
    return "ledger", True, f"{ledger.label}, {count} open jobs"


def _sandbox() -> Finding:
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        return "sandbox", False, f"{error.name} is missing: pip install 'onetake[sandbox]'"
    return "sandbox", True, f"starlette {starlette.__version__}, uvicorn {uvicorn.__version__}"


def _provider(name: str, region: str | None, sandbox: bool | str | None) -> Finding:
    import anyio

    from onetake.opening import get_provider

    try:
        provider = get_provider(name, region=region, sandbox=sandbox)
        details = anyio.run(_visit, provider)
    except (OnetakeError, ConfigurationError) as error:
        return name, False, " ".join(str(error).split())
    return name, True, details


async def _visit(provider: Provider) -> str:
    account = provider.account_key
    async with provider:
        await provider.verify()
        told = list(await provider.findings())
        try:
            balances = await provider.account()
        except AuthenticationError:
            balances = ()  # the findings say why
    packs = [f"{item.name}: {item.remaining:f} {item.unit} left" for item in balances]
    place = f"{account.host} ({account.environment}): the credentials are accepted"
    return "; ".join([place, *told, *packs])
