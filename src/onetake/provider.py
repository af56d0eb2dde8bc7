"""`Provider`: what `get_provider` returns.

One object for every provider; the vendor behind it is a driver. It opens nothing until it is
used, works from any event loop, and closes what it opened when its ``async with`` ends, or,
without one, after each call.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Sequence,
)
from dataclasses import replace
from decimal import Decimal

import anyio
import anyio.lowlevel
import anyio.to_thread

from onetake import plugins
from onetake.catalog import Catalog, ModelCard, ProviderCard
from onetake.clock import Clock
from onetake.driver import Balance
from onetake.engine.intents import Intent
from onetake.engine.run import Engine, once_each
from onetake.engine.settling import Settler
from onetake.engine.watching import OnUpdate
from onetake.engine.workers import new_worker
from onetake.errors import ConfigurationError, OnetakeError
from onetake.fitting import FittedRequest, fit
from onetake.job import Job, JobToken, is_token, parse_token
from onetake.ledger import store
from onetake.ledger.records import Account, JobRecord
from onetake.ledger.store import Ledger
from onetake.pricing.budget import check_limits
from onetake.pricing.estimate import CostEstimate, estimate
from onetake.request import GenerationRequest
from onetake.result import GenerationResult, Outcome
from onetake.workshop import Workshop

log = logging.getLogger("onetake.provider")


class Provider:
    """A provider, ready to generate. Made by `get_provider`."""

    def __init__(self, workshop: Workshop, ledger: Ledger, clock: Clock) -> None:
        self._workshop = workshop
        self._ledger = ledger
        self._clock = clock
        self._engines: dict[object, tuple[Engine, int]] = {}

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.card.name

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

    def models(self) -> Sequence[ModelCard]:
        """Return the models of the catalog."""
        return self._catalog.cards

    def model(self, name: str) -> ModelCard:
        """Return one model by neutral name, alias or vendor id.

        Raises:
            UnknownModel: with its neighbours.
        """
        cards = self._catalog.find(name)
        if not cards:
            raise self._catalog.unknown(name)
        return cards[0]

    @property
    def _catalog(self) -> Catalog:
        return plugins.catalog(self.card.name)

    def check(self, request: GenerationRequest, *, strict: bool = True) -> FittedRequest:
        """Check a request without any network; return it as it would be sent.

        Raises:
            RequestError: naming the field, the value and what is allowed.
        """
        return fit(request, self._catalog, strict=strict)

    def estimate(self, request: GenerationRequest, *, strict: bool = True) -> CostEstimate:
        """Say what a request will cost, without any network or key."""
        fitted = fit(request, self._catalog, strict=strict)
        return self._estimate(fitted)

    def _estimate(self, fitted: FittedRequest) -> CostEstimate:
        return estimate(fitted, self.card, region=self._workshop.region)

    async def submit(
        self,
        request: GenerationRequest,
        *,
        strict: bool = True,
        max_cost: Decimal | str | int | None = None,
        estimate: CostEstimate | None = None,
        retry: bool = False,
        reuse: bool = False,
        timeout: float | None = None,
        on_update: OnUpdate | None = None,
    ) -> Job:
        """Start a job and return once the vendor has accepted it.

        Args:
            request: what to generate.
            strict: False turns capability errors into notes.
            max_cost: limit in the provider's currency; an unknown price is above every limit.
            estimate: spend only what this estimate approved.
            retry: if the key's job failed, start a child job.
            reuse: return a delivered job that asked for exactly the same, without paying.
            timeout: the caller's patience in seconds while the account has no free slot.
            on_update: called with the job at every change.

        Raises:
            RequestError: nothing was sent.
            BudgetExceeded: nothing was sent.
            OnetakeError: see ``task_state`` and ``billed``.
        """
        async with self._engine() as engine:
            intent = await self._intent(request, strict, max_cost, estimate)
            record = await engine.intend(replace(intent, retry=retry, reuse=reuse))
            record = await engine.run_job(
                record.id, goal="accepted", deadline=self._deadline(timeout), on_update=on_update
            )
            return record.job()

    async def _intent(
        self,
        request: GenerationRequest,
        strict: bool,
        max_cost: Decimal | str | int | None,
        approved: CostEstimate | None,
    ) -> Intent:
        fitted = await anyio.to_thread.run_sync(lambda: fit(request, self._catalog, strict=strict))
        price = self._estimate(fitted)
        check_limits(price, max_cost, approved)
        return Intent(
            fitted=fitted,
            estimate=price.to_json(),
            reserve=price.high,
            currency=price.currency,
            typical_seconds=self._workshop.typical_seconds(fitted.card.typical_seconds),
        )

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

    async def generate(
        self,
        request: GenerationRequest,
        *,
        strict: bool = True,
        max_cost: Decimal | str | int | None = None,
        estimate: CostEstimate | None = None,
        retry: bool = False,
        reuse: bool = False,
        timeout: float | None = None,
        on_update: OnUpdate | None = None,
    ) -> GenerationResult:
        """Submit, wait and deliver; the arguments are those of `submit` and `wait`."""
        tell, deadline = once_each(on_update), self._deadline(timeout)
        async with self._engine():  # one set of connections for both halves
            job = await self.submit(
                request,
                strict=strict,
                max_cost=max_cost,
                estimate=estimate,
                retry=retry,
                reuse=reuse,
                timeout=timeout,
                on_update=tell,
            )
            left = None if deadline is None else max(0.0, deadline - self._clock.now())
            return await self.wait(job, timeout=left, on_update=tell)

    async def generate_many(
        self,
        requests: Iterable[GenerationRequest],
        *,
        timeout: float | None = None,
        max_cost: Decimal | str | int | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Generate many requests at once; yield the outcome of each as it ends.

        To leave the loop early, wrap the iterator in ``contextlib.aclosing``, as with every
        async generator; the jobs go on at the vendor.

        Args:
            requests: what to generate.
            timeout: patience for each, in seconds.
            max_cost: limit for each, in the provider's currency.
        """
        wanted = list(requests)
        send, receive = anyio.create_memory_object_stream[Outcome](len(wanted))

        async def one(request: GenerationRequest) -> None:
            await send.send(await self._outcome(request, timeout, max_cost))

        async with self._engine(), send, receive, anyio.create_task_group() as group:
            for request in wanted:
                group.start_soon(one, request)
            try:
                for _ in wanted:
                    yield await receive.receive()
            except GeneratorExit:
                # the caller leaves early; the exit of a generator must not meet the group
                group.cancel_scope.cancel()

    async def _outcome(
        self,
        request: GenerationRequest,
        timeout: float | None,
        max_cost: Decimal | str | int | None,
    ) -> Outcome:
        """Generate; one mistake must not cancel the others."""
        try:
            result = await self.generate(request, timeout=timeout, max_cost=max_cost)
        except OnetakeError as error:
            return Outcome(request, error=error)
        except Exception as error:
            log.exception("a request of generate_many broke")
            told = OnetakeError(f"{type(error).__name__}: {error}")
            told.__cause__ = error
            return Outcome(request, error=told)
        return Outcome(request, result)

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
        return await self._settle(job, lambda settler, job_id: settler.attach(job_id, task_id))

    async def abandon(self, job: Job | str) -> Job:
        """Give up a job that was not sent, or whose outcome is unknown. Nothing is told the vendor.

        Raises:
            RequestError: the vendor has it, or it has ended.
        """
        return await self._settle(job, lambda settler, job_id: settler.abandon(job_id))

    async def resubmit(self, job: Job | str) -> Job:
        """Abandon a job whose outcome is unknown and return a child that will be sent; `wait` for
        it. If the vendor has the first one after all, both are paid: that is your decision.

        Raises:
            RequestError: the job is not unknown, or the vendor finds it by our id.
        """
        return await self._settle(job, lambda settler, job_id: settler.resubmit(job_id))

    async def _settle(
        self, job: Job | str, act: Callable[[Settler, str], Awaitable[JobRecord]]
    ) -> Job:
        job_id = await self._id_of(job)
        async with self._engine() as engine:
            await self._mine(engine, job_id)
            return (await act(engine.settler, job_id)).job()

    async def read_callback(self, url: str, body: bytes) -> Job | None:
        """Take note of a vendor's callback: whoever waits for its job here looks at once.

        Args:
            url: the address that was called, with its query.
            body: what was sent to it, unread.

        Returns:
            The job; None if the address holds no valid proof, which changes nothing.
        """
        async with self._engine() as engine:
            record = await engine.callbacks.read(url, body)
            return None if record is None else record.job()

    async def account(self) -> Sequence[Balance]:
        """Return the account's packs and balances, as far as the vendor tells."""
        async with self._engine() as engine:
            return await engine.driver.account()

    async def verify(self) -> None:
        """Check the credentials with a free read.

        Raises:
            AuthenticationError: the vendor refuses them.
        """
        async with self._engine() as engine:
            await engine.driver.verify()

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
        return await self._ledger.run(
            lambda connection: store.adopt(connection, account, token, now)
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

    async def __aenter__(self) -> Provider:
        self._entered = contextlib.AsyncExitStack()
        await self._entered.enter_async_context(self._engine())
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._entered.aclose()
        finally:
            with anyio.CancelScope(shield=True):
                await self.aclose()

    async def aclose(self) -> None:
        """Close the ledger; call it when the provider was used without ``async with``."""
        await anyio.to_thread.run_sync(self._ledger.close)
