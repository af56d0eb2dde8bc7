"""The journal: every change of a job is a compare-and-set, then an event."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from onetake.clock import Clock
from onetake.errors import RequestError
from onetake.job import JobState
from onetake.ledger import store
from onetake.ledger.records import JobRecord

log = logging.getLogger("onetake.jobs")
Announce = Callable[[dict[str, Any]], None]


class Overtaken(Exception):
    """The job is no longer as it was seen; look again and decide anew."""


@dataclass(frozen=True)
class Journal:
    """Writes to the ledger on behalf of one worker.

    Attributes:
        ledger: the open ledger.
        clock: the time.
        owner: this worker's name in the ledger.
        lease: seconds that a claim holds without a sign of life.
        announce: hears every event, after it is on disk.
    """

    ledger: store.Ledger
    clock: Clock
    owner: str
    lease: float
    announce: Announce

    async def get(self, job_id: str) -> JobRecord:
        """Return a job.

        Raises:
            RequestError: the ledger has no such job.
        """
        record = await self.ledger.run(lambda connection: store.get(connection, job_id))
        if record is None:
            raise RequestError(
                f"job {job_id}: the ledger {self.ledger.label} has no such job.",
                hint="`onetake jobs list` shows the jobs that it has.",
            )
        return record

    async def move(
        self, seen: JobRecord, event: str, *, any_owner: bool = False, **values: Any
    ) -> JobRecord:
        """Change a job that is ours and still as it was seen; return it as it is now.

        ``any_owner`` is for a fact that is true whoever owns the job: the vendor's task id.

        Raises:
            Overtaken: another worker changed it first; nothing was changed here.
        """
        now = self.clock.now()
        if not any_owner:
            seen = replace(seen, owner=self.owner)

        def work(connection: sa.Connection) -> JobRecord | None:
            changes = {"updated_at": now, **values}
            if not store.move(connection, seen, changes):
                return None
            record = store.get(connection, seen.id)
            if record is not None and record.state.ended and record.ended_at is None:
                done = {"ended_at": now, "owner": None, "lease_until": None}
                store.move(connection, record, done)
                record = store.get(connection, seen.id)
            store.note(connection, seen.id, now, event, _detail(values))
            return record

        record = await self.ledger.run(work)
        if record is None:
            raise Overtaken(seen.id)
        self.tell(record, event, seen.state)
        return record

    async def claim(self, job_id: str) -> JobRecord | None:
        """Become the job's owner; None while another worker is."""
        now = self.clock.now()
        return await self.ledger.run(
            lambda connection: store.claim(connection, job_id, self.owner, now, self.lease)
        )

    async def renew(self, job_ids: list[str]) -> None:
        """Give a sign of life."""
        until = self.clock.now() + self.lease
        await self.ledger.run(
            lambda connection: store.renew(connection, job_ids, self.owner, until)
        )

    async def release(self, job_id: str) -> None:
        """Stop owning a job."""
        await self.ledger.run(lambda connection: store.release(connection, job_id, self.owner))

    def tell(self, record: JobRecord, event: str, before: JobState | None) -> None:
        """Log an event and pass it to the plugins. It holds no secret and no content."""
        message = {
            "event": event,
            "job_id": record.id,
            "provider": record.account.provider,
            "environment": record.account.environment,
            "model": record.model,
            "from": None if before is None else before.value,
            "to": record.state.value,
            "task_id": record.task_id,
            "at": record.updated_at,
        }
        log.info("%(event)s %(job_id)s %(from)s → %(to)s", message)
        try:
            self.announce(message)
        except Exception:
            log.exception("a plugin failed on the event %s of job %s", event, record.id)


def _detail(values: dict[str, Any]) -> dict[str, Any]:
    kept = ("submission", "task", "delivery", "task_id", "error", "actual")
    return {name: getattr(values[name], "value", values[name]) for name in kept if name in values}
