"""The hooks. A package joins onetake by an entry point in the group ``onetake``.

::

    # pyproject.toml
    [project.entry-points.onetake]
    acme = "onetake_acme.plugin"

    # onetake_acme/plugin.py
    from onetake.hookspecs import hookimpl

    @hookimpl
    def onetake_provider_cards():
        return [CARD]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from onetake.catalog import ProviderCard

PROJECT = "onetake"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def onetake_provider_cards() -> Sequence[ProviderCard]:  # type: ignore[empty-body]
    """Return the cards of the providers in this package. Must import nothing heavy."""


@hookspec
def onetake_job_event(event: dict[str, Any]) -> None:
    """Take notice of a job's transition. Must return quickly; must not raise."""
