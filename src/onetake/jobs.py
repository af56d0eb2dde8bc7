"""Jobs that exist: waiting for them, going on with them, settling them.

`Provider` is made of this and of everything that makes new ones.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import anyio.lowlevel
import anyio.to_thread

from onetake import plugins
from onetake.catalog import ProviderCard
from onetake.clock import Clock
from onetake.engine.run import Engine
from onetake.engine.settling import Settler
from onetake.engine.watching import OnUpdate
from onetake.engine.workers import new_worker
from onetake.errors import ConfigurationError, OnetakeError
from onetake.job import Job, JobToken, is_token, parse_token
from onetake.ledger import adoption, store
from onetake.ledger.records import Account, JobRecord
from onetake.ledger.store import Ledger
from onetake.result import GenerationResult
from onetake.workshop import Workshop

log = logging.getLogger("onetake.provider")


class Jobs:
    """The jobs of one account. Opens nothing until it is used; works from any event loop."""

    def __init__(self, workshop: Workshop, ledger: Ledger, clock: Clock) -> None:
        self._workshop = workshop
        self._ledger = ledger
        self._clock = clock
        self._engines: dict[object, tuple[Engine, int]] = {}
        self._entered: list[contextlib.AsyncExitStack] = []
        self._closing = False

    @property
    def card(self) -> ProviderCard:
        """What the provider says of itself."""
        return self._workshop.card

    @property
    def account_key(self) -> Account:
        """Where jobs are billed: provider, host, environment and account name."""
        return self._workshop.account

    def __repr__(self) -> str:
        account = self.account_key
        return f"<Provider {account.provider} at {account.host} ({account.environment})>"

    async def wait(
        self,
        job: Job | str,
        *,
        timeout: float | None = None,
        on_update: OnUpdate | None = None,
    ) -> GenerationResult:
        """Wait until a job is delivered.

        Args:
            job: the job, its id, the beginning of it, or its token.
            timeout: the caller's patience in seconds; the job outlives it.
            on_update: called with the job at every change.

        Raises:
            JobFailed: the vendor failed it (or refused its content).
            JobTimeout: the patience ended; the job goes on.
            DeliveryError: it is paid, the file is not here yet; wait again.
            SubmissionUnknown: it may exist at the vendor; nothing is sent again.
        """
        job_id = await self._id_of(job)
        deadline = self._deadline(timeout)
        async with self._engine() as engine:
            await self._mine(engine, job_id)
            record = await engine.run_job(job_id, deadline=deadline, on_update=on_update)
        return GenerationResult.of(record.job())

    def _deadline(self, timeout: float | None) -> float | None:
        return None if timeout is None else self._clock.now() + timeout

    async def job(self, job_id: str) -> Job:
        """Return a job by its id, by the beginning of it, or by its token.

        Raises:
            RequestError: there is none, or more than one.
            ConfigurationError: the token is of another provider, host or sandbox.
        """
        return (await self._record(await self._id_of(job_id))).job()

    async def jobs(self, *, open_only: bool = False, limit: int | None = 50) -> list[Job]:
        """Return this account's jobs, newest first."""
        records = await self._ledger.run(
            lambda connection: store.listed(
                connection, account=self.account_key, open_only=open_only, limit=limit
            )
        )
        return [record.job() for record in records]

    async def cancel(self, job: Job | str) -> bool:
        """Ask the vendor to stop a job.

        Returns:
            True if the vendor took note; the job's state says later what came of it. False if
            the job has ended, or this vendor has no way to cancel (Kling has none).
        """
        record = await self._record(await self._id_of(job))
        if record.task_ref is None or record.state.ended:
            return False
        async with self._engine() as engine:
            await self._mine(engine, record.id)
            return await engine.driver.cancel(record.vendor_task)

    async def resume(self, *, timeout: float | None = None) -> list[Job]:
        """Bring every open job of this account to its end; return them as they are then."""
        opened = await self.jobs(open_only=True, limit=None)
        async with self._engine(), anyio.create_task_group() as group:
            for job in opened:
                group.start_soon(self._resume_one, job, timeout)
        return [await self.job(job.id) for job in opened]

    async def _resume_one(self, job: Job, timeout: float | None) -> None:
        try:
            await self.wait(job, timeout=timeout)
        except OnetakeError as error:
            log.info("job %s: %s", job.id, error)  # its own state tells the story
        except Exception:
            log.exception("job %s could not be resumed", job.id)

    async def attach(self, job: Job | str, task_id: str) -> Job:
        """Give a job whose outcome is unknown the vendor's task that you found for it.

        Raises:
            RequestError: the job is not unknown, the vendor does not know the task, or it belongs
                to another job.
        """
        return await self._settle(job, lambda settler, record: settler.attach(record, task_id))

    async def abandon(self, job: Job | str) -> Job:
        """Give up a job that was not sent, whose outcome is unknown, or whose task the vendor shows
        no longer. Nothing is told the vendor.

        Raises:
            RequestError: the vendor has it, or it has ended.
        """
        return await self._settle(job, Settler.abandon)

    async def resubmit(self, job: Job | str) -> Job:
        """Abandon a job whose outcome is unknown and return a child that will be sent; `wait` for
        it. If the vendor has the first one after all, both are paid: that is your decision.

        Raises:
            RequestError: the job is not unknown, or the vendor finds it by our id.
        """
        return await self._settle(job, Settler.resubmit)

    async def _settle(
        self, job: Job | str, act: Callable[[Settler, JobRecord], Awaitable[JobRecord]]
    ) -> Job:
        job_id = await self._id_of(job)
        async with self._engine() as engine:
            await self._mine(engine, job_id)
            settled = await engine.settle(job_id, lambda record: act(engine.settler, record))
            return settled.job()

    async def read_callback(self, url: str, body: bytes) -> Job | None:
        """Take note of a vendor's callback: whoever waits for its job here looks at once.

        Args:
            url: the address that was called, with its query.
            body: what was sent to it, unread.

        Returns:
            The job; None if the address holds no valid proof, which changes nothing.
        """
        async with self._engine() as engine:
            record = await engine.read_callback(url, body)
            return None if record is None else record.job()

    async def _record(self, job_id: str) -> JobRecord:
        return await self._ledger.run(lambda connection: store.find(connection, job_id))

    async def _id_of(self, job: Job | str) -> str:
        if isinstance(job, Job):
            return job.id
        if is_token(job):
            return await self._adopted(parse_token(job))
        return (await self._record(job)).id

    async def _adopted(self, token: JobToken) -> str:
        """Return the id of a token's job; the ledger takes it in if it does not have it."""
        account = self.account_key
        if (token.provider, token.host) != (account.provider, account.place):
            raise ConfigurationError(
                f"the token is of a job of {token.provider} at {token.host}, which {self!r} does "
                "not know."
            )
        now = self._clock.now()
        cards = plugins.catalog(account.provider).find(token.model)
        usual = cards[0].typical_seconds if cards else 60.0
        typical = self._workshop.typical_seconds(usual)
        return await self._ledger.run(
            lambda connection: adoption.adopt(connection, account, token, now, typical)
        )

    async def _mine(self, engine: Engine, job_id: str) -> None:
        record = await engine.journal.get(job_id)
        if record.account != self.account_key:
            raise ConfigurationError(
                f"job {job_id} belongs to {record.account.provider} at {record.account.host} "
                f"({record.account.environment}), not to {self!r}."
            )

    @contextlib.asynccontextmanager
    async def _engine(self) -> AsyncIterator[Engine]:
        """Lend the engine of this event loop; close it when its last user leaves."""
        loop = anyio.lowlevel.current_token()
        if loop not in self._engines:
            engine = self._workshop.build(self._ledger, self._clock, new_worker())
            self._engines[loop] = (engine, 0)
        engine, users = self._engines[loop]
        self._engines[loop] = (engine, users + 1)
        try:
            yield engine
        finally:
            engine, users = self._engines[loop]
            self._engines[loop] = (engine, users - 1)
            if users == 1:
                del self._engines[loop]
                await engine.aclose()
                if self._closing:
                    with anyio.CancelScope(shield=True):
                        await self._close_if_idle()

    async def _close_if_idle(self) -> None:
        if not self._engines:
            await anyio.to_thread.run_sync(self._ledger.close)
