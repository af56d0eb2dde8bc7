"""The life of jobs as a state machine: whatever the order of faults, crashes and decisions.

Hypothesis plays vendor, workers, time and the user against the real engine on a real ledger. A
crashed worker is one whose ledger refuses every further word; its lease has to run out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import os
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from PIL import Image

from onetake import GenerationRequest, JobState, OnetakeError, ProviderUnavailable, plugins
from onetake.driver import (
    Driver,
    LookError,
    LostSubmission,
    Missing,
    PreparedAsset,
    RemoteFile,
    Snapshot,
    Submission,
    Task,
)
from onetake.engine.admission import Admission
from onetake.engine.bodies import BlobStore
from onetake.engine.callbacks import CallbackReader
from onetake.engine.delivery import Deliverer
from onetake.engine.emergency import EmergencyFolder
from onetake.engine.intents import Intent, IntentWriter
from onetake.engine.journal import Journal
from onetake.engine.publishing import Publisher
from onetake.engine.reconciling import Reconciler
from onetake.engine.recording import Recorder
from onetake.engine.reserving import Budgets
from onetake.engine.run import Engine
from onetake.engine.settling import Settler
from onetake.engine.submission import Submitter
from onetake.engine.traffic import Traffic
from onetake.engine.watching import Watcher
from onetake.errors import LedgerError, NotSent, Refused, RequestError, SubmissionUnknown
from onetake.fitting import FittedRequest, fit
from onetake.job import TaskStatus
from onetake.ledger import store
from onetake.ledger.records import Account, JobRecord
from onetake.ledger.store import Ledger
from onetake.ledger.tables import job_slots
from onetake.settings import Settings
from onetake.testing import VirtualClock

ACCOUNT = Account("toy", "toy.example", "live")
SLOTS = 2
FATES = ("ok", "lost", "never came", "not sent", "refused", "full", "dies before", "dies after")


def picture() -> bytes:
    """Return a PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = picture()


@functools.cache
def lake() -> FittedRequest:
    """Return a request that fits."""
    request = GenerationRequest("a lake", model="kling-v2.6-pro-text")
    return fit(request, plugins.catalog("kling"))


class Killed(BaseException):
    """The worker's process ends here."""


@dataclasses.dataclass
class Vendor:
    """What the vendor knows, and what it does next."""

    tasks: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    fate: str = "ok"
    readable: bool = True

    def create(self, job_id: str, *, unique: bool) -> str:
        """Accept a job; with an id that is unique, once."""
        if unique and any(task["job"] == job_id for task in self.tasks.values()):
            raise Refused(RequestError("already exists"), exists=True)
        task_id = f"task-{len(self.tasks)}"
        self.tasks[task_id] = {"job": job_id, "status": TaskStatus.RUNNING}
        return task_id


class ToyDriver(Driver):
    """Speaks to the vendor above."""

    def __init__(self, vendor: Vendor) -> None:  # it needs no context
        self.vendor = vendor

    def prepare(
        self, request: FittedRequest, job_id: str, assets: Sequence[PreparedAsset]
    ) -> Submission:
        """Put our id into the body; it is unique only where the card says so."""
        external = job_id if request.card.resend == "safe" else None
        return Submission(path=request.card.resend, body={"job": job_id}, external_id=external)

    async def submit(self, submission: Submission, body: bytes) -> Task:
        """Meet the fate that the machine has chosen."""
        fate, job_id = self.vendor.fate, submission.body["job"]
        if fate == "dies before":
            raise Killed
        if fate == "not sent":
            raise NotSent(ProviderUnavailable("no connection"))
        if fate == "refused":
            raise Refused(RequestError("no"))
        if fate == "full":
            raise Refused(_full(), wait=True)
        if fate == "never came":
            raise SubmissionUnknown("lost before the vendor")
        task_id = self.vendor.create(job_id, unique=submission.path == "safe")
        if fate == "dies after":
            raise Killed
        if fate == "lost":
            raise SubmissionUnknown("lost after the vendor")
        return Task(task_id)

    async def look(self, tasks: Sequence[Task]) -> Mapping[str, Snapshot | Missing | LookError]:
        """Tell what is known."""
        if not self.vendor.readable:
            raise ProviderUnavailable("cannot be read", retryable=False)
        return {task.id: self._look(task.id) for task in tasks}

    def _look(self, task_id: str) -> Snapshot | Missing:
        if task_id not in self.vendor.tasks:
            return Missing()
        status = self.vendor.tasks[task_id]["status"]
        files = (RemoteFile("https://toy.example/film.png"),)
        if status is TaskStatus.SUCCEEDED:
            return Snapshot(status, outputs=files)
        if status is TaskStatus.FAILED:
            return Snapshot(status, error=OnetakeError("failed", billed="no"))
        return Snapshot(status)

    async def locate(self, lost: LostSubmission) -> Sequence[Task]:
        """Find by our id, which stands in every body."""
        if not self.vendor.readable:
            raise ProviderUnavailable("cannot be read")
        known = self.vendor.tasks.items()
        return [Task(task_id) for task_id, task in known if task["job"] == lost.job_id]

    def slots(self, submission: Submission) -> Sequence[tuple[str, int]]:
        """One bucket."""
        return [("all", 1)]


def _full() -> OnetakeError:
    from onetake import ConcurrencyExceeded

    return ConcurrencyExceeded("full", vendor_code="1303")


class MortalLedger:
    """The ledger as one worker sees it; after its death no word gets through."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.dead = False
        self.label = ledger.label

    async def run(self, work: Any, *, urgent: bool = False) -> Any:
        """Write, unless dead."""
        if self.dead:
            raise LedgerError("this process has ended")
        return await self._ledger.run(work, urgent=urgent)


class Lives(RuleBasedStateMachine):
    """The machine."""

    @initialize()
    def begin(self) -> None:
        """Open an empty ledger."""
        self.folder = tempfile.TemporaryDirectory()
        self.home = Path(self.folder.name)
        self.clock = VirtualClock()
        self.vendor = Vendor()
        self.ledger = Ledger(f"sqlite:///{self.home / 'ledger.sqlite3'}")
        self.settings = Settings(
            home=self.home, submit_patience=3.0, connect_patience=3.0, guard=5, lease=5
        )
        self.workers = 0
        self.ended: dict[str, JobState] = {}
        self.tasks: dict[str, str] = {}

    def engine(self) -> tuple[Engine, MortalLedger]:
        """Return a worker: its own engine, on the one ledger."""
        self.workers += 1
        mortal = MortalLedger(self.ledger)
        driver = ToyDriver(self.vendor)
        journal = Journal(mortal, self.clock, f"worker-{self.workers}", 5.0, lambda event: None)  # type: ignore[arg-type]
        card = plugins.provider_card("kling")
        traffic, chosen, clock = Traffic(), self.settings, self.clock
        emergency = EmergencyFolder(self.home / "emergency")
        blobs = BlobStore(self.home / "blobs")
        admission = Admission(driver, journal, clock, SLOTS, card.lost_seconds)
        recorder = Recorder(journal, admission, emergency, clock, lambda charge, estimated: charge)
        submitter = Submitter(driver, journal, admission, recorder, traffic, blobs, chosen, clock)
        watcher = Watcher(driver, journal, clock, 20, lambda charge, estimated: charge, traffic)
        transport = httpx.MockTransport(
            lambda request: httpx.Response(200, stream=httpx.ByteStream(PICTURE))
        )
        engine = Engine(
            driver=driver,
            journal=journal,
            intents=IntentWriter(
                driver,
                journal,
                ACCOUNT,
                blobs,
                clock,
                traffic,
                Budgets("live", "run"),
                Publisher(self.ledger, ACCOUNT, None, clock),
            ),
            submitter=submitter,
            reconciler=Reconciler(
                driver, journal, submitter, recorder, traffic, chosen, clock, card
            ),
            watcher=watcher,
            deliverer=Deliverer(
                driver, journal, transport, self.home / "media", clock, 5.0, traffic
            ),
            settler=Settler(driver, journal, emergency, clock, Budgets("live", "run")),
            callbacks=CallbackReader(driver, journal, recorder, watcher, ACCOUNT),
            clock=clock,
        )
        return engine, mortal

    def records(self) -> list[JobRecord]:
        """Return all jobs, oldest first."""
        return self.ledger.run_blocking(store.listed)[::-1]

    def pick(self, number: int) -> JobRecord | None:
        """Return one of the jobs."""
        records = self.records()
        return records[number % len(records)] if records else None

    def act(self, work: Any) -> None:
        """Let a new worker do something; whatever becomes of it, the rules must hold."""

        async def main() -> None:
            engine, mortal = self.engine()
            try:
                with contextlib.suppress(OnetakeError):
                    await work(engine)
            except BaseException as error:
                if not _was_killed(error):
                    raise
                mortal.dead = True
            finally:
                await engine.aclose()

        bounded(main)

    # ── what may happen ──

    @rule(resend=st.sampled_from(["safe", "lookup", "none"]), key=st.sampled_from([None, "k"]))
    def intend(self, resend: str, key: str | None) -> None:
        """Somebody wants a film."""
        self.clock.advance(0.001)  # ids of one moment come in no order, and numbers mean positions
        fitted = lake()
        card = fitted.card.model_copy(update={"resend": resend, "name": f"toy-{resend}"})
        wanted = dataclasses.replace(fitted, card=card, key=key)
        intent = Intent(wanted, {}, 1.0, retry=True)
        self.act(lambda engine: engine.intend(intent))

    @rule(number=st.integers(0, 9), fate=st.sampled_from(FATES))
    def work(self, number: int, fate: str) -> None:
        """A worker brings a job forward, and meets a fate if it submits."""
        record = self.pick(number)
        if record is None:
            return
        self.vendor.fate = fate
        mortal: list[MortalLedger] = []

        async def main() -> None:
            engine, own = self.engine()
            mortal.append(own)
            if fate.startswith("dies"):
                self._watch_death(engine, own)
            with contextlib.suppress(OnetakeError):
                await engine.run_job(record.id, deadline=self.clock.now() + 2)

        try:
            bounded(main)
        except BaseException as error:
            if not _was_killed(error):
                raise
            mortal[0].dead = True
        self.vendor.fate = "ok"

    def _watch_death(self, engine: Engine, own: MortalLedger) -> None:
        """Let the ledger fall silent at the moment of death, not when the news has come up."""
        submit = engine.driver.submit

        async def dying(submission: Submission, body: bytes) -> Task:
            try:
                return await submit(submission, body)
            except Killed:
                own.dead = True
                raise

        engine.driver.submit = dying  # type: ignore[method-assign]

    @rule(seconds=st.sampled_from([1.0, 30.0, 1000.0, 100_000.0]))
    def time_goes_by(self, seconds: float) -> None:
        """Leases end, windows close."""
        self.clock.advance(seconds)

    @rule(number=st.integers(0, 9), good=st.booleans())
    def a_task_ends(self, number: int, good: bool) -> None:
        """At the vendor."""
        if self.vendor.tasks:
            task = list(self.vendor.tasks.values())[number % len(self.vendor.tasks)]
            if task["status"] is TaskStatus.RUNNING:
                task["status"] = TaskStatus.SUCCEEDED if good else TaskStatus.FAILED

    @rule(readable=st.booleans())
    def the_vendor_can_be_read(self, readable: bool) -> None:
        """Or not."""
        self.vendor.readable = readable

    @rule(number=st.integers(0, 9), decision=st.sampled_from(["attach", "abandon", "resubmit"]))
    def a_person_decides(self, number: int, decision: str) -> None:
        """Rightly or wrongly: attach names the task of this very job, if it has one."""
        record = self.pick(number)
        if record is None:
            return
        own = [task_id for task_id, task in self.vendor.tasks.items() if task["job"] == record.id]
        if decision == "abandon" and own and record.submission.value in ("sending", "unknown"):
            return  # a mistake of the person that no program can see
        if decision == "resubmit" and record.submission.value in ("sending", "unknown"):
            return  # the toy finds every task by our id: resubmitting is for vendors that cannot

        async def decide(engine: Engine) -> None:
            settler = engine.settler
            if decision == "attach":
                task_id = own[0] if own else "task-of-nobody"
                await engine.settle(record.id, lambda held: settler.attach(held, task_id))
            else:
                await engine.settle(record.id, getattr(settler, decision))

        self.act(decide)

    # ── what must hold at every moment ──

    @invariant()
    def the_rules_hold(self) -> None:
        """All of them, after every step."""
        if hasattr(self, "vendor"):
            records = self.records()
            self.nothing_is_paid_twice(records)
            self.what_has_ended_stays(records)
            self.slots_belong_to_open_tasks(records)

    def nothing_is_paid_twice(self, found: list[JobRecord]) -> None:
        """One task per job at the vendor, and each belongs to a job that may have it."""
        jobs = [task["job"] for task in self.vendor.tasks.values()]
        assert len(jobs) == len(set(jobs))
        records = {record.id: record for record in found}
        for task_id, task in self.vendor.tasks.items():
            record = records[task["job"]]
            waiting = record.state in (JobState.SENDING, JobState.UNKNOWN)
            assert record.task_id == task_id or waiting, "a paid task was forgotten"

    def what_has_ended_stays(self, found: list[JobRecord]) -> None:
        """No state changes after the end, and no task id ever."""
        for record in found:
            if record.id in self.ended:
                assert record.state is self.ended[record.id]
            if record.state.ended:
                self.ended[record.id] = record.state
                assert record.owner is None
            if record.task_id is not None:
                assert self.tasks.setdefault(record.id, record.task_id) == record.task_id

    def slots_belong_to_open_tasks(self, found: list[JobRecord]) -> None:
        """None for what has ended or was not sent."""
        held = self.ledger.run_blocking(
            lambda c: list(c.execute(sa.select(job_slots.c.job_id)).scalars())
        )
        open_ones = {r.id for r in found if r.sent_at is not None and not r.state.ended}
        assert set(held) <= open_ones

    def teardown(self) -> None:
        """In the end the weather is good: what the vendor tells by our id comes to its end."""
        if not hasattr(self, "vendor"):
            return
        try:
            self.the_end_is_good()
        finally:
            self.ledger.close()
            self.folder.cleanup()

    def the_end_is_good(self) -> None:
        """Nobody is left behind."""
        self.vendor.readable, self.vendor.fate = True, "ok"
        for task in self.vendor.tasks.values():
            if task["status"] is TaskStatus.RUNNING:
                task["status"] = TaskStatus.SUCCEEDED
        for record in [*self.records(), *self.records()]:  # resuming twice is allowed, too
            self.clock.advance(10_000)
            if not self.ledger.run_blocking(lambda c, r=record: store.find(c, r.id)).state.ended:
                self._finish(record)
        self.the_rules_hold()
        for record in self.records():
            there = any(task["job"] == record.id for task in self.vendor.tasks.values())
            lost = record.state is JobState.UNKNOWN
            assert record.state.ended or (lost and (record.resend == "none" or not there))

    def _finish(self, record: JobRecord) -> None:
        async def main(engine: Engine) -> None:
            self.vendor.fate = "ok"
            with contextlib.suppress(OnetakeError):
                await engine.run_job(record.id, goal="accepted")
            for task in self.vendor.tasks.values():
                task["status"] = TaskStatus.SUCCEEDED
            await engine.run_job(record.id)

        self.act(main)


def bounded(main: Callable[[], Awaitable[None]]) -> None:
    """Run a worker; if it hangs, the error's context shows where, and Hypothesis the steps."""

    async def in_time() -> None:
        with anyio.fail_after(30):
            await main()

    anyio.run(in_time, backend="trio")


def _was_killed(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_was_killed(inner) for inner in error.exceptions)
    return isinstance(error, Killed)


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=int(os.environ.get("LIVES", "10")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
# a failure is shrunk for up to five minutes, and only then told with its steps
TestLives = pytest.mark.timeout(600)(TestLives)
