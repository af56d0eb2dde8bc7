"""Watching: one look asks for many tasks, and all waiters share it.

No task runs in the background. In each event loop the first waiter leads: it sleeps, looks and
wakes the others; when it leaves, it hands over to one of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio

from onetake.clock import Clock
from onetake.driver import Driver, LookError, Missing, Snapshot, Task
from onetake.engine import pacing
from onetake.engine.alive import alive
from onetake.engine.journal import Journal, Overtaken
from onetake.engine.outcomes import Priced, outcome
from onetake.engine.traffic import Signal, Traffic
from onetake.errors import JobFailed, OnetakeError, ProviderUnavailable
from onetake.job import Job, Submission, TaskStatus
from onetake.ledger.records import JobRecord

log = logging.getLogger("onetake.engine")
OnUpdate = Callable[[Job], object]
REMEMBERED = 1000
"""Callbacks for jobs that nobody waits for here; older ones are forgotten."""

LONGEST_SILENCE = 120.0
"""Real seconds without a word for which a stream is trusted at least."""

MISSING_LOOKS, MISSING_SECONDS = 5, 30.0
"""So many looks in a row, over so many seconds, without the task: the wait ends, the job stays."""


@dataclass(eq=False)
class Waiter:
    """One caller who waits for one job."""

    record: JobRecord
    next_look: float
    deadline: float | None
    on_update: OnUpdate
    event: anyio.Event = field(default_factory=anyio.Event)
    missing: int = 0
    missing_since: float | None = None
    failures: int = 0
    nudged: bool = False
    streamed: bool = False
    ended: bool = False
    error: Exception | None = None

    @property
    def is_looked_at(self) -> bool:
        """Whether looks are due; a stream makes them needless, a callback asks for one."""
        return not self.streamed or self.nudged

    def tell(self, logs: tuple[str, ...] = ()) -> None:
        """Report progress to the caller."""
        try:
            self.on_update(dataclasses.replace(self.record.job(), logs=logs))
        except Exception as error:  # noqa: BLE001 - the caller's own, told to the caller alone
            self.error = error
            self.ended = True
            self.event.set()


class Watcher:
    """All waiters of one account in one event loop."""

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        clock: Clock,
        batch: int,
        priced: Priced,
        traffic: Traffic,
    ) -> None:
        self._traffic = traffic
        self._priced = priced
        self._driver = driver
        self._journal = journal
        self._clock = clock
        self._batch = batch
        self._waiters: list[Waiter] = []
        self._led = False
        self._streaming = True
        self._wake = Signal()
        self._renewed_at: float | None = None
        self._nudged: dict[str, None] = {}

    async def until_ended(
        self,
        record: JobRecord,
        deadline: float | None = None,
        on_update: OnUpdate = lambda job: None,
    ) -> JobRecord:
        """Return the job once the vendor is done with it, or at the deadline as it is then."""
        now = self._clock.now()
        look = pacing.next_look(record.accepted_at or now, now, record.typical_seconds)
        if record.id in self._nudged:
            del self._nudged[record.id]
            look = now
        waiter = Waiter(record, look, deadline, on_update)
        self._waiters.append(waiter)
        self._wake.give()
        left = None if deadline is None else max(0.0, deadline - now)
        try:
            # a look that takes long must not hold a caller beyond his patience
            with anyio.move_on_after(left):
                if self._takes_stream(waiter):
                    await self._wait_beside_stream(waiter)
                else:
                    await self._wait(waiter)
        finally:
            self._waiters.remove(waiter)
            self._hand_over()
        if waiter.error is not None:
            raise waiter.error
        return waiter.record

    async def _wait(self, waiter: Waiter) -> None:
        while not waiter.ended:
            if self._led:
                await waiter.event.wait()
                waiter.event = anyio.Event()
            else:
                await self._lead(waiter)

    def _takes_stream(self, waiter: Waiter) -> bool:
        """Take one of the few streams, if the vendor has any and one is free."""
        if not self._streaming:
            return False
        with contextlib.suppress(anyio.WouldBlock):
            self._traffic.streams.acquire_on_behalf_of_nowait(waiter)
            return True
        return False

    async def _wait_beside_stream(self, waiter: Waiter) -> None:
        with contextlib.ExitStack() as slot:
            slot.callback(self._traffic.streams.release_on_behalf_of, waiter)
            async with anyio.create_task_group() as group:
                group.start_soon(self._follow, waiter, slot.close)
                await self._wait(waiter)
                group.cancel_scope.cancel()

    async def _follow(self, waiter: Waiter, give_back: Callable[[], None]) -> None:
        """Let the vendor tell of changes; while it does, the task is not looked at.

        A stream that has ended or broken gives its place to the next job at once.
        """
        waiter.streamed = True
        try:
            async with contextlib.aclosing(self._driver.watch(waiter.record.vendor_task)) as stream:
                await self._hear_all(waiter, stream)
        except NotImplementedError:
            self._streaming = False
        except OnetakeError as error:
            log.info("job %s: %s; it is looked at instead", waiter.record.id, error)
        except Exception:
            log.exception("the driver broke its contract while streaming")
        finally:
            waiter.streamed = False
            give_back()
            self._wake.give()

    async def _hear_all(self, waiter: Waiter, stream: AsyncGenerator[Snapshot, None]) -> None:
        """Take in what a stream tells, until it ends, or is silent for too long."""
        longest = max(2 * waiter.record.typical_seconds, LONGEST_SILENCE)
        while not waiter.ended:
            with anyio.move_on_after(longest) as patience:
                snapshot = await anext(stream, None)
            if patience.cancelled_caught:
                log.info("job %s: its stream is silent; it is looked at instead", waiter.record.id)
                return
            if snapshot is None:
                return
            await self._heard(waiter, snapshot)
            self._wake.give()

    async def _lead(self, leader: Waiter) -> None:
        self._led = True
        try:
            while not leader.ended:
                await self._pause()
                await self._look_at_due()
        finally:
            self._led = False

    def _hand_over(self) -> None:
        """Wake one waiter if nobody leads: it finds no leader and takes over."""
        if not self._led:
            for waiter in self._open()[:1]:
                waiter.event.set()

    async def _pause(self) -> None:
        """Sleep until a look is due, a caller's patience ends, or a new waiter comes."""
        now = self._clock.now()
        looked_at = [waiter for waiter in self._open() if waiter.is_looked_at]
        for waiter in looked_at:  # a clock that was set back must not stop the looks
            longest = max(waiter.record.typical_seconds, pacing.LONGEST)
            waiter.next_look = min(waiter.next_look, now + longest)
        times = [waiter.next_look for waiter in looked_at]
        times += [waiter.deadline for waiter in self._open() if waiter.deadline is not None]
        seconds = min([*times, now + self._journal.lease / 3]) - now
        if seconds <= 0:
            return
        await self._wake.wait(seconds, self._clock)

    def nudge(self, job_id: str) -> None:
        """Look at a job now: a callback says that something happened."""
        found = [waiter for waiter in self._open() if waiter.record.id == job_id]
        if not found:
            self._nudged[job_id] = None  # whoever comes to wait for it looks at once
            while len(self._nudged) > REMEMBERED:
                self._nudged.pop(next(iter(self._nudged)))
        for waiter in found:
            waiter.next_look, waiter.nudged = self._clock.now(), True
            self._wake.give()

    def _open(self) -> list[Waiter]:
        return [waiter for waiter in self._waiters if not waiter.ended]

    async def _look_at_due(self) -> None:
        now = self._clock.now()
        for waiter in self._open():
            if waiter.deadline is not None and now >= waiter.deadline:
                _end(waiter)
        await self._renew()
        due = [w for w in self._open() if w.is_looked_at and w.next_look <= now]
        for waiter in due:
            waiter.nudged = False
        if not due:
            return
        tasks = {waiter.record.id: waiter.record.vendor_task for waiter in due}
        answers = await self._look(list(tasks.values()))
        async with anyio.create_task_group() as group:  # so that they share the ledger's flush
            for waiter in due:
                answer = answers.get(tasks[waiter.record.id].id, Missing())
                group.start_soon(self._heard, waiter, answer)

    async def _heard(self, waiter: Waiter, answer: Snapshot | Missing | LookError) -> None:
        try:
            await self._apply(waiter, answer)
        except Exception as error:  # noqa: BLE001 - it is this waiter's, not the leader's
            waiter.error = error
            _end(waiter)

    async def _renew(self) -> None:
        """Give a sign of life; if that fails, the lease may end, and the job is claimed anew."""
        now, pause = self._clock.now(), self._journal.lease / 3
        if self._renewed_at is not None and 0 <= now - self._renewed_at < pause:
            return
        self._renewed_at = now
        try:
            await self._journal.renew(list({waiter.record.id for waiter in self._open()}))
        except OnetakeError as error:
            log.warning("no sign of life could be given: %s", error)

    async def _look(self, tasks: Sequence[Task]) -> Mapping[str, Snapshot | Missing | LookError]:
        answers: dict[str, Snapshot | Missing | LookError] = {}

        async def one(batch: Sequence[Task]) -> None:
            async with self._traffic.looks:
                try:
                    answers.update(await self._driver.look(batch))
                except OnetakeError as error:
                    answers.update({task.id: LookError(error) for task in batch})
                except Exception as error:
                    log.exception("the driver broke its contract while looking")
                    told = ProviderUnavailable(
                        f"the vendor's answer could not be read ({error!r}).", retryable=False
                    )
                    answers.update({task.id: LookError(told) for task in batch})

        async def all_at_once() -> None:
            async with anyio.create_task_group() as looks:
                for start in range(0, len(tasks), self._batch):
                    looks.start_soon(one, tasks[start : start + self._batch])

        await alive(all_at_once, self._renew, self._journal.lease)
        return answers

    async def _apply(self, waiter: Waiter, answer: Snapshot | Missing | LookError) -> None:
        now = self._clock.now()
        record = waiter.record
        usual = pacing.next_look(record.accepted_at or now, now, record.typical_seconds)
        waiter.next_look = now if waiter.nudged else usual
        waiter.nudged = False
        if isinstance(answer, LookError):
            _look_failed(waiter, answer, now)
        elif isinstance(answer, Missing):
            await self._missing(waiter, answer, now)
        else:
            waiter.missing, waiter.missing_since, waiter.failures = 0, None, 0
            await self._change(waiter, answer)

    async def _missing(self, waiter: Waiter, answer: Missing, now: float) -> None:
        """The vendor's word that a task is gone ends the job; its silence only ends the wait."""
        if answer.final:
            error = _gone(waiter.record)
            await self._change(waiter, Snapshot(TaskStatus.FAILED, error=error))
            return
        waiter.missing += 1
        waiter.missing_since = waiter.missing_since or now
        if waiter.missing >= MISSING_LOOKS and now - waiter.missing_since >= MISSING_SECONDS:
            waiter.error = _not_shown(waiter.record)
            _end(waiter)

    async def _change(self, waiter: Waiter, snapshot: Snapshot) -> None:
        record = waiter.record
        if snapshot.status is record.task and snapshot.position == record.position:
            if snapshot.logs:
                waiter.tell(snapshot.logs)
            return
        values = outcome(record, snapshot, self._priced)
        try:
            waiter.record = await self._journal.move(record, snapshot.status.value, **values)
        except Overtaken:
            _end(waiter)  # no longer ours, or changed: `run_job` reads and claims anew
            return
        waiter.tell(snapshot.logs)
        if waiter.record.submission is not Submission.ACCEPTED or waiter.record.task not in (
            TaskStatus.QUEUED,
            TaskStatus.RUNNING,
        ):
            _end(waiter)


def _end(waiter: Waiter) -> None:
    waiter.ended = True
    waiter.event.set()


def _look_failed(waiter: Waiter, answer: LookError, now: float) -> None:
    if not answer.error.retryable:
        # a wrong key, or a word of the vendor that we do not know: waiting will not mend it;
        # the job stays open and can be resumed
        waiter.error = answer.error
        _end(waiter)
        return
    pause = pacing.backoff(waiter.failures, answer.retry_after)
    waiter.failures += 1
    waiter.next_look = max(waiter.next_look, now + pause)


def _not_shown(record: JobRecord) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"job {record.id}: {record.account.provider} does not show the task {record.task_id}.",
        provider=record.account.provider,
        job_id=record.id,
        token=record.token,
        task_state="exists",
        billed="unknown",
        hint=f"Check the key's account; then `onetake jobs wait {record.id}`.",
    )


def _gone(record: JobRecord) -> JobFailed:
    return JobFailed(
        f"job {record.id}: {record.account.provider} no longer knows the task {record.task_id}.",
        provider=record.account.provider,
        job_id=record.id,
        billed="unknown",
    )
