"""``run_job``: the one way in which a job goes on, whoever asks.

It reads the job from the ledger, takes the one step that its state calls for, and repeats, until
the goal is reached. Every step is a compare-and-set, so it may be called again at any moment,
from any process, after any crash.
"""

from __future__ import annotations

import contextlib
import logging
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

import anyio

from onetake.clock import Clock
from onetake.driver import Driver
from onetake.engine.alive import alive
from onetake.engine.callbacks import CallbackReader
from onetake.engine.delivery import Deliverer
from onetake.engine.intents import Intent, IntentWriter
from onetake.engine.journal import Journal, Overtaken
from onetake.engine.reconciling import Reconciler
from onetake.engine.settling import Settler
from onetake.engine.shielding import uncancelled
from onetake.engine.submission import Submitter
from onetake.engine.watching import OnUpdate, Watcher
from onetake.errors import JobTimeout, LedgerError, OnetakeError, RequestError
from onetake.job import Delivery, Job, JobState, Submission, TaskStatus
from onetake.ledger.records import JobRecord

log = logging.getLogger("onetake.engine")
Goal = Literal["accepted", "delivered"]
Step = Literal["send", "reconcile", "watch", "deliver"]
_FOREIGN_POLL = 1.0
"""Seconds between two looks into the ledger while another process works on a job."""


def next_step(record: JobRecord) -> Step | None:
    """Return the step that a job's state calls for; None when it has ended."""
    if record.submission is Submission.INTENT:
        return "send"
    if record.submission in (Submission.SENDING, Submission.UNKNOWN):
        return "reconcile"
    if record.submission is not Submission.ACCEPTED:
        return None
    if record.task in (None, TaskStatus.QUEUED, TaskStatus.RUNNING):
        return "watch"
    if record.task is TaskStatus.SUCCEEDED and record.delivery is Delivery.PENDING:
        return "deliver"
    return None


class Engine:
    """Everything that works on the jobs of one account in one event loop."""

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        intents: IntentWriter,
        submitter: Submitter,
        reconciler: Reconciler,
        watcher: Watcher,
        deliverer: Deliverer,
        settler: Settler,
        callbacks: CallbackReader,
        clock: Clock,
    ) -> None:
        self.driver = driver
        self.journal = journal
        self.settler = settler
        self._callbacks = callbacks
        self._intents = intents
        self._submitter = submitter
        self._reconciler = reconciler
        self._watcher = watcher
        self._deliverer = deliverer
        self._clock = clock
        self._locks: weakref.WeakValueDictionary[str, anyio.Lock] = weakref.WeakValueDictionary()
        self._working: Counter[str] = Counter()

    async def intend(self, intent: Intent) -> JobRecord:
        """Write the intent for a request, or find its job."""
        return await self._intents.intend(intent)

    async def read_callback(self, url: str, body: bytes) -> JobRecord | None:
        """Take note of a callback; see `onetake.engine.callbacks`."""
        record = await self._callbacks.proven(url)
        if record is None or not self._callbacks.may_bring_task(record):
            return record
        try:
            return await self.settle(record.id, lambda owned: self._callbacks.bind(owned, body))
        except RequestError:
            return record  # its own process still waits for the answer to the POST

    async def run_job(
        self,
        job_id: str,
        *,
        goal: Goal = "delivered",
        deadline: float | None = None,
        on_update: OnUpdate | None = None,
    ) -> JobRecord:
        """Bring a job forward until the goal, or to its end.

        Args:
            job_id: our id.
            goal: ``accepted`` stops once the vendor has it.
            deadline: seconds since the epoch at which the caller's patience ends.
            on_update: called with the job at every change.

        Raises:
            OnetakeError: what the job ended with, or why it cannot go on now.
        """
        tell = once_each(on_update)
        while True:
            record = await self.journal.get(job_id)
            tell(record.job())
            step = next_step(record)
            if step is None or (goal == "accepted" and step in ("watch", "deliver")):
                return ended(record)
            if deadline is not None and self._clock.now() >= deadline:
                raise timed_out(record)
            try:
                await self._take(step, record, deadline, tell)
            except Overtaken:
                continue  # somebody else changed it: read again
            except LedgerError as error:
                raise placed(error, record)  # noqa: B904 - the same error, with more to say

    async def _take(
        self, step: Step, record: JobRecord, deadline: float | None, tell: OnUpdate
    ) -> None:
        async with self._owned(record.id) as owned:
            if owned is None:
                await self._clock.sleep(_FOREIGN_POLL)
            elif next_step(owned) != step:
                return  # it went on between reading and claiming
            elif step == "watch":
                await self._watcher.until_ended(owned, deadline, tell)
            else:
                await self._exclusively(step, owned, deadline)

    async def _exclusively(self, step: Step, record: JobRecord, deadline: float | None) -> None:
        lock = self._locks.setdefault(record.id, anyio.Lock())
        with self._until(deadline) as patience:
            await lock.acquire()
        if patience.cancelled_caught:
            return  # another caller is still at it
        try:
            current = await self.journal.get(record.id)
            if next_step(current) != step or current.owner != self.journal.owner:
                return  # another caller took the step
            if step == "send":
                await self._submitter.send(current, deadline)
            elif step == "reconcile":
                await self._reconciler.reconcile(current, deadline)
            else:
                with self._until(deadline):
                    await self._deliver(current)
        finally:
            lock.release()

    def _until(self, deadline: float | None) -> anyio.CancelScope:
        """Return a scope that ends with the caller's patience."""
        left = None if deadline is None else max(0.0, deadline - self._clock.now())
        return anyio.move_on_after(left)

    async def _deliver(self, record: JobRecord) -> None:
        """Deliver, and give signs of life while a long download runs."""

        async def sign() -> None:
            try:
                await self.journal.renew([record.id])
            except OnetakeError as error:
                log.warning("job %s: no sign of life could be given: %s", record.id, error)

        await alive(lambda: self._deliverer.deliver(record), sign, self.journal.lease)

    async def settle(
        self, job_id: str, act: Callable[[JobRecord], Awaitable[JobRecord]]
    ) -> JobRecord:
        """Let a person's decision or a callback change a job that nobody works on.

        Raises:
            RequestError: somebody does, here or in another process: it may know more.
        """
        if self._working[job_id]:
            raise being_worked_on(job_id)
        async with self._owned(job_id) as record:
            if record is None:
                raise being_worked_on(job_id)
            lock = self._locks.setdefault(job_id, anyio.Lock())
            async with lock:
                try:
                    return await act(await self.journal.get(job_id))
                except Overtaken:
                    raise being_worked_on(job_id) from None

    @contextlib.asynccontextmanager
    async def _owned(self, job_id: str) -> AsyncIterator[JobRecord | None]:
        """Own the job while at least one caller in this loop works on it."""
        self._working[job_id] += 1
        try:
            yield await self.journal.claim(job_id)
        finally:
            self._working[job_id] -= 1
            if not self._working[job_id]:
                await uncancelled(lambda: self._release(job_id))

    async def _release(self, job_id: str) -> None:
        """Stop owning a job, unless another caller has come in the meantime."""
        try:
            await self.journal.release(job_id, unless=lambda: self._working[job_id] > 0)
        except OnetakeError as error:
            log.warning("job %s could not be released, its lease will end: %s", job_id, error)
        if not self._working[job_id]:
            del self._working[job_id]

    async def aclose(self) -> None:
        """Close the driver and the download client."""
        with anyio.CancelScope(shield=True):
            await self._deliverer.aclose()
            await self.driver.aclose()


def once_each(on_update: OnUpdate | None) -> OnUpdate:
    """Return a function that reports a job when its state or place changed, or its log grew."""
    last: list[tuple[JobState, int | None]] = []

    def tell(job: Job) -> None:
        now = (job.state, job.position)
        if on_update is not None and (last[-1:] != [now] or job.logs):
            last[:] = [now]
            on_update(job)

    return tell


def ended(record: JobRecord) -> JobRecord:
    """Return a job that did not fail; raise the failure of one that did."""
    bad = (
        JobState.FAILED,
        JobState.REFUSED,
        JobState.CANCELLED,
        JobState.ABANDONED,
        JobState.LOST,
    )
    if record.state not in bad:
        return record
    if record.error is None:
        raise OnetakeError(
            f"job {record.id} was {record.state.value}.",
            provider=record.account.provider,
            job_id=record.id,
        )
    error = OnetakeError.from_record(record.error)
    error.job_id, error.token = record.id, record.token
    raise error


def being_worked_on(job_id: str) -> RequestError:
    """Return the error for a decision about a job that somebody works on."""
    return RequestError(
        f"job {job_id}: it is being worked on at this moment, here or in another process.",
        job_id=job_id,
        hint="Wait until that has ended, or stop it, and try again.",
    )


def placed(error: LedgerError, record: JobRecord) -> LedgerError:
    """Say of a ledger's failure what is known of the job, which may be paid."""
    error.provider, error.job_id, error.token = record.account.provider, record.id, record.token
    error.task_state = "may_exist" if record.task_id is None else "exists"
    error.billed = "unknown"
    return error


def timed_out(record: JobRecord) -> JobTimeout:
    """Return the error for a caller whose patience ended."""
    if record.submission is Submission.INTENT:
        return JobTimeout(
            f"job {record.id} was not sent yet: the account has no free slot.",
            provider=record.account.provider,
            job_id=record.id,
            task_state="not_created",
            billed="no",
            hint=f"`onetake jobs wait {record.id}` sends it as soon as there is one.",
        )
    return JobTimeout(
        f"job {record.id} is {record.state.value}; it goes on at the vendor.",
        provider=record.account.provider,
        job_id=record.id,
        token=record.token,
        hint=f"Come back with `onetake jobs wait {record.id}`.",
    )
