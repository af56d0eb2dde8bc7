"""Opening a provider: by name, or the one that an account of the ledger belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onetake import plugins
from onetake.clock import Clock, SystemClock
from onetake.ledger.records import Account
from onetake.ledger.store import Ledger
from onetake.provider import Provider
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
        **options: further provider options, such as ``base_url``, ``access_key``,
            ``secret_key``.

    Raises:
        ConfigurationError: the provider or region does not exist, or a plugin is broken.
    """
    chosen = settings or load_settings()
    workshop = Workshop(
        card=plugins.provider_card(name),
        settings=chosen,
        region=region,
        sandbox=sandbox if sandbox is not None else chosen.sandbox,
        account_name=account or chosen.account,
        api_key=api_key,
        options=options,
    )
    return Provider(
        workshop, Ledger(ledger_url(ledger or chosen.ledger, chosen.home)), clock or SystemClock()
    )


def provider_of(account: Account, **arguments: Any) -> Provider:
    """Return the provider that an account of the ledger belongs to."""
    card = plugins.provider_card(account.provider)
    regions = [name for name, host in card.regions.items() if host == account.host]
    if not regions:
        arguments["base_url"] = f"https://{account.host}"
    kind, _, url = account.environment.partition(":")
    return get_provider(
        account.provider,
        region=regions[0] if regions else None,
        sandbox=url or (kind == "sandbox"),
        account=account.name,
        **arguments,
    )
