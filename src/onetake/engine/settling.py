"""What only a person can settle: attach, abandon, resubmit. Each leaves its mark in the history."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from onetake.clock import Clock
from onetake.driver import Driver, LookError, Snapshot
from onetake.engine.journal import Journal, Overtaken
from onetake.errors import OnetakeError, RequestError
from onetake.job import Delivery, Submission, TaskStatus, new_job_id
from onetake.ledger import store
from onetake.ledger.records import JobRecord
from onetake.ledger.tables import jobs


class Settler:
    """Carries out what a person decides about jobs whose outcome is unknown."""

    def __init__(self, driver: Driver, journal: Journal, clock: Clock) -> None:
        self._driver = driver
        self._journal = journal
        self._clock = clock

    async def attach(self, job_id: str, task_id: str) -> JobRecord:
        """Give a job the vendor's task that a person found; the vendor must know it.

        Raises:
            RequestError: the job is not unknown, the task belongs to another job, or the vendor
                does not know it.
            OnetakeError: the vendor could not be asked.
        """
        record = await self._held(job_id, Submission.UNKNOWN)
        task = self._driver.task_of(record.sending, task_id)
        answer = (await self._driver.look([task])).get(task_id)
        if isinstance(answer, LookError):
            raise answer.error
        if not isinstance(answer, Snapshot):
            raise RequestError(
                f"task {task_id}: {record.account.provider} does not know it at "
                f"{task.path or 'this account'}; job {record.id} stays as it is."
            )
        values: dict[str, Any] = {
            "submission": Submission.ACCEPTED,
            "task": TaskStatus.QUEUED,
            "task_id": task.id,
            "task_ref": asdict(task),
            "accepted_at": record.sent_at,
            "error": None,
        }

        def free(connection: sa.Connection, changed: JobRecord) -> None:
            _check_free(connection, changed, task_id)

        return await self._settled(record, "attached", also=free, **values)

    async def abandon(self, job_id: str) -> JobRecord:
        """Give a job up: it was never sent, or a person says that no task came of it.

        Raises:
            RequestError: the vendor has it, or it has ended.
        """
        record = await self._held(job_id, Submission.UNKNOWN, Submission.INTENT)
        return await self._settled(record, "abandoned", submission=Submission.ABANDONED)

    async def resubmit(self, job_id: str) -> JobRecord:
        """Abandon an unknown job and make a child that sends the same body once more.

        A person has to take that decision: if the first one was received after all, two are
        paid. The key goes over to the child.

        Raises:
            RequestError: the job is not unknown, or finds its task by itself.
        """
        record = await self._held(job_id, Submission.UNKNOWN)
        if record.resend == "safe" or record.sending.external_id is not None:
            raise RequestError(
                f"job {record.id}: {record.account.provider} finds it by our id, so it is not to "
                "be sent anew.",
                hint=f"Run `onetake jobs resume {record.id}`.",
            )
        child_id = new_job_id(self._clock.now())

        def add_child(connection: sa.Connection, parent: JobRecord) -> None:
            _add_child(connection, parent, record, child_id)

        await self._settled(record, "resubmitted", also=add_child, submission=Submission.ABANDONED)
        child = await self._journal.get(child_id)
        self._journal.tell(child, "intended", None)
        return child

    async def _held(self, job_id: str, *allowed: Submission) -> JobRecord:
        """Own a job that is in one of these states; a lost ``sending`` counts as unknown."""
        record = await self._journal.claim(job_id)
        if record is None:
            raise RequestError(
                f"job {job_id}: another process works on it now.",
                hint="Wait until it has ended, or stop it, and try again.",
            )
        if record.submission is Submission.SENDING and Submission.UNKNOWN in allowed:
            record = await self._journal.move(record, "unknown", submission=Submission.UNKNOWN)
        if record.submission not in allowed:
            await self._journal.release(record.id)
            raise RequestError(
                f"job {record.id} is {record.state.value}, not "
                f"{' or '.join(state.value for state in allowed)}: there is nothing to settle."
            )
        return record

    async def _settled(self, record: JobRecord, event: str, **changes: Any) -> JobRecord:
        try:
            return await self._journal.move(record, event, **changes)
        except Overtaken:
            raise OnetakeError(
                f"job {record.id} was changed by another process at this moment.",
                hint="Look at it and decide again.",
            ) from None
        finally:
            await self._journal.release(record.id)


def _check_free(connection: sa.Connection, record: JobRecord, task_id: str) -> None:
    wanted = sa.select(jobs.c.id).where(
        jobs.c.account_id == record.account_id,
        jobs.c.task_id == task_id,
        jobs.c.id != record.id,
    )
    other = connection.execute(wanted).scalar()
    if other is not None:
        raise RequestError(f"task {task_id} belongs to job {other} already.", job_id=other)


_COPIED = (
    "account_id",
    "key",
    "model",
    "fingerprint",
    "request",
    "submission_body",
    "body_sha256",
    "resend",
    "typical_seconds",
    "proof",
    "estimate",
    "currency",
    "notes",
)


def _add_child(
    connection: sa.Connection, parent: JobRecord, before: JobRecord, child_id: str
) -> None:
    """Insert the child; it takes over the key, and the reserve that the parent had."""
    store.release_key(connection, parent.id)
    copied = {name: getattr(parent, name) for name in _COPIED}
    store.insert(
        connection,
        {
            **copied,
            "notes": [*parent.notes, f"sent again in place of job {parent.id}"],
            "id": child_id,
            "parent_id": parent.id,
            "key_current": parent.key_current,
            "reserved": before.reserved,
            "submission": Submission.INTENT.value,
            "delivery": Delivery.PENDING.value,
            "artifacts": [],
            "created_at": parent.updated_at,
            "updated_at": parent.updated_at,
        },
    )
    store.note(connection, child_id, parent.updated_at, "intended", {"parent": parent.id})
