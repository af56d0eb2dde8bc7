"""Work that must come to its end, whatever becomes of the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio
import sniffio

T = TypeVar("T")


class _Unstoppable(asyncio.Task[Any]):
    """A task that outlives the end of its loop's main task, and so of ``asyncio.run``.

    anyio's own scopes inside it, such as a time limit, give a message when they cancel; a loop
    that shuts down gives none. A test keeps both.
    """

    def cancel(self, msg: Any | None = None) -> bool:
        """Refuse, unless a scope inside the work asks."""
        return False if msg is None else super().cancel(msg)


async def uncancelled(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run work to its end, then let a cancellation through.

    anyio's shield holds against anyio's own scopes only. On asyncio a caller can also be
    cancelled natively (``asyncio.timeout``, ``wait_for``, Ctrl-C), so the work gets a task of
    its own there, and the caller waits for it.
    """
    if sniffio.current_async_library() != "asyncio":
        with anyio.CancelScope(shield=True):
            return await work()
    task = _Unstoppable(work(), loop=asyncio.get_running_loop())
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        task.exception()  # told to the ledger; the caller hears of the cancellation
        raise cancelled
    result: T = task.result()
    return result
