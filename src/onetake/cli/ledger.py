"""Asking the ledger something, without an event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")


def ask(question: Callable[[sa.Connection], T]) -> T:
    """Ask the ledger of the settings, and close it again."""
    from onetake.ledger.store import Ledger
    from onetake.settings import load_settings

    settings = load_settings()
    ledger = Ledger(settings.ledger_url, settings.ledger_timeout)
    try:
        return ledger.run_blocking(question)
    finally:
        ledger.close()
