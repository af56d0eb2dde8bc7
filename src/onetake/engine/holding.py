"""Holding: a chain's whole cost is taken from the budgets before its first step is paid for.

Each step then takes its share from what is held. A hold ends with the chain, and with the process
that works on it: one that died must not keep others, or itself started anew, from spending.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio
import sqlalchemy as sa

from onetake.engine.alive import alive
from onetake.engine.journal import Journal
from onetake.engine.reserving import Budgets
from onetake.errors import OnetakeError
from onetake.ledger import spending
from onetake.money import Money

T = TypeVar("T")
log = logging.getLogger("onetake")


class Holder:
    """Holds what the chains of one worker will cost.

    Args:
        journal: names the worker, and for how long a sign of life lasts.
        budgets: what the chains have to fit into.
    """

    def __init__(self, journal: Journal, budgets: Budgets) -> None:
        self._journal = journal
        self._budgets = budgets

    async def during(
        self,
        job_id: str,
        cost: Money | None,
        tags: Sequence[str],
        work: Callable[[], Awaitable[T]],
    ) -> T:
        """Work on a chain until its last job is written, if the budgets have room for all of it.

        Args:
            job_id: of the chain's last job, whose intent ends the hold.
            cost: of the whole chain, at most; None: unknown.
            tags: the job's.
            work: makes the steps, and writes that job down.

        Raises:
            BudgetExceeded: there is no room; nothing was paid.
        """
        try:
            await self._take(job_id, cost, tags)
            return await alive(work, lambda: self._renew(job_id), self._journal.lease)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._journal.ledger.run(lambda c: spending.let_go(c, job_id))
            raise

    async def _take(self, job_id: str, cost: Money | None, tags: Sequence[str]) -> None:
        budgets, now = self._budgets, self._journal.clock.now()
        place = spending.Holding(
            job_id, budgets.environment, budgets.run, self._journal.owner, now + self._journal.lease
        )

        def take(connection: sa.Connection) -> None:
            budgets.check(connection, now, cost, tags)
            if cost is not None:
                spending.hold(connection, place, tags, cost)

        await self._journal.ledger.run(take)

    async def _renew(self, job_id: str) -> None:
        until = self._journal.clock.now() + self._journal.lease
        try:
            await self._journal.ledger.run(lambda c: spending.renew_hold(c, job_id, until))
        except OnetakeError as error:
            log.warning("job %s: what it will cost cannot be held: %s", job_id, error)
