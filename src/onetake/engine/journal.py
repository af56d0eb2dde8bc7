"""The journal: every change of a job is a compare-and-set, then an event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from onetake.clock import Clock
from onetake.engine.traffic import Signal
from onetake.engine.workers import is_gone
from onetake.errors import RequestError
from onetake.job import JobState, Submission, TaskStatus, job_state
from onetake.ledger import slots, spending, store
from onetake.ledger.records import JobRecord

log = logging.getLogger("onetake.jobs")
Announce = Callable[[dict[str, Any]], None]
Also = Callable[[sa.Connection, JobRecord], None]
"""Work in the same transaction; what it raises undoes the whole step."""


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
        slot_freed: given whenever a job gives back its slots.
    """

    ledger: store.Ledger
    clock: Clock
    owner: str
    lease: float
    announce: Announce
    slot_freed: Signal = field(default_factory=Signal)

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
        self,
        seen: JobRecord,
        event: str,
        *,
        any_owner: bool = False,
        urgent: bool = False,
        also: Also | None = None,
        **values: Any,
    ) -> JobRecord:
        """Change a job that is ours and still as it was seen; return it as it is now.

        Args:
            seen: the job as it was read.
            event: name for the audit trail.
            any_owner: for a fact that is true whoever owns the job: the vendor's task id.
            urgent: ahead of everything else that waits for the ledger.
            also: more work in the same transaction, once the job is changed.
            **values: columns.

        Raises:
            Overtaken: another worker changed it first; nothing was changed here.
        """
        now = self.clock.now()
        if not any_owner:
            seen = replace(seen, owner=self.owner)

        def work(connection: sa.Connection) -> JobRecord | None:
            changes = {"updated_at": now, **_settled(seen, values), **values}
            if after(seen, values).ended and seen.ended_at is None:
                changes.update(ended_at=now, owner=None, lease_until=None)
            record = store.move(connection, seen, changes)
            if record is None:
                return None
            if holds_slots(seen) and not holds_slots(record):
                slots.leave(connection, record.id)
            if also is not None:
                also(connection, record)
            store.note(connection, seen.id, now, event, _detail(values))
            return record

        record = await self.ledger.run(work, urgent=urgent)
        if record is None:
            raise Overtaken(seen.id)
        if not holds_slots(record):
            self.slot_freed.give()
        self.tell(record, event, seen.state)
        return record

    async def claim(self, job_id: str) -> JobRecord | None:
        """Become the job's owner; None while another worker is."""
        now = self.clock.now()

        def work(connection: sa.Connection) -> JobRecord | None:
            claimed = store.claim(connection, job_id, self.owner, now, self.lease)
            record = claimed or store.get(connection, job_id)
            if claimed is None and record is not None and is_gone(record.owner or ""):
                store.release(connection, job_id, record.owner or "")
                claimed = store.claim(connection, job_id, self.owner, now, self.lease)
            return claimed

        return await self.ledger.run(work)

    async def renew(self, job_ids: list[str]) -> None:
        """Give a sign of life."""
        until = self.clock.now() + self.lease
        await self.ledger.run(
            lambda connection: store.renew(connection, job_ids, self.owner, until)
        )

    async def release(self, job_id: str, unless: Callable[[], bool]) -> None:
        """Stop owning a job, unless it is needed again by the time that this is done."""

        def work(connection: sa.Connection) -> None:
            if not unless():
                store.release(connection, job_id, self.owner)

        await self.ledger.run(work)

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
        log.info("%(event)s %(job_id)s %(from)s → %(to)s", message, extra={"onetake": message})
        try:
            self.announce(message)
        except Exception:
            log.exception("a plugin failed on the event %s of job %s", event, record.id)


def after(seen: JobRecord, values: Mapping[str, Any]) -> JobState:
    """Return the state of a job once these columns are written."""
    return job_state(
        values.get("submission", seen.submission),
        values.get("task", seen.task),
        values.get("delivery", seen.delivery),
    )


def holds_slots(record: JobRecord) -> bool:
    """Say whether a job may be unfinished at the vendor."""
    if record.submission is Submission.ACCEPTED:
        return record.task in (None, TaskStatus.QUEUED, TaskStatus.RUNNING)
    return record.submission in (Submission.SENDING, Submission.UNKNOWN)


def _settled(seen: JobRecord, values: dict[str, Any]) -> dict[str, Any]:
    """Return what becomes of the reserve: the vendor's figure, or nothing if nothing is charged."""
    if values.get("submission") in (Submission.REFUSED, Submission.ABANDONED):
        return {"reserved": 0}
    actual = values.get("actual")
    if actual is not None and actual["amount"] is not None:
        amount = spending.millionths(Decimal(actual["amount"]))
        return {"reserved": amount, "currency": actual["currency"]}
    if values.get("task") is not None and (values.get("error") or {}).get("billed") == "no":
        return {"reserved": 0}
    return _more_units(seen, actual or {})


def _more_units(seen: JobRecord, actual: Mapping[str, Any]) -> dict[str, Any]:
    """Reserve more, where the units that the vendor counted cost more than was held for them."""
    estimate = seen.estimate or {}
    told = [actual.get("units"), *map(estimate.get, ("units", "expected", "high"))]
    counted, units, cost, high = (None if text is None else Decimal(text) for text in told)
    if counted is None or cost is None or high is None or not units:
        return {}
    dear = cost * counted / units
    return {"reserved": spending.millionths(dear)} if dear > high else {}


def _detail(values: dict[str, Any]) -> dict[str, Any]:
    kept = ("submission", "task", "delivery", "task_id", "error", "actual")
    return {name: getattr(values[name], "value", values[name]) for name in kept if name in values}
