"""Opening a provider: by name, or the one that an account of the ledger belongs to."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from onetake import plugins
from onetake.clock import Clock, SystemClock
from onetake.engine.watching import OnUpdate
from onetake.job import Job, parse_token
from onetake.ledger.records import Account
from onetake.ledger.store import Ledger
from onetake.money import Money
from onetake.pricing.budget import amount_of
from onetake.provider import Provider
from onetake.result import GenerationResult
from onetake.settings import Settings, ledger_url, load_settings
from onetake.workshop import Workshop


def get_provider(
    name: str,
    *,
    api_key: str | None = None,
    region: str | None = None,
    sandbox: bool | str | None = None,
    ledger: str | Path | None = None,
    account: str | None = None,
    clock: Clock | None = None,
    settings: Settings | None = None,
    run: str | None = None,
    budget: Money | Decimal | str | int | None = None,
    **options: Any,
) -> Provider:
    """Return a provider. Nothing is opened or sent yet.

    Args:
        name: ``fal``, ``kling``, or a plugin's name.
        api_key: credential; the environment is asked when None.
        region: one of the provider's regions.
        sandbox: True for the sandbox in this process, a base URL for a running one,
            False for the live vendor; None asks ``ONETAKE_SANDBOX``.
        ledger: file or URL; None asks ``ONETAKE_LEDGER``.
        account: name that separates jobs, keys and budgets.
        clock: the time, for tests.
        settings: settings in place of the environment's.
        run: name of the run, to share its budget with other processes; None asks
            ``ONETAKE_RUN``, and without that each provider is a run of its own.
        budget: limit for the run, such as ``"5.00"`` or ``"30 CNY"``; None asks
            ``ONETAKE_RUN_BUDGET``.
        **options: further provider options, such as ``base_url``, ``access_key``,
            ``secret_key``.

    Raises:
        ConfigurationError: the provider or region does not exist, or a plugin is broken.
    """
    chosen = settings or load_settings()
    if budget is not None:
        chosen = chosen.model_copy(update={"run_budget": amount_of("budget", budget)})
    named = run or chosen.run
    workshop = Workshop(
        card=plugins.provider_card(name),
        settings=chosen,
        region=region,
        sandbox=sandbox if sandbox is not None else chosen.sandbox,
        account_name=account or chosen.account,
        api_key=api_key,
        options=options,
        **({} if named is None else {"run": named}),
        **({} if budget is None else {"budget_by": "the argument budget"}),
    )
    url = ledger_url(ledger or chosen.ledger, chosen.home)
    return Provider(workshop, Ledger(url, chosen.ledger_timeout), clock or SystemClock())


class OpenedJob:
    """A job that goes on from its token. Made by `open_job`.

    Attributes:
        provider: the provider that knows the task; close it, or use ``async with``.
        token: the token.
    """

    def __init__(self, provider: Provider, token: str) -> None:
        self.provider = provider
        self.token = token

    async def job(self) -> Job:
        """Return the job as this ledger has it; it is taken in first if need be."""
        return await self.provider.job(self.token)

    async def wait(
        self, *, timeout: float | None = None, on_update: OnUpdate | None = None
    ) -> GenerationResult:
        """Wait until it is delivered; see `Provider.wait`."""
        return await self.provider.wait(self.token, timeout=timeout, on_update=on_update)

    async def cancel(self) -> bool:
        """Ask the vendor to stop it; see `Provider.cancel`."""
        return await self.provider.cancel(self.token)

    async def __aenter__(self) -> OpenedJob:
        await self.provider.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.provider.__aexit__(*exc)


def open_job(token: str, **arguments: Any) -> OpenedJob:
    """Go on with a job on any machine: it is watched and delivered, never paid again.

    Args:
        token: what `Job.token` said.
        **arguments: those of `get_provider`, such as ``api_key`` and ``ledger``. A region or
            sandbox that the token does not come from is refused when the job is first used.

    Raises:
        ConfigurationError: it is no token, or its provider is not installed.
    """
    told = parse_token(token)
    host, _, sandbox = told.host.partition("@")
    name = arguments.pop("account", None) or "default"
    account = Account(told.provider, host, sandbox or "live", name)
    return OpenedJob(provider_of(account, **arguments), token)


def provider_of(account: Account, **arguments: Any) -> Provider:
    """Return the provider that an account of the ledger belongs to."""
    card = plugins.provider_card(account.provider)
    regions = [name for name, host in card.regions.items() if host == account.host]
    if not regions:
        arguments["base_url"] = f"https://{account.host}"
    kind, _, url = account.environment.partition(":")
    known = {
        "region": regions[0] if regions else None,
        "sandbox": url or (kind == "sandbox"),
        "account": account.name,
    }
    return get_provider(account.provider, **{**known, **arguments})
