"""Rules between a model's inputs and parameters: what excludes, calls for, or needs what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from onetake.catalog import ModelCard
from onetake.errors import RequestError, UnsupportedParameter


class Given(Protocol):
    """What the rules look at: a fitted request."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters that were given."""

    def value(self, name: str) -> Any:
        """Return a parameter, or the vendor's default for it."""

    def has(self, name: str) -> bool:
        """Say whether a slot is filled or a parameter given."""


def word(value: Any) -> str:
    """Say a value as people write it."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def check_rules(given: Given, card: ModelCard, *, files_known: bool) -> None:
    """Check a request against its card's rules; what must be there only if the files are known.

    Raises:
        UnsupportedParameter: two wishes exclude each other, or one calls for another.
        RequestError: one of several inputs is needed.
    """
    for names in card.one_of:
        both = [name for name in names if given.has(name)]
        if len(both) > 1:
            raise UnsupportedParameter(
                f"{both[1]}: {card.name} takes it or {both[0]}, not both.", provider=card.provider
            )
    for names in card.at_least_one_of if files_known else ():
        if not any(given.has(name) for name in names):
            raise RequestError(
                f"{names[0]}: {card.name} needs {' or '.join(names)}.", provider=card.provider
            )
    for name, spec in card.parameters.items():
        if name in given.parameters:
            _check_needs(given, card, name, spec.needs)
        elif spec.required and files_known:
            raise RequestError(
                f"{name}: {card.name} needs it; it takes {spec.allowed()}.", provider=card.provider
            )
    for role, slot in card.inputs.items():
        if given.has(role):
            _check_needs(given, card, f"a {role}", slot.needs)


def _check_needs(given: Given, card: ModelCard, what: str, needs: Mapping[str, Any]) -> None:
    """Raising what is needed silently would change the price, so it is refused."""
    for name, needed in needs.items():
        if needed == "given":
            met, allowed = given.has(name), "a value"
        else:
            met, allowed = given.value(name) == needed, word(needed)
        if not met:
            raise UnsupportedParameter(
                f"{name}: {card.name} with {what} takes only {allowed}, not "
                f"{word(given.value(name))}.",
                provider=card.provider,
            )
