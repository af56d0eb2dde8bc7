"""The blocking mirror of `onetake.Provider`: the same names, the same arguments.

Calls run on one event-loop thread that all blocking providers of a process share. A test
compares names and signatures with the original.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from anyio.from_thread import BlockingPortalProvider

from onetake import opening
from onetake import provider as original
from onetake.catalog import ProviderCard
from onetake.engine.watching import OnUpdate
from onetake.job import Job
from onetake.ledger.records import Account
from onetake.result import GenerationResult

__all__ = ["OpenedJob", "Provider", "get_provider", "open_job"]

P = ParamSpec("P")
R = TypeVar("R")
_portal = BlockingPortalProvider(backend="asyncio")


def _blocking(
    method: Callable[Concatenate[original.Provider, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Provider, P], R]:
    @functools.wraps(method)
    def call(self: Provider, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with _portal as portal:
            bound = functools.partial(method, self._provider, *args, **kwargs)
            result: R = portal.call(bound)
            return result

    return call


def _direct(
    method: Callable[Concatenate[original.Provider, P], R],
) -> Callable[Concatenate[Provider, P], R]:
    @functools.wraps(method)
    def call(self: Provider, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(self._provider, *args, **kwargs)

    return call


def _iterating(
    method: Callable[Concatenate[original.Provider, P], AsyncGenerator[R]],
) -> Callable[Concatenate[Provider, P], Iterator[R]]:
    @functools.wraps(method)
    def call(self: Provider, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        pumped = _Pumped(lambda: method(self._provider, *args, **kwargs))
        with _portal as portal, portal.wrap_async_context_manager(pumped) as receive:
            while True:
                try:
                    item = portal.call(receive.receive)
                except anyio.EndOfStream:
                    pumped.raise_failure()
                    return
                yield item

    return call


class _Pumped:
    """Runs an async generator in a task of its own, because its scopes may not change tasks."""

    def __init__(self, generate: Callable[[], AsyncGenerator[Any]]) -> None:
        self._generate = generate
        self._failure: Exception | None = None

    def raise_failure(self) -> None:
        """Raise what ended the generator early, if something did."""
        if self._failure is not None:
            raise self._failure

    async def __aenter__(self) -> ObjectReceiveStream[Any]:
        send, self._receive = anyio.create_memory_object_stream[Any](0)
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._pump, send)
        return self._receive

    async def _pump(self, send: ObjectSendStream[Any]) -> None:
        async with send:
            try:
                async with contextlib.aclosing(self._generate()) as items:
                    async for item in items:
                        await send.send(item)
            except Exception as error:  # noqa: BLE001 - raised by the iterator
                self._failure = error

    async def __aexit__(self, *exc: object) -> None:
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(None, None, None)
        self._receive.close()


class Provider:
    """`onetake.Provider` without ``await``. Made by `onetake.sync.get_provider`."""

    def __init__(self, provider: original.Provider) -> None:
        self._provider = provider

    @property
    def name(self) -> str:
        """The provider's name."""
        return self._provider.name

    @property
    def card(self) -> ProviderCard:
        """What the provider says of itself."""
        return self._provider.card

    @property
    def account_key(self) -> Account:
        """Where jobs are billed."""
        return self._provider.account_key

    models = _direct(original.Provider.models)
    model = _direct(original.Provider.model)
    check = _direct(original.Provider.check)
    estimate = _direct(original.Provider.estimate)
    submit = _blocking(original.Provider.submit)
    wait = _blocking(original.Provider.wait)
    generate = _blocking(original.Provider.generate)
    generate_many = _iterating(original.Provider.generate_many)
    job = _blocking(original.Provider.job)
    jobs = _blocking(original.Provider.jobs)
    cancel = _blocking(original.Provider.cancel)
    resume = _blocking(original.Provider.resume)
    attach = _blocking(original.Provider.attach)
    abandon = _blocking(original.Provider.abandon)
    resubmit = _blocking(original.Provider.resubmit)
    read_callback = _blocking(original.Provider.read_callback)
    account = _blocking(original.Provider.account)
    findings = _blocking(original.Provider.findings)
    list_prices = _blocking(original.Provider.list_prices)
    deductions = _blocking(original.Provider.deductions)
    settle_costs = _blocking(original.Provider.settle_costs)
    resources = _blocking(original.Provider.resources)
    create_resource = _blocking(original.Provider.create_resource)
    delete_resource = _blocking(original.Provider.delete_resource)
    verify = _blocking(original.Provider.verify)
    close = _blocking(original.Provider.aclose)

    def __repr__(self) -> str:
        return repr(self._provider)

    def __enter__(self) -> Provider:
        portal = _portal.__enter__()
        try:
            self._context = portal.wrap_async_context_manager(self._provider)
            self._context.__enter__()
        except BaseException:
            _portal.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._context.__exit__(kind, error, trace)
        finally:
            _portal.__exit__(kind, error, trace)


@functools.wraps(opening.get_provider)
def get_provider(*args: Any, **kwargs: Any) -> Provider:
    """Return a blocking provider; the arguments are those of `onetake.get_provider`."""
    return Provider(opening.get_provider(*args, **kwargs))


class OpenedJob:
    """`onetake.opening.OpenedJob` without ``await``. Made by `onetake.sync.open_job`."""

    def __init__(self, opened: opening.OpenedJob) -> None:
        self.provider = Provider(opened.provider)
        self.token = opened.token

    def job(self) -> Job:
        """Return the job as this ledger has it."""
        return self.provider.job(self.token)

    def wait(
        self, *, timeout: float | None = None, on_update: OnUpdate | None = None
    ) -> GenerationResult:
        """Wait until it is delivered."""
        return self.provider.wait(self.token, timeout=timeout, on_update=on_update)

    def cancel(self) -> bool:
        """Ask the vendor to stop it."""
        return self.provider.cancel(self.token)

    def __enter__(self) -> OpenedJob:
        self.provider.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.provider.__exit__(kind, error, trace)


@functools.wraps(opening.open_job)
def open_job(token: str, **arguments: Any) -> OpenedJob:
    """Go on with a job from its token; the arguments are those of `onetake.open_job`."""
    return OpenedJob(opening.open_job(token, **arguments))
