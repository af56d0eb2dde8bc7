"""`Provider`: what `get_provider` returns.

One object for every provider; the vendor behind it is a driver. It opens nothing until it is
used, works from any event loop, and closes what it opened when its ``async with`` ends, or,
without one, after each call.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import anyio
import anyio.to_thread

from onetake import chains
from onetake.assets import Asset, AssetSource
from onetake.catalog import Catalog, ModelCard
from onetake.described import DescribedCards
from onetake.driver import Resource
from onetake.engine.intents import Intent
from onetake.engine.run import once_each
from onetake.engine.watching import OnUpdate
from onetake.errors import OnetakeError
from onetake.fitting import FittedRequest, fit
from onetake.holdings import Holdings
from onetake.job import Job
from onetake.money import Money
from onetake.pricing.budget import amount_of, check_limits
from onetake.pricing.estimate import CostEstimate, estimate, estimate_chain
from onetake.request import GenerationRequest
from onetake.result import GenerationResult, Outcome

log = logging.getLogger("onetake.provider")


class Provider(Holdings):
    """A provider, ready to generate. Made by `get_provider`."""

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.card.name

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

    def check(self, request: GenerationRequest, *, strict: bool = True) -> FittedRequest:
        """Check a request without any network; return it as it would be sent.

        Raises:
            RequestError: naming the field, the value and what is allowed.
        """
        return fit(request, self._catalog_for(request), strict=strict)

    def estimate(self, request: GenerationRequest, *, strict: bool = True) -> CostEstimate:
        """Say what a request will cost, without any network or key."""
        fitted = fit(request, self._catalog_for(request), strict=strict)
        return self._estimate(fitted)

    def _catalog_for(self, request: GenerationRequest) -> Catalog:
        """Return the catalog, with what is kept of a model that it does not know."""
        return self._described.known(self._catalog, request)

    @property
    def _described(self) -> DescribedCards:
        home, place = self._workshop.settings.home, self._workshop.environment
        digest = hashlib.sha256(place.encode()).hexdigest()[:8]  # a sandbox has its own models
        return DescribedCards(home / "cache" / "models" / digest, self._clock)

    def _estimate(self, fitted: FittedRequest) -> CostEstimate:
        return estimate_chain(fitted, self._catalog, self._workshop.terms(self._clock.now()))

    async def submit(
        self,
        request: GenerationRequest,
        *,
        strict: bool = True,
        max_cost: Money | Decimal | str | int | None = None,
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
            max_cost: limit, in USD unless it says otherwise (``"30 CNY"``); an unknown price is
                above every limit.
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
            deadline = self._deadline(timeout)
            catalog = await self._described.fetched(self._catalog, request, engine.driver.describe)
            intent = await self._intent(request, strict, max_cost, estimate, catalog)
            if chains.steps(intent.fitted):
                intent = replace(intent, first=functools.partial(self._steps_first, deadline))
            record = await engine.intend(replace(intent, retry=retry, reuse=reuse))
            record = await engine.run_job(
                record.id, goal="accepted", deadline=deadline, on_update=on_update
            )
            return record.job()

    async def _intent(
        self,
        request: GenerationRequest,
        strict: bool,
        max_cost: Money | Decimal | str | int | None,
        approved: CostEstimate | None,
        catalog: Catalog | None = None,
    ) -> Intent:
        known = catalog or self._catalog
        fitted = await anyio.to_thread.run_sync(lambda: fit(request, known, strict=strict))
        whole = self._estimate(fitted)
        settings = self._workshop.settings
        limit = None if max_cost is None else amount_of("max_cost", max_cost)
        own = estimate(fitted, self.card, self._workshop.terms(self._clock.now()))
        return Intent(
            fitted=fitted,
            estimate=own.to_json(),
            reserve=own.high,
            currency=own.currency,
            typical_seconds=self._workshop.typical_seconds(fitted.card.typical_seconds),
            whole=whole.high,
            approve=lambda: check_limits(whole, limit, approved, settings.exchange_rates),
        )

    async def _steps_first(
        self, deadline: float | None, fitted: FittedRequest, last_job: str
    ) -> FittedRequest:
        """Do the paid steps of a chain, each a job of its own; those that are done cost nothing."""
        for name, step, request in chains.steps(fitted):
            intent = await self._intent(request, True, None, None)
            since = 0.0 if step.good_for is None else self._clock.now() - step.good_for
            intent = replace(intent, reuse=True, reuse_since=since, step=True)
            intent = replace(intent, ends_with=last_job)
            intent = replace(intent, facts_only=step.fills is None)
            async with self._engine() as engine:
                record = await engine.intend(intent)
                record = await engine.run_job(record.id, deadline=deadline)
            result = GenerationResult.of(record.job())
            fitted = await anyio.to_thread.run_sync(chains.continued, fitted, name, step, result)
        return fitted

    async def generate(
        self,
        request: GenerationRequest,
        *,
        strict: bool = True,
        max_cost: Money | Decimal | str | int | None = None,
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
        max_cost: Money | Decimal | str | int | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Generate many requests at once; yield the outcome of each as it ends.

        To leave the loop early, wrap the iterator in ``contextlib.aclosing``, as with every
        async generator; the jobs go on at the vendor.

        Args:
            requests: what to generate.
            timeout: patience for each, in seconds.
            max_cost: limit for each, in USD unless it says otherwise.
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
        max_cost: Money | Decimal | str | int | None,
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

    async def create_resource(
        self,
        kind: str,
        name: str,
        *,
        reference_assets: Sequence[Asset | AssetSource] = (),
        parameters: Mapping[str, Any] | None = None,
        key: str | None = None,
        max_cost: Money | Decimal | str | int | None = None,
    ) -> Resource:
        """Make a voice or an element, to be used in later requests by its id; a job like any other.

        Args:
            kind: ``voice`` or ``element``.
            name: what it is called.
            reference_assets: the files that it is made of.
            parameters: more neutral words, such as ``description``.
            key: your idempotency key.
            max_cost: limit, in USD unless it says otherwise.

        Raises:
            UnknownModel: this provider makes none.
            OnetakeError: as for `generate`.
        """
        request = GenerationRequest(
            model=self._maker(kind).name,
            parameters={"name": name, **(parameters or {})},
            reference_assets=reference_assets,
            key=key,
        )
        result = await self.generate(request, max_cost=max_cost)
        facts = result.job.facts
        url = result.artifacts[0].url if result.artifacts else None
        return Resource(kind=kind, id=str(facts[f"{kind}_id"]), name=name, url=url, detail=facts)

    async def verify(self) -> None:
        """Check the credentials with a free read.

        Raises:
            AuthenticationError: the vendor refuses them.
        """
        async with self._engine() as engine:
            await engine.driver.verify()

    async def __aenter__(self) -> Provider:
        stack = contextlib.AsyncExitStack()
        await stack.enter_async_context(self._engine())
        self._entered.append(stack)
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._entered.pop().aclose()
        finally:
            if not self._entered:
                with anyio.CancelScope(shield=True):
                    await self.aclose()

    async def aclose(self) -> None:
        """Close the ledger; call it when the provider was used without ``async with``.

        Calls that are under way come to their end first: they may have something to write down.
        """
        self._closing = True
        await self._close_if_idle()
