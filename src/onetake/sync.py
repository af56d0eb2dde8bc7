"""The blocking mirror of `onetake.Provider`: the same names, the same arguments.

Calls run on one event-loop thread that all blocking providers of a process share.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from anyio.from_thread import BlockingPortalProvider

import onetake.provider as _async

__all__ = ["Provider", "get_provider"]

_portal = BlockingPortalProvider(backend="asyncio")


class Provider:
    """`onetake.Provider` without ``await``. Made by `onetake.sync.get_provider`."""

    def __init__(self, provider: _async.Provider) -> None:
        self._provider = provider

    def __repr__(self) -> str:
        return repr(self._provider)

    def __enter__(self) -> Provider:
        self._portal = _portal.__enter__()
        self._context = self._portal.wrap_async_context_manager(self._provider)
        self._context.__enter__()
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

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def _blocking(name: str) -> Callable[..., Any]:
    method = getattr(_async.Provider, name)

    @functools.wraps(method)
    def call(self: Provider, *args: Any, **kwargs: Any) -> Any:
        with _portal as portal:
            bound = functools.partial(getattr(self._provider, name), *args, **kwargs)
            return portal.call(bound)

    return call


def _direct(name: str) -> Callable[..., Any]:
    method = getattr(_async.Provider, name)

    @functools.wraps(method)
    def call(self: Provider, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._provider, name)(*args, **kwargs)

    return call


def _iterating(name: str) -> Callable[..., Iterator[Any]]:
    method = getattr(_async.Provider, name)

    @functools.wraps(method)
    def call(self: Provider, *args: Any, **kwargs: Any) -> Iterator[Any]:
        with _portal as portal:
            generator = getattr(self._provider, name)(*args, **kwargs)
            with portal.wrap_async_context_manager(_Collected(generator)) as receive:
                while True:
                    try:
                        yield portal.call(receive.receive)
                    except _async.anyio.EndOfStream:
                        return

    return call


class _Collected:
    """Runs an async generator in a task of its own, because its scopes may not change tasks."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    async def __aenter__(self) -> Any:
        send, receive = _async.anyio.create_memory_object_stream[Any](0)
        self._group = _async.anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._pump, send)
        self._receive = receive
        return receive

    async def _pump(self, send: Any) -> None:
        async with send:
            async for item in self._generator:
                await send.send(item)

    async def __aexit__(self, *exc: Any) -> None:
        self._receive.close()
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(None, None, None)


def _mirror() -> None:
    for name, member in inspect.getmembers(_async.Provider):
        if name.startswith("_"):
            continue
        if inspect.iscoroutinefunction(member):
            setattr(Provider, name if name != "aclose" else "close", _blocking(name))
        elif inspect.isasyncgenfunction(member):
            setattr(Provider, name, _iterating(name))
        elif isinstance(member, property):
            getter = functools.partial(lambda key, self: getattr(self._provider, key), name)
            setattr(Provider, name, property(getter, doc=member.__doc__))
        elif callable(member):
            setattr(Provider, name, _direct(name))


_mirror()


@functools.wraps(_async.get_provider)
def get_provider(*args: Any, **kwargs: Any) -> Provider:
    """Return a blocking provider; the arguments are those of `onetake.get_provider`."""
    return Provider(_async.get_provider(*args, **kwargs))
