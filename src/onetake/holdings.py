"""Holdings: what the vendor keeps for an account: packs, balances, books, voices, elements."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from onetake import plugins
from onetake.catalog import Catalog, ModelCard
from onetake.driver import Balance, Deduction, ListPrice, Resource
from onetake.engine.journal import Overtaken
from onetake.engine.outcomes import actual
from onetake.engine.run import Engine
from onetake.errors import RequestError
from onetake.job import Job
from onetake.jobs import Jobs
from onetake.ledger import reporting, store
from onetake.ledger.records import JobRecord
from onetake.pricing.actuals import booked

KINDS = ("voice", "element")
DAY = 86_400.0
DAYS = 3650
"""Days that a search of a vendor's books may go back."""


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
        if not 0 < days <= DAYS:
            raise RequestError(f"days: {days!r} is not a number from 1 to {DAYS}.")
        now = self._clock.now()
        async with self._engine() as engine:
            return await engine.driver.deductions(now - days * DAY, now)

    async def settle_costs(self, *, days: float = 30.0) -> list[Job]:
        """Take what the vendor's books say of the last days into the ledger.

        Most vendors say with the result what a job cost; the books have it for the others, and
        the last word on what was discounted or billed after a failure.

        Returns:
            The jobs whose cost was not known before, or was another.
        """
        rows: dict[str, list[Deduction]] = {}
        for row in await self.deductions(days=days):
            rows.setdefault(row.task_id, []).append(row)
        async with self._engine() as engine:
            records = await self._ledger.run(
                lambda connection: reporting.with_tasks(
                    connection, store.account_id(connection, self.account_key), rows
                )
            )
            changed = [await self._book(engine, job, rows[str(job.task_id)]) for job in records]
        return [record.job() for record in changed if record is not None]

    async def _book(
        self, engine: Engine, record: JobRecord, rows: Sequence[Deduction]
    ) -> JobRecord | None:
        terms = self._workshop.terms(rows[0].at)  # an old job keeps its old price
        charge = booked(rows, record.estimate or {}, self.card, terms)
        if charge is None:
            return None
        told, before = actual(charge), record.actual or {}
        if all(before.get(name) == told[name] for name in ("amount", "currency")):
            return None
        with contextlib.suppress(Overtaken):  # it is under way: what it costs comes with its end
            kept = {**told, "units": told["units"] or before.get("units"), "source": "books"}
            return await engine.journal.move(record, "settled", any_owner=True, actual=kept)
        return None

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
