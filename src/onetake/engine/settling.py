"""What only a person can settle: attach, abandon, resubmit. Each leaves its mark in the history."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from onetake.clock import Clock
from onetake.driver import Driver, LookError, Snapshot, Task
from onetake.engine.emergency import EmergencyFolder
from onetake.engine.journal import Journal
from onetake.engine.recording import acceptance
from onetake.engine.reserving import Budgets
from onetake.errors import DeliveryError, JobFailed, RequestError
from onetake.job import Delivery, Submission, TaskStatus, new_job_id
from onetake.ledger import spending, store
from onetake.ledger.records import JobRecord


class Settler:
    """Carries out what a person decides about a job, which the engine owns meanwhile."""

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        emergency: EmergencyFolder,
        clock: Clock,
        budgets: Budgets,
    ) -> None:
        self._budgets = budgets
        self._driver = driver
        self._journal = journal
        self._emergency = emergency
        self._clock = clock

    async def attach(self, record: JobRecord, task_id: str) -> JobRecord:
        """Give a job the vendor's task that a person found; the vendor must know it.

        Raises:
            RequestError: the job is not unknown, the task belongs to another job, or the vendor
                does not know it.
            OnetakeError: the vendor could not be asked.
        """
        _allow(record, Submission.UNKNOWN, Submission.SENDING)
        task = self._driver.task_of(record.sending, task_id)
        if not await self._shown(task):
            raise RequestError(
                f"task {task_id}: {record.account.provider} does not know it at "
                f"{task.path or 'this account'}; job {record.id} stays as it is."
            )

        def free(connection: sa.Connection, changed: JobRecord) -> None:
            store.check_free(connection, changed, task_id)

        moved = await self._journal.move(
            record, "attached", also=free, **acceptance(task, record.sent_at)
        )
        self._emergency.settled(record.id)
        return moved

    async def _shown(self, task: Task) -> bool:
        answer = (await self._driver.look([task])).get(task.id)
        if isinstance(answer, LookError):
            raise answer.error
        return isinstance(answer, Snapshot)

    async def abandon(self, record: JobRecord) -> JobRecord:
        """Give a job up: it was never sent, a person says that no task came of it, or the vendor
        shows its task no longer.

        Raises:
            RequestError: the vendor has it, or it has ended.
            OnetakeError: the vendor could not be asked.
        """
        if record.submission is Submission.ACCEPTED and not record.state.ended:
            return await self._give_up_task(record)
        self._no_emergency(record)
        record = await self._no_longer_sending(record)
        _allow(record, Submission.UNKNOWN, Submission.INTENT)
        return await self._journal.move(record, "abandoned", submission=Submission.ABANDONED)

    async def _give_up_task(self, record: JobRecord) -> JobRecord:
        """Close the books on a task that the vendor shows no longer; what it cost is unknown."""
        if record.task is TaskStatus.SUCCEEDED:
            gone = DeliveryError(f"job {record.id} was given up before its file could be fetched.")
            lost = record.told(gone)
            return await self._journal.move(record, "abandoned", delivery=Delivery.LOST, error=lost)
        if await self._shown(record.vendor_task):
            raise RequestError(
                f"job {record.id} is {record.state.value} at {record.account.provider}: it can "
                "only be cancelled or waited for."
            )
        error = JobFailed(f"job {record.id} was given up: the vendor shows its task no longer.")
        return await self._journal.move(
            record, "abandoned", task=TaskStatus.FAILED, error=record.told(error)
        )

    async def resubmit(self, record: JobRecord) -> JobRecord:
        """Abandon an unknown job and make a child that sends the same body once more.

        A person has to take that decision: if the first one was received after all, two are
        paid. The key goes over to the child.

        Raises:
            RequestError: the job is not unknown, or finds its task by itself.
            BudgetExceeded: a budget has no room for it any more; the job stays unknown.
        """
        _allow(record, Submission.UNKNOWN, Submission.SENDING)
        self._no_emergency(record)
        if record.sending.external_id is not None:
            raise RequestError(
                f"job {record.id}: its body carries our id, by which "
                f"{record.account.provider} finds it; it cannot be sent as another job.",
                hint=f"Run `onetake jobs resume {record.id}`; if that does not help, abandon it "
                "and generate anew.",
            )
        child_id = new_job_id(self._clock.now())

        def add_child(connection: sa.Connection, parent: JobRecord) -> None:
            tags = spending.tags_of(connection, record.id)
            budgets = dataclasses.replace(self._budgets, run=record.run or self._budgets.run)
            budgets.check(connection, self._clock.now(), record.reserve, tags)
            _add_child(connection, parent, record, child_id)

        unknown = await self._no_longer_sending(record)
        await self._journal.move(
            unknown,
            "resubmitted",
            also=add_child,
            submission=Submission.ABANDONED,
            reserved=record.reserved,  # it may have been received, and paid, all the same
        )
        child = await self._journal.get(child_id)
        self._journal.tell(child, "intended", None)
        return child

    async def _no_longer_sending(self, record: JobRecord) -> JobRecord:
        """A ``sending`` that nobody works on is a lost one."""
        if record.submission is not Submission.SENDING:
            return record
        return await self._journal.move(record, "unknown", submission=Submission.UNKNOWN)

    def _no_emergency(self, record: JobRecord) -> None:
        noted = self._emergency.read(record.id)
        if noted is not None:
            task = noted.task
            raise RequestError(
                f"job {record.id}: its paid task {task.id} stands in the emergency folder.",
                job_id=record.id,
                hint=f"Run `onetake jobs resume {record.id}`, which takes it from there.",
            )


def _allow(record: JobRecord, *allowed: Submission) -> None:
    if record.submission not in allowed:
        raise RequestError(
            f"job {record.id} is {record.state.value}: there is nothing to settle.",
            job_id=record.id,
        )


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
    "run",
    "notes",
)


def _add_child(
    connection: sa.Connection, parent: JobRecord, before: JobRecord, child_id: str
) -> None:
    """Insert the child; it takes over the key, and the reserve that the parent had."""
    store.release_key(connection, parent)
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
    spending.tag(connection, child_id, spending.tags_of(connection, parent.id))
    store.note(connection, child_id, parent.updated_at, "intended", {"parent": parent.id})
