"""Ctrl-C: the first one stops waiting in good order, the second one leaves at once.

Leaving at once is safe at any moment: what has to be known is on disk before it is done.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from onetake.cli import output


def run(work: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
    """Run work in an event loop.

    Raises:
        KeyboardInterrupt: it was interrupted, and has come to its end.
    """

    async def main() -> None:
        await _Interruptible().run(work, *arguments)

    anyio.run(main)


class _Interruptible:
    def __init__(self) -> None:
        self._working = anyio.CancelScope()
        self._listening = anyio.CancelScope(shield=True)
        self._interrupts = 0

    async def run(self, work: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        """Work and listen; what the work raises is raised as it is."""
        failure: Exception | None = None
        async with anyio.create_task_group() as group:
            await group.start(self._listen)
            try:
                with self._working:
                    await work(*arguments)
            except Exception as error:  # noqa: BLE001 - raised below, outside the group
                failure = error
            finally:
                self._listening.cancel()
        if self._interrupts:
            raise KeyboardInterrupt
        if failure is not None:
            raise failure

    async def _listen(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        with self._listening, anyio.open_signal_receiver(signal.SIGINT) as signals:
            task_status.started()
            async for _ in signals:
                self._interrupts += 1
                if self._interrupts > 1:
                    os._exit(output.INTERRUPTED)
                output.hint("\nonetake: stopping; Ctrl-C once more leaves at once.")
                self._working.cancel()
