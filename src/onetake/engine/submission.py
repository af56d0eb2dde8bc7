"""From the intent to the vendor's task id: at most one POST that can be paid.

The intent is on disk before anything is sent, ``sending`` is on disk before the POST, and the
task id is on disk before anything else happens. What becomes of a POST is sorted by the driver
into four outcomes, each with its own step in the ledger.
"""

from __future__ import annotations

import logging

import anyio
import anyio.to_thread

from onetake.clock import Clock
from onetake.driver import Answered, Driver, Task
from onetake.engine import bodies, pacing
from onetake.engine.admission import Admission, no_slot
from onetake.engine.journal import Journal
from onetake.engine.recording import Recorder, Unrecorded
from onetake.engine.shielding import uncancelled
from onetake.engine.traffic import Traffic, Turn
from onetake.errors import (
    ConcurrencyExceeded,
    NotSent,
    OnetakeError,
    ProviderUnavailable,
    Refused,
    SubmissionUnknown,
)
from onetake.job import Submission
from onetake.ledger.records import JobRecord
from onetake.ledger.slots import NoSlot
from onetake.settings import Settings

log = logging.getLogger("onetake.engine")
SLOT_POLL = 1.0
"""Seconds between two looks into the ledger for a slot that another process gives back."""


class Submitter:
    """Sends intents."""

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        admission: Admission,
        recorder: Recorder,
        traffic: Traffic,
        blobs: bodies.BlobStore,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._driver = driver
        self._journal = journal
        self._admission = admission
        self._recorder = recorder
        self._traffic = traffic
        self._settings = settings
        self._clock = clock
        self._blobs = blobs

    async def send(self, record: JobRecord, deadline: float | None = None) -> JobRecord:
        """POST an intent, once; wait and go on only where nothing can have been created.

        Returns the job as it is then: accepted, refused (the vendor said no, or could not be
        reached within the patience), or unknown; still an intent if the deadline came first.
        """
        with self._admission.queue(record) as turn:
            if turn.needed and not await self._took(turn, deadline):
                return record
            await self._admission.ask_vendor(record)
            return await self._send_in_turn(record, turn, deadline)

    async def _took(self, turn: Turn, deadline: float | None) -> bool:
        """Wait for the turn, but not beyond the caller's patience."""
        left = None if deadline is None else max(0.0, deadline - self._clock.now())
        with anyio.move_on_after(left):
            await turn.take()
            return True
        return False

    async def _send_in_turn(
        self, record: JobRecord, turn: Turn, deadline: float | None
    ) -> JobRecord:
        started, attempt = self._clock.now(), 0
        while True:
            record, error = await self.attempt(record, turn)
            if record.submission is not Submission.INTENT:
                return record
            assert error is not None
            pause = _pause(error, attempt)
            again_at = self._clock.now() + pause
            if deadline is not None and again_at > deadline:
                raise error
            if again_at > started + self._patience(error):
                return await self._journal.move(
                    record, "gave_up", submission=Submission.REFUSED, error=record.told(error)
                )
            log.info("job %s was not accepted, trying again in %.1f s: %s", record.id, pause, error)
            if isinstance(error, ConcurrencyExceeded):
                queued = self._clock.now()
                if not await self._took(turn, deadline):
                    raise error
                started += self._clock.now() - queued  # patience counts from the turn
            await self._admission.pause(pause)
            await self._journal.renew([record.id])
            attempt += 1

    def _patience(self, error: OnetakeError) -> float:
        """A full account makes room in time; a vendor that is not there may never be."""
        settings = self._settings
        if isinstance(error, ProviderUnavailable):
            return min(settings.submit_patience, settings.connect_patience)
        return settings.submit_patience

    async def attempt(
        self, record: JobRecord, turn: Turn | None = None
    ) -> tuple[JobRecord, OnetakeError | None]:
        """Send once. A cancelled caller cannot cut in between the POST and its record."""
        body = await self.body_of(record)
        try:
            async with self._traffic.submissions:
                return await uncancelled(lambda: self._post(record, body, turn))
        except NoSlot as full:
            return record, no_slot(record, full)
        except Unrecorded as unrecorded:
            return await self._recorder.at_last(unrecorded), None

    async def body_of(self, record: JobRecord) -> bytes:
        """Return the exact bytes of a job's submission."""
        stored = record.submission_body["body"]
        return await anyio.to_thread.run_sync(bodies.encode, stored, self._blobs.read)

    async def _post(
        self, record: JobRecord, body: bytes, turn: Turn | None
    ) -> tuple[JobRecord, OnetakeError | None]:
        may_exist = record.submission is Submission.UNKNOWN
        now, settings = self._clock.now(), self._settings
        record = await self._journal.move(
            record,
            "sending",
            also=self._admission.enter,
            submission=Submission.SENDING,
            sent_at=record.sent_at if may_exist else now,
            lease_until=now + settings.guard + settings.submit_timeout + settings.lease,
        )
        if turn is not None:
            turn.over()
        if self._clock.now() - now > settings.guard:
            # frozen between the commit and the POST: another worker may have taken over
            return await self._not_created(record, _stale(record), may_exist, "too_late")
        try:
            answer = await self._submitted(record, body)
        except NotSent as signal:
            return await self._not_created(record, signal.error, may_exist, "not_sent")
        except Refused as signal:
            return await self._refused(record, signal, may_exist)
        except SubmissionUnknown as error:
            return await self.unknown(record, error), None
        except Exception as error:
            log.exception("the driver broke its contract while submitting job %s", record.id)
            told = SubmissionUnknown(f"the submission broke off: {type(error).__name__}: {error}")
            return await self.unknown(record, told), None
        return await self._recorder.accepted(record, answer), None

    async def _submitted(self, record: JobRecord, body: bytes) -> Task | Answered:
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
            return await self.unknown(record, doubt), error
        full = isinstance(error, ConcurrencyExceeded)
        learn = self._admission.learn_refused if full else None
        moved = await self._journal.move(record, event, also=learn, submission=Submission.INTENT)
        return moved, error

    async def _refused(
        self, record: JobRecord, signal: Refused, may_exist: bool
    ) -> tuple[JobRecord, OnetakeError | None]:
        if signal.exists:
            told = SubmissionUnknown(f"a task with the id of job {record.id} exists already.")
            return await self.unknown(record, told), None
        if signal.wait or may_exist:
            return await self._not_created(record, signal.error, may_exist, "deferred")
        told_record = record.told(signal.error)
        moved = await self._journal.move(
            record, "refused", submission=Submission.REFUSED, error=told_record
        )
        return moved, signal.error

    async def unknown(self, record: JobRecord, error: SubmissionUnknown) -> JobRecord:
        """Write down that the vendor may or may not have the job."""
        return await self._journal.move(
            record, "unknown", submission=Submission.UNKNOWN, error=record.told(error)
        )


def _pause(error: OnetakeError, attempt: int) -> float:
    """Return the seconds until the next attempt; our own ledger may be asked more often."""
    if isinstance(error, ConcurrencyExceeded) and error.vendor_code is None:
        return SLOT_POLL
    return pacing.backoff(attempt, getattr(error, "retry_after", None))


def _stale(record: JobRecord) -> OnetakeError:
    return OnetakeError(f"job {record.id}: this process was frozen before it could send.")
