"""Admission: a job is sent when its account has a slot for it, in the order of arrival.

The slots themselves are rows of the ledger (`onetake.ledger.slots`), so that they hold across
processes and crashes; here is the waiting, and what is learned from the vendor.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator

import anyio
import sqlalchemy as sa

from onetake.clock import Clock
from onetake.driver import Driver
from onetake.engine.journal import Journal
from onetake.engine.traffic import Turn, Turns
from onetake.errors import ConcurrencyExceeded
from onetake.ledger import slots
from onetake.ledger.records import JobRecord

log = logging.getLogger("onetake.engine")


class Admission:
    """Slots of one account, as this engine sees them.

    Args:
        driver: says what the vendor counts.
        journal: the ledger.
        clock: the time.
        configured: slots of each bucket by the user's word, or None.
        window: seconds after which an unknown submission holds no slot.
    """

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        clock: Clock,
        configured: int | None,
        window: float,
    ) -> None:
        self._driver = driver
        self._journal = journal
        self._clock = clock
        self._configured = configured
        self._window = window
        self._turns = Turns()
        self._present: Counter[str] = Counter()
        self._asking = anyio.Lock()
        self._asked = configured is not None

    @contextlib.contextmanager
    def queue(self, record: JobRecord) -> Iterator[Turn]:
        """Give a job its place among those that want the same buckets."""
        key = self._key(record)
        self._present[key] += 1
        try:
            with self._turns.join(key) as turn:
                yield turn
        finally:
            self._present[key] -= 1

    def _key(self, record: JobRecord) -> str:
        return "\n".join(bucket for bucket, _ in self._wanted(record))

    async def pause(self, seconds: float) -> None:
        """Wait for a slot to become free, but not longer."""
        await self._journal.slot_freed.wait(seconds, self._clock)

    def enter(self, connection: sa.Connection, record: JobRecord) -> None:
        """Take the job's slots, in the transaction that says ``sending``.

        Raises:
            NoSlot: the transaction must not go on.
        """
        slots.enter(
            connection,
            record,
            self._wanted(record),
            now=self._clock.now(),
            window=self._window,
            configured=self._configured,
        )

    def learn_refused(self, connection: sa.Connection, record: JobRecord) -> None:
        """Take the vendor's word that the account is full."""
        now = self._clock.now()
        slots.refused(connection, record, self._wanted(record), now, self._window)

    def learn_accepted(self, connection: sa.Connection, record: JobRecord) -> None:
        """Take the vendor's word that there was room for one more."""
        now = self._clock.now()
        slots.accepted(connection, record, self._wanted(record), now, self._window)

    async def ask_vendor(self, record: JobRecord) -> None:
        """Ask once how many slots there are, as soon as more than one job wants them."""
        if self._asked or not self._wanted(record):
            return
        async with self._asking:
            if not self._asked:
                await self._ask_vendor(record)

    async def _ask_vendor(self, record: JobRecord) -> None:
        unknown = await self._journal.ledger.run(
            lambda connection: self._used_but_unknown(connection, record)
        )
        if not unknown:
            return
        self._asked = True
        try:
            size = await self._driver.concurrency()
        except Exception as error:  # noqa: BLE001 - it is a hint; the vendor's refusals teach too
            log.info("the vendor does not say how many slots there are: %r", error)
            return
        if size is not None:
            await self._journal.ledger.run(
                lambda connection: self._remember(connection, record, size)
            )

    def _used_but_unknown(self, connection: sa.Connection, record: JobRecord) -> bool:
        now, account = self._clock.now(), record.account_id
        wanted = [bucket for bucket, _ in self._wanted(record)]
        sizes = [slots.size_of(connection, account, bucket, now, None) for bucket in wanted]
        used = [slots.in_use(connection, account, bucket, now - self._window) for bucket in wanted]
        return None in sizes and (any(used) or self._present[self._key(record)] > 1)

    def _remember(self, connection: sa.Connection, record: JobRecord, size: int) -> None:
        for bucket, _ in self._wanted(record):
            slots.learn(connection, record.account_id, bucket, size, self._clock.now())

    def _wanted(self, record: JobRecord) -> slots.Wanted:
        return self._driver.slots(record.sending)


def no_slot(record: JobRecord, full: slots.NoSlot) -> ConcurrencyExceeded:
    """Return the error for a caller whose patience ends before a slot is free."""
    return ConcurrencyExceeded(
        f"job {record.id}: all {full.size} slots of {full.bucket or 'the account'} are in use; "
        "nothing was sent.",
        provider=record.account.provider,
        job_id=record.id,
        hint="Wait for a job to end, or say how many slots there are with ONETAKE_CONCURRENCY.",
    )
