"""From the intent to the vendor's task id: at most one POST that can be paid.

The intent is on disk before anything is sent, ``sending`` is on disk before the POST, and the
task id is on disk before anything else happens. What becomes of a POST is sorted by the driver
into four outcomes, each with its own step in the ledger.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import sys
from typing import Any

import anyio
import anyio.to_thread

from onetake.clock import Clock
from onetake.driver import Driver, Task
from onetake.engine import bodies, pacing
from onetake.engine.journal import Journal, Overtaken
from onetake.engine.shielding import uncancelled
from onetake.errors import (
    LedgerError,
    NotSent,
    OnetakeError,
    ProviderUnavailable,
    Refused,
    SubmissionUnknown,
)
from onetake.files import write_atomic
from onetake.job import Submission, TaskStatus
from onetake.ledger.records import Account, JobRecord
from onetake.settings import Settings

log = logging.getLogger("onetake.engine")


class Submitter:
    """Sends intents, and finds out what became of lost ones."""

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        account: Account,
        blobs: bodies.BlobStore,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._driver = driver
        self._journal = journal
        self._account = account
        self._settings = settings
        self._clock = clock
        self._blobs = blobs
        self._told: set[str] = set()

    async def send(self, record: JobRecord, deadline: float | None = None) -> JobRecord:
        """POST an intent, once; wait and go on only where nothing can have been created.

        Returns the job as it is then: accepted, refused (the vendor said no, or could not be
        reached within the patience), or unknown.
        """
        started, attempt = self._clock.now(), 0
        while True:
            record, error = await self._attempt(record)
            if record.submission is not Submission.INTENT:
                return record
            assert error is not None
            give_up_at = started + self._patience(error)
            pause = pacing.backoff(attempt, getattr(error, "retry_after", None))
            again_at = self._clock.now() + pause
            if deadline is not None and again_at > deadline:
                raise error
            if again_at > give_up_at:
                return await self._journal.move(
                    record, "gave_up", submission=Submission.REFUSED, error=record.told(error)
                )
            log.info("job %s was not accepted, trying again in %.1f s: %s", record.id, pause, error)
            await self._clock.sleep(pause)
            await self._journal.renew([record.id])
            attempt += 1

    def _patience(self, error: OnetakeError) -> float:
        """A full account makes room in time; a vendor that is not there may never be."""
        settings = self._settings
        unreachable = isinstance(error, ProviderUnavailable)
        return (
            min(settings.submit_patience, settings.connect_patience)
            if unreachable
            else (settings.submit_patience)
        )

    async def _attempt(self, record: JobRecord) -> tuple[JobRecord, OnetakeError | None]:
        """Send once. A cancelled caller cannot cut in between the POST and its record."""
        body = await anyio.to_thread.run_sync(
            bodies.encode, record.submission_body["body"], self._blobs.read
        )
        try:
            return await uncancelled(lambda: self._post(record, body))
        except _Unrecorded as unrecorded:
            return await self._record_at_last(unrecorded.record, unrecorded.task), None

    async def _post(self, record: JobRecord, body: bytes) -> tuple[JobRecord, OnetakeError | None]:
        may_exist = record.submission is Submission.UNKNOWN
        now, settings = self._clock.now(), self._settings
        record = await self._journal.move(
            record,
            "sending",
            submission=Submission.SENDING,
            sent_at=now,
            lease_until=now + settings.guard + settings.submit_timeout + settings.lease,
        )
        if self._clock.now() - now > settings.guard:
            # frozen between the commit and the POST: another worker may have taken over
            return await self._not_created(record, _stale(record), may_exist, "too_late")
        try:
            task = await self._submitted(record, body)
        except NotSent as signal:
            return await self._not_created(record, signal.error, may_exist, "not_sent")
        except Refused as signal:
            return await self._refused(record, signal, may_exist)
        except SubmissionUnknown as error:
            return await self._unknown(record, error), None
        except Exception as error:
            log.exception("the driver broke its contract while submitting job %s", record.id)
            told = SubmissionUnknown(f"the submission broke off: {type(error).__name__}: {error}")
            return await self._unknown(record, told), None
        return await self._accept(record, task), None

    async def _submitted(self, record: JobRecord, body: bytes) -> Task:
        """Let the driver POST, in a bounded time: the drivers' own timeouts are per read."""
        with anyio.move_on_after(self._settings.submit_timeout):
            return await self._driver.submit(record.sending, body)
        raise SubmissionUnknown(
            f"no answer to the submission within {self._settings.submit_timeout:g} s."
        )

    async def _not_created(
        self, record: JobRecord, error: OnetakeError, may_exist: bool, event: str
    ) -> tuple[JobRecord, OnetakeError | None]:
        """This POST created nothing; an earlier one of the same job still may have."""
        if may_exist:
            doubt = SubmissionUnknown(f"an earlier submission may exist; now: {error.message}")
            return await self._unknown(record, doubt), error
        moved = await self._journal.move(record, event, submission=Submission.INTENT)
        return moved, error

    async def _refused(
        self, record: JobRecord, signal: Refused, may_exist: bool
    ) -> tuple[JobRecord, OnetakeError | None]:
        if signal.exists:
            told = SubmissionUnknown(f"a task with the id of job {record.id} exists already.")
            return await self._unknown(record, told), None
        if signal.wait or may_exist:
            return await self._not_created(record, signal.error, may_exist, "deferred")
        told_record = record.told(signal.error)
        moved = await self._journal.move(
            record, "refused", submission=Submission.REFUSED, error=told_record
        )
        return moved, signal.error

    async def _unknown(self, record: JobRecord, error: SubmissionUnknown) -> JobRecord:
        return await self._journal.move(
            record, "unknown", submission=Submission.UNKNOWN, error=record.told(error)
        )

    async def _accept(self, record: JobRecord, task: Task) -> JobRecord:
        """Record the vendor's task id; nothing else comes first.

        Raises:
            _Unrecorded: the ledger failed; the id stands on standard error and in a file.
        """
        values: dict[str, Any] = {
            "submission": Submission.ACCEPTED,
            "task": TaskStatus.QUEUED,
            "task_id": task.id,
            "task_ref": dataclasses.asdict(task),
            "accepted_at": self._clock.now(),
            "error": None,
        }
        try:
            try:
                return await self._journal.move(record, "accepted", **values)
            except Overtaken:
                return await self._accept_late(record, task, values)
        except Exception as error:
            self._emergency(record, task, error)
            raise _Unrecorded(record, task) from error

    async def _accept_late(
        self, record: JobRecord, task: Task, values: dict[str, Any]
    ) -> JobRecord:
        """Another worker took this job for dead; the id is worth more than its opinion."""
        waiting = (Submission.SENDING, Submission.UNKNOWN)
        while True:
            current = await self._journal.get(record.id)
            if current.submission not in waiting or current.task_id is not None:
                break
            with contextlib.suppress(Overtaken):
                return await self._journal.move(current, "accepted", any_owner=True, **values)
        if current.task_id != task.id:
            self._emergency(record, task, LedgerError("the job has another task already"))
        return current

    async def _record_at_last(self, record: JobRecord, task: Task) -> JobRecord:
        """Try to record a paid task until it works or the caller is cancelled."""
        while True:
            await self._clock.sleep(1.0)
            try:
                return await self._accept(record, task)
            except _Unrecorded:
                log.error("job %s: its task %s is still not recorded", record.id, task.id)

    def _emergency(self, record: JobRecord, task: Task, error: Exception) -> None:
        if task.id in self._told:
            return
        self._told.add(task.id)
        entry = {
            "job_id": record.id,
            "provider": self._account.provider,
            "host": self._account.host,
            "environment": self._account.environment,
            "account": self._account.name,
            "task": dataclasses.asdict(task),
            "at": self._clock.now(),
        }
        line = json.dumps(entry)
        print(  # noqa: T201 - the last place left
            f"onetake: PAID TASK NOT RECORDED ({error}): {line}", file=sys.stderr
        )
        path = self._settings.home / "emergency" / f"{record.id}.json"
        try:
            write_atomic(path, line.encode())
        except OSError as failure:
            log.critical("the emergency file %s cannot be written either: %s", path, failure)

    async def reconcile(self, record: JobRecord, deadline: float | None = None) -> JobRecord:
        """Find out what became of a POST whose answer is missing.

        Where the vendor keeps our id unique, the same id is sent again, because that cannot
        create a second task. Everything ends with the patience.

        Raises:
            SubmissionUnknown: the vendor cannot tell, or not now.
        """
        if record.submission is Submission.SENDING:
            lost = SubmissionUnknown("the process that sent this job ended before the answer.")
            record = await self._unknown(record, lost)
        give_up_at = self._clock.now() + self._settings.submit_patience
        attempt = 0
        while True:
            looked, task = await self._located(record)
            if task is not None:
                return await self._adopt(record, task)
            if record.resend != "safe":
                raise unknown(record)
            if looked:
                record, _ = await self._attempt(record)
                if record.submission is not Submission.UNKNOWN:
                    return record
            pause = pacing.backoff(attempt)
            if self._clock.now() + pause > give_up_at:
                raise unknown(record)
            if deadline is not None and self._clock.now() + pause > deadline:
                await self._clock.sleep(deadline - self._clock.now())
                return record  # the caller's patience ended; nothing is decided
            await self._clock.sleep(pause)
            await self._journal.renew([record.id])
            attempt += 1

    async def _located(self, record: JobRecord) -> tuple[bool, Task | None]:
        """Return whether the vendor could be asked, and the task if it shows one."""
        if record.resend not in ("safe", "lookup"):
            return True, None
        try:
            return True, await self._driver.locate(record.id, record.sending)
        except OnetakeError as error:
            if not error.retryable:
                raise
            log.info("job %s cannot be looked up now: %s", record.id, error)
            return False, None

    async def _adopt(self, record: JobRecord, task: Task) -> JobRecord:
        try:
            return await uncancelled(lambda: self._accept(record, task))
        except _Unrecorded as unrecorded:
            return await self._record_at_last(unrecorded.record, unrecorded.task)


class _Unrecorded(Exception):
    """A paid task whose id is not in the ledger yet."""

    def __init__(self, record: JobRecord, task: Task) -> None:
        super().__init__(task.id)
        self.record = record
        self.task = task


def unknown(record: JobRecord) -> SubmissionUnknown:
    """Return the error for a job whose submission stays unknown."""
    reason = (record.error or {}).get("message", "the answer to the submission was lost.")
    return SubmissionUnknown(
        f"job {record.id}: {reason} A paid task may exist, so nothing is sent again.",
        provider=record.account.provider,
        job_id=record.id,
        hint=f"Look at the vendor's list of requests; then `onetake jobs show {record.id}`.",
    )


def _stale(record: JobRecord) -> OnetakeError:
    return OnetakeError(f"job {record.id}: this process was frozen before it could send.")
