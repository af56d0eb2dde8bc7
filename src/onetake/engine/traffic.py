"""Traffic: how much goes on at once, and whose turn it is.

httpx rescans its queue of waiting requests at every event, so the sum of all limits stays below
its pool (`onetake.http.CONNECTIONS`): nothing ever waits there.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

import anyio

from onetake.clock import Clock

SUBMISSIONS, LOOKS, DOWNLOADS, UPLOADS, STREAMS = 20, 16, 12, 8, 4
"""Requests in flight of each kind, for one account in one event loop."""


class Traffic:
    """The limits of one engine. Made inside its event loop."""

    def __init__(self) -> None:
        self.submissions = anyio.CapacityLimiter(SUBMISSIONS)
        self.looks = anyio.CapacityLimiter(LOOKS)
        self.downloads = anyio.CapacityLimiter(DOWNLOADS)
        self.uploads = anyio.CapacityLimiter(UPLOADS)
        self.streams = anyio.CapacityLimiter(STREAMS)


class Signal:
    """Wakes whoever waits, as often as it is given."""

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def give(self) -> None:
        """Wake all who wait now."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self, seconds: float, clock: Clock) -> None:
        """Return at the next signal, or after that many seconds."""
        if self._event is None:
            self._event = anyio.Event()
        event = self._event
        async with anyio.create_task_group() as group:

            async def sleep() -> None:
                await clock.sleep(seconds)
                group.cancel_scope.cancel()

            group.start_soon(sleep)
            await event.wait()
            group.cancel_scope.cancel()


class Turns:
    """First come, first served, for jobs that want the same full bucket.

    While nobody waits, nobody queues; once somebody does, everybody does. So one job at a time
    asks the ledger for a slot, however many wait.
    """

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()
        self._gates: dict[str, anyio.Semaphore] = {}

    @contextlib.contextmanager
    def join(self, key: str) -> Iterator[Turn]:
        """Return a place that is given up at the end of the block."""
        turn = Turn(self, key)
        try:
            yield turn
        finally:
            turn.over()

    def crowded(self, key: str) -> bool:
        """Say whether somebody waits for this key."""
        return self._waiting[key] > 0

    async def enter(self, key: str) -> None:
        """Wait for the turn."""
        gate = self._gates.setdefault(key, anyio.Semaphore(1))
        self._waiting[key] += 1
        try:
            await gate.acquire()
        except BaseException:
            self._left(key)
            raise

    def leave(self, key: str) -> None:
        """Let the next one have its turn."""
        self._gates[key].release()
        self._left(key)

    def _left(self, key: str) -> None:
        self._waiting[key] -= 1
        if not self._waiting[key]:
            del self._waiting[key]
            del self._gates[key]


class Turn:
    """One job's place in the queue of a bucket."""

    def __init__(self, turns: Turns, key: str) -> None:
        self._turns, self._key = turns, key
        self._held = False

    @property
    def needed(self) -> bool:
        """Others wait already."""
        return not self._held and self._turns.crowded(self._key)

    async def take(self) -> None:
        """Wait until all who came before have had theirs."""
        if not self._held:
            await self._turns.enter(self._key)
            self._held = True

    def over(self) -> None:
        """Give it up; from any task, any number of times."""
        if self._held:
            self._held = False
            self._turns.leave(self._key)
