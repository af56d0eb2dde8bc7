"""What became of a POST whose answer is missing.

Three ways, by what the model's card promises in ``resend``:

- ``safe``: the vendor keeps our id unique, for a time. Look it up; if it is absent, send the same
  id again. A no to that is the answer only once the first POST can no longer arrive.
- ``lookup``: the vendor can be asked for what it received. Look until the time is past in which
  the task could still turn up; never send again.
- ``none``: nobody can tell. It stays unknown until a person settles it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

import sqlalchemy as sa

from onetake.catalog import ProviderCard
from onetake.clock import Clock
from onetake.driver import Driver, LostSubmission, Task
from onetake.engine import pacing
from onetake.engine.journal import Journal
from onetake.engine.recording import Recorder, TaskTaken
from onetake.engine.submission import Submitter
from onetake.engine.traffic import Traffic
from onetake.errors import OnetakeError, SubmissionUnknown
from onetake.job import Submission
from onetake.ledger import store
from onetake.ledger.records import JobRecord
from onetake.settings import Settings

log = logging.getLogger("onetake.engine")


class Reconciler:
    """Finds out what became of lost submissions.

    Args:
        driver: can locate tasks.
        journal: the ledger.
        submitter: sends again where that is safe.
        recorder: writes down what was found.
        traffic: bounds the questions.
        settings: for the patience.
        clock: the time.
        card: says for how long a lost task can turn up, and be sent again.
    """

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        submitter: Submitter,
        recorder: Recorder,
        traffic: Traffic,
        settings: Settings,
        clock: Clock,
        card: ProviderCard,
    ) -> None:
        self._driver = driver
        self._journal = journal
        self._submitter = submitter
        self._recorder = recorder
        self._traffic = traffic
        self._settings = settings
        self._clock = clock
        self._window = card.lost_seconds
        self._resend_seconds = card.resend_seconds

    async def reconcile(self, record: JobRecord, deadline: float | None = None) -> JobRecord:
        """Find the task of a lost submission, or settle that there is none.

        Raises:
            SubmissionUnknown: the vendor cannot tell, or not now.
        """
        if record.submission is Submission.SENDING:
            lost = SubmissionUnknown("the process that sent this job ended before the answer.")
            record = await self._submitter.unknown(record, lost)
        noted = self._recorder.emergency.read(record.id)
        if noted is not None:
            return await self._recorder.adopt(record, noted.task, noted.outcome)
        give_up_at = self._clock.now() + self._settings.submit_patience
        refusal: OnetakeError | None = None
        attempt = 0
        while True:
            asked, found = await self._located(record)
            if found:
                with contextlib.suppress(TaskTaken):
                    return await self._recorder.adopt(record, found[0])
            elif asked and refusal is not None and self._never_came(record):
                return await self._journal.move(
                    record, "refused", submission=Submission.REFUSED, error=record.told(refusal)
                )
            elif asked and refusal is None:
                record, refusal = await self._again_if_safe(record)
            if record.submission is not Submission.UNKNOWN:
                return record
            pause = pacing.backoff(attempt)
            if self._hopeless(record, asked) or self._clock.now() + pause > give_up_at:
                raise unknown(record, self._past(record))
            if deadline is not None and self._clock.now() + pause > deadline:
                await self._clock.sleep(deadline - self._clock.now())
                return record  # the caller's patience ended; nothing is decided
            await self._clock.sleep(pause)
            await self._journal.renew([record.id])
            attempt += 1

    async def _again_if_safe(self, record: JobRecord) -> tuple[JobRecord, OnetakeError | None]:
        """Send the same id again; return the vendor's definite no, if it gave one."""
        if not self._may_resend(record):
            return record, None
        record, error = await self._submitter.attempt(record)
        return record, None if error is None or error.retryable else error

    def _may_resend(self, record: JobRecord) -> bool:
        """Say whether the vendor still refuses a second task with our id."""
        age = self._clock.now() - (record.sent_at or 0.0)
        return record.resend == "safe" and age < self._resend_seconds

    def _never_came(self, record: JobRecord) -> bool:
        """Say whether the first POST, which was not seen, can no longer arrive."""
        settings = self._settings
        limit = settings.guard + settings.submit_timeout
        return self._clock.now() > (record.sent_at or 0.0) + limit

    def _past(self, record: JobRecord) -> bool:
        """Say whether the task, if there is one, would be shown by now."""
        return self._clock.now() > (record.sent_at or 0.0) + self._window

    def _hopeless(self, record: JobRecord, asked: bool) -> bool:
        if record.resend == "lookup":
            return asked and self._past(record)
        return not self._may_resend(record)

    async def _located(self, record: JobRecord) -> tuple[bool, Sequence[Task]]:
        """Return whether the vendor could be asked, and the one task that is this job's.

        Raises:
            SubmissionUnknown: several may be.
        """
        if record.resend not in ("safe", "lookup"):
            return True, ()
        try:
            lost = await self._lost(record)
            async with self._traffic.looks:
                found = await self._driver.locate(lost)
        except OnetakeError as error:
            if not error.retryable:
                raise unknown(record, past=False, because=error.message) from error
            log.info("job %s cannot be looked up now: %s", record.id, error)
            return False, ()
        return True, await self._unclaimed(record, found)

    async def _lost(self, record: JobRecord) -> LostSubmission:
        return LostSubmission(
            job_id=record.id,
            submission=record.sending,
            body=await self._submitter.body_of(record),
            sent_at=record.sent_at or record.created_at,
            took_at_most=self._settings.guard + self._settings.submit_timeout,
        )

    async def _unclaimed(self, record: JobRecord, found: Sequence[Task]) -> Sequence[Task]:
        """Leave out other jobs' tasks; refuse to choose among several."""
        if not found:
            return ()

        def look(connection: sa.Connection) -> tuple[set[str], list[str]]:
            taken = store.holders(connection, record.account_id, [task.id for task in found])
            return taken, store.unknown_twins(connection, record, self._window)

        taken, twins = await self._journal.ledger.run(look)
        free = [task for task in found if task.id not in taken]
        if free and (len(free) > 1 or twins):
            raise ambiguous(record, free, twins)
        return free


def unknown(record: JobRecord, past: bool, because: str | None = None) -> SubmissionUnknown:
    """Return the error for a job whose submission stays unknown."""
    provider = record.account.provider
    lost = (record.error or {}).get("message", "the answer to the submission was lost.")
    reason = lost if because is None else f"{lost} {because}"
    told = f"job {record.id}: {reason} A paid task may exist, so nothing is sent again."
    if past and record.resend == "lookup":
        told = (
            f"job {record.id}: {reason} {provider} shows no such task, and would by now if it "
            "had one; it cannot be proved, so nothing is sent again."
        )
    return SubmissionUnknown(told, hint=_settle(record), **_identity(record))


def ambiguous(record: JobRecord, tasks: Sequence[Task], twins: Sequence[str]) -> SubmissionUnknown:
    """Return the error for a job that any of several tasks may belong to."""
    also = f" Job {', '.join(twins)} asked for the same and is unknown too." if twins else ""
    names = ", ".join(task.id for task in tasks)
    return SubmissionUnknown(
        f"job {record.id}: {record.account.provider} has tasks with exactly this body ({names}), "
        f"and which of them is this job's cannot be told.{also}",
        hint=f"Choose one with `onetake jobs attach {record.id} --task ID`.",
        **_identity(record),
    )


def _identity(record: JobRecord) -> dict[str, str | None]:
    return {
        "provider": record.account.provider,
        "job_id": record.id,
        "token": record.token,
    }


def _settle(record: JobRecord) -> str:
    again = f"`onetake jobs resume {record.id}` looks again."
    if record.resend == "safe":
        return f"{again} `onetake jobs abandon {record.id}` gives it up."
    return (
        f"{again} If the vendor's own list of requests shows it: `onetake jobs attach "
        f"{record.id} --task ID`; if not: `onetake jobs abandon {record.id}`, or `onetake jobs "
        f"resubmit {record.id}` to send it once more."
    )
