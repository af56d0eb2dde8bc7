"""Holdings: what the vendor keeps for an account: packs, balances, books, voices, elements."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from onetake import plugins
from onetake.catalog import Catalog, ModelCard
from onetake.driver import Balance, Deduction, ListPrice, Resource
from onetake.errors import RequestError
from onetake.jobs import Jobs

KINDS = ("voice", "element")
DAY = 86_400.0


class Holdings(Jobs):
    """What the vendor keeps for one account; `onetake.Provider` is made of this too."""

    @property
    def _catalog(self) -> Catalog:
        return plugins.catalog(self.card.name)

    async def account(self) -> Sequence[Balance]:
        """Return the account's packs and balances, as far as the vendor tells."""
        async with self._engine() as engine:
            return await engine.driver.account()

    async def findings(self) -> Sequence[str]:
        """Return sentences about the credentials, such as their scope."""
        async with self._engine() as engine:
            return await engine.driver.findings()

    async def deductions(self, *, days: float = 30.0) -> Sequence[Deduction]:
        """Return what the vendor took in the last days, by its own books; oldest first."""
        now = self._clock.now()
        async with self._engine() as engine:
            return await engine.driver.deductions(now - days * DAY, now)

    async def list_prices(self, models: Sequence[str]) -> Sequence[ListPrice]:
        """Return what the vendor's own price list says of models today.

        A hint: such lists may have one number where the price depends on resolution or sound.
        What estimates and budgets use is the price book.

        Args:
            models: neutral names or the vendor's ids.
        """
        ids = [card.vendor_id for name in models for card in self._catalog.find(name)]
        foreign = [name for name in models if "/" in name and not self._catalog.find(name)]
        async with self._engine() as engine:
            return await engine.driver.list_prices(list(dict.fromkeys([*ids, *foreign])))

    async def resources(self, kind: str, *, preset: bool = False) -> Sequence[Resource]:
        """Return the account's own voices or elements.

        Args:
            kind: ``voice`` or ``element``.
            preset: return the vendor's own instead.

        Raises:
            RequestError: this provider has none of that kind.
        """
        self._maker(kind)
        async with self._engine() as engine:
            with self._told(kind):
                return await engine.driver.resources(kind, preset=preset)

    async def delete_resource(self, kind: str, resource_id: str) -> None:
        """Delete a voice or an element of the account's own.

        Raises:
            RequestError: there is none of that id, or this provider has none of that kind.
        """
        self._maker(kind)
        async with self._engine() as engine:
            with self._told(kind):
                await engine.driver.delete_resource(kind, resource_id)

    @contextlib.contextmanager
    def _told(self, kind: str) -> Iterator[None]:
        """Say that a vendor makes such things, but neither lists nor deletes them."""
        try:
            yield
        except NotImplementedError:
            raise RequestError(
                f"kind: {self.card.name} makes {kind}s, but neither lists nor deletes them.",
                provider=self.card.name,
                hint=f"The id of each stands in its job: `onetake jobs list -p {self.card.name}`.",
            ) from None

    def _maker(self, kind: str) -> ModelCard:
        """Return the model that makes one of a kind.

        Raises:
            RequestError: no such kind, or this provider has none.
        """
        if kind not in KINDS:
            raise RequestError(f"kind: {kind!r} is none; it is one of {', '.join(KINDS)}.")
        for card in self._catalog.cards:
            if card.task == f"{kind}-creation":
                return card
        raise RequestError(f"kind: {self.card.name} keeps no {kind}s.", provider=self.card.name)
