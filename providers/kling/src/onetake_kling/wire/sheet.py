"""A request with its files made ready, as the wire writers see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onetake.driver import PreparedAsset
from onetake.fitting import FittedRequest


@dataclass
class Sheet:
    """One request on its way to JSON.

    Attributes:
        request: as it was fitted.
        assets: its files, in order.
        job_id: our id.
        notes: what the translation has to say; it adds to them.
    """

    request: FittedRequest
    assets: Sequence[PreparedAsset]
    job_id: str
    notes: list[str] = field(default_factory=list)

    @property
    def wire(self) -> Mapping[str, Any]:
        """What the card says for the driver alone."""
        return self.request.card.wire

    def given(self, name: str) -> Any:
        """Return a parameter that was given, or None."""
        return self.request.parameters.get(name)

    def all(self, role: str) -> list[PreparedAsset]:
        """Return the files of a role, in order."""
        return [item for item in self.assets if item.asset.role == role]

    def first(self, role: str) -> PreparedAsset | None:
        """Return the first file of a role, or None."""
        return next(iter(self.all(role)), None)

    def sent(self, role: str) -> Any:
        """Return the first file of a role as it is sent: URL or bytes; None for an id or none."""
        item = self.first(role)
        return None if item is None or item.asset.vendor_id is not None else item.value

    def vendor_id(self, role: str) -> str | None:
        """Return the vendor's id of the first file of a role, or None."""
        item = self.first(role)
        return None if item is None else item.asset.vendor_id

    def fact(self, step: str, name: str) -> Any:
        """Return what an earlier step told, or None."""
        return self.request.facts.get(step, {}).get(name)
