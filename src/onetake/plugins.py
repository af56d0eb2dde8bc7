"""Finding providers: entry points, loaded when first needed.

``ONETAKE_PLUGINS`` selects which entry points load (comma-separated names; empty: none).
A plugin that fails to import is reported by `failures` and breaks nothing else.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
from dataclasses import dataclass
from typing import Any

import pluggy

from onetake import hookspecs
from onetake.catalog import DRIVER_API_VERSION, Catalog, ProviderCard, catalog_of
from onetake.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Failure:
    """A plugin that could not be used.

    Attributes:
        plugin: entry point name.
        distribution: package that declares it.
        reason: why, in one line.
    """

    plugin: str
    distribution: str
    reason: str


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything that was found.

    Attributes:
        cards: provider cards by name.
        origins: provider name to the distribution that brought it.
        failures: plugins that could not be loaded.
        conflicts: provider name to the distributions that both claim it.
        manager: the pluggy manager, for job events.
    """

    cards: dict[str, ProviderCard]
    origins: dict[str, str]
    failures: list[Failure]
    conflicts: dict[str, list[str]]
    manager: pluggy.PluginManager


@functools.cache
def registry() -> Registry:
    """Load the selected plugins once per process; `registry.cache_clear` forgets them."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    found = Registry({}, {}, [], {}, manager)
    for entry in _selected():
        distribution = entry.dist.name if entry.dist else "unknown"
        try:
            module = entry.load()
            name = manager.register(module, name=f"{distribution}:{entry.name}")
            _collect(found, module, distribution)
        except Exception as error:  # noqa: BLE001 - one broken plugin must not break the others
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            found.failures.append(Failure(entry.name, distribution, reason))
        else:
            assert name is not None
    return found


def _selected() -> list[importlib.metadata.EntryPoint]:
    entries = sorted(
        importlib.metadata.entry_points(group=hookspecs.PROJECT), key=lambda entry: entry.name
    )
    chosen = os.environ.get("ONETAKE_PLUGINS")
    if chosen is None:
        return entries
    names = {name.strip() for name in chosen.split(",") if name.strip()}
    return [entry for entry in entries if entry.name in names]


def _collect(found: Registry, module: Any, distribution: str) -> None:
    hook = getattr(module, "onetake_provider_cards", None)
    for card in hook() if hook else ():
        if card.driver_api != DRIVER_API_VERSION:
            raise ConfigurationError(
                f"provider {card.name} was written for driver API {card.driver_api}, this onetake "
                f"has {DRIVER_API_VERSION}; upgrade {distribution}."
            )
        if card.name in found.cards:
            both = found.conflicts.setdefault(card.name, [found.origins[card.name]])
            both.append(distribution)
            continue
        found.cards[card.name] = card
        found.origins[card.name] = distribution


def provider_card(name: str) -> ProviderCard:
    """Return the card of a provider.

    Raises:
        ConfigurationError: nobody provides it, two packages do, or its plugin failed to load.
    """
    found = registry()
    if name in found.conflicts:
        raise ConfigurationError(
            f"provider {name!r} is claimed by {' and '.join(found.conflicts[name])}; "
            "uninstall one of them, or select plugins with ONETAKE_PLUGINS."
        )
    if name in found.cards:
        return found.cards[name]
    raise ConfigurationError(_missing(name, found))


def _missing(name: str, found: Registry) -> str:
    for failure in found.failures:
        if failure.plugin == name:
            return (
                f"provider {name!r} is installed ({failure.distribution}) but failed to load: "
                f"{failure.reason}"
            )
    known = ", ".join(sorted(found.cards)) or "none"
    hint = f" Install it with `pip install 'onetake[{name}]'`." if name in ("fal", "kling") else ""
    return f"there is no provider {name!r}; installed: {known}.{hint}"


def catalog(name: str) -> Catalog:
    """Return the model catalog of a provider."""
    others = [other for other in registry().cards if other != name]
    return catalog_of(provider_card(name), others)


def import_object(path: str) -> Any:
    """Import ``module:attribute``."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def load(card: ProviderCard, what: str, path: str | None) -> Any:
    """Import a provider's driver or dialect.

    Raises:
        ConfigurationError: it needs a package that is not installed; names the extra.
    """
    if path is None:
        raise ConfigurationError(f"provider {card.name!r} has no {what}.")
    try:
        return import_object(path)
    except ImportError as error:
        extra = "sandbox" if what == "sandbox dialect" else card.name
        raise ConfigurationError(
            f"the {what} of {card.name} cannot be imported ({error}); "
            f"install it with `pip install 'onetake[{extra}]'`."
        ) from error
