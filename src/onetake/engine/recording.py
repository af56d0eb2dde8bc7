"""Recording: the vendor's task id goes to the disk before anything else happens.

It is not behind any pool or timer. While the ledger is slow, or fails, the id stands on standard
error and in a file; recording is tried until it works or the caller is cancelled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

import anyio
import sqlalchemy as sa

from onetake.clock import Clock
from onetake.driver import Answered, Task
from onetake.engine.admission import Admission
from onetake.engine.emergency import EmergencyFolder
from onetake.engine.journal import Journal, Overtaken
from onetake.engine.outcomes import Priced, outcome
from onetake.engine.shielding import uncancelled
from onetake.errors import LedgerError, RequestError
from onetake.job import Submission, TaskStatus
from onetake.ledger import store
from onetake.ledger.records import JobRecord

log = logging.getLogger("onetake.engine")
SLOW = 2.0
"""Seconds after which a ledger that does not answer is not relied upon."""

_WAITING = (Submission.SENDING, Submission.UNKNOWN)


def acceptance(task: Task, at: float | None) -> dict[str, Any]:
    """Return the columns of a job whose task is known; ``at`` is when the vendor took it."""
    return {
        "submission": Submission.ACCEPTED,
        "task": TaskStatus.QUEUED,
        "task_id": task.id,
        "task_ref": dataclasses.asdict(task),
        "accepted_at": at,
        "error": None,
    }


class Unrecorded(Exception):
    """A paid task whose id is not in the ledger yet."""

    def __init__(self, record: JobRecord, task: Task, more: Mapping[str, Any]) -> None:
        super().__init__(task.id)
        self.record = record
        self.task = task
        self.more = more


class TaskTaken(Exception):
    """A task that was found belongs to another job."""


class Recorder:
    """Writes task ids down."""

    def __init__(
        self,
        journal: Journal,
        admission: Admission,
        emergency: EmergencyFolder,
        clock: Clock,
        priced: Priced,
    ) -> None:
        self._priced = priced
        self._journal = journal
        self._admission = admission
        self._clock = clock
        self.emergency = emergency

    async def accepted(self, record: JobRecord, answer: Task | Answered) -> JobRecord:
        """Record the answer to our own POST.

        Raises:
            Unrecorded: the ledger failed; the id stands on standard error and in a file.
        """
        if isinstance(answer, Answered):
            more = outcome(record, answer.snapshot, self._priced)
            return await self._record(record, answer.task, more, found=False)
        return await self._record(record, answer, {}, found=False)

    async def adopt(
        self, record: JobRecord, task: Task, more: Mapping[str, Any] | None = None
    ) -> JobRecord:
        """Record the task that was found for a lost submission, and what is known of its end.

        Raises:
            TaskTaken: it belongs to another job by now.
        """
        try:
            return await uncancelled(lambda: self._record(record, task, more or {}, found=True))
        except Unrecorded as unrecorded:
            return await self.at_last(unrecorded)

    async def at_last(self, unrecorded: Unrecorded) -> JobRecord:
        """Try to record a paid task until it works or the caller is cancelled."""
        record, task = unrecorded.record, unrecorded.task
        while True:
            await self._clock.sleep(1.0)
            try:
                return await self._record(record, task, unrecorded.more, found=False)
            except Unrecorded:
                log.error("job %s: its task %s is still not recorded", record.id, task.id)

    async def _record(
        self, record: JobRecord, task: Task, more: Mapping[str, Any], *, found: bool
    ) -> JobRecord:
        values = {**acceptance(task, self._clock.now()), **more}
        failure: Exception | None = None
        moved = record
        async with anyio.create_task_group() as group:
            group.start_soon(self._cry_if_slow, record, task, more)
            try:
                moved = await self._move(record, task, found, values)
            except Exception as error:  # noqa: BLE001 - raised below, outside the group
                failure = error
            group.cancel_scope.cancel()
        if isinstance(failure, TaskTaken):
            self.emergency.settled(record.id)
            raise failure
        if failure is not None:
            self._cry(record, task, more, failure)
            raise Unrecorded(record, task, more) from failure
        return moved

    async def _move(
        self, record: JobRecord, task: Task, found: bool, values: dict[str, Any]
    ) -> JobRecord:
        def also(connection: sa.Connection, changed: JobRecord) -> None:
            if found:
                _check_free(connection, changed, task)
            self._admission.learn_accepted(connection, changed)

        try:
            moved = await self._journal.move(record, "accepted", urgent=True, also=also, **values)
        except Overtaken:
            return await self._late(record, task, values)
        self.emergency.settled(record.id)
        return moved

    async def _late(self, record: JobRecord, task: Task, values: dict[str, Any]) -> JobRecord:
        """Another worker took this job for dead; the id is worth more than its opinion."""
        current = await self._journal.get(record.id)
        while current.submission in _WAITING:
            with contextlib.suppress(Overtaken):
                return await self._journal.move(current, "accepted", any_owner=True, **values)
            current = await self._journal.get(record.id)
        if current.task_id == task.id:
            self.emergency.settled(record.id)
        else:
            self._cry(record, task, {}, LedgerError("the job has ended, or has another task"))
        return current

    async def _cry_if_slow(self, record: JobRecord, task: Task, more: Mapping[str, Any]) -> None:
        await anyio.sleep(SLOW)  # of this machine: it is the ledger's time, not the vendor's
        self._cry(record, task, more, LedgerError("the ledger does not answer"), aloud=False)

    def _cry(
        self,
        record: JobRecord,
        task: Task,
        more: Mapping[str, Any],
        error: Exception,
        *,
        aloud: bool = True,
    ) -> None:
        told = dataclasses.asdict(task)
        entry = {
            **dataclasses.asdict(record.account),
            "task": told,
            "outcome": {name: getattr(value, "value", value) for name, value in more.items()},
            "token": dataclasses.replace(record, task_ref=told).token,
            "at": self._clock.now(),
        }
        self.emergency.write(record.id, entry, error, aloud=aloud)


def _check_free(connection: sa.Connection, record: JobRecord, task: Task) -> None:
    try:
        store.check_free(connection, record, task.id)
    except RequestError as error:
        raise TaskTaken(task.id) from error
