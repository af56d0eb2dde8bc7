"""A clock that jumps: tests wait for nothing."""

from __future__ import annotations

import heapq
import itertools

import anyio
import anyio.lowlevel

_SETTLE = 50
"""Turns of the event loop in which others may go to sleep before the clock jumps."""


class VirtualClock:
    """Implements `onetake.clock.Clock`; a sleep ends as soon as everyone else sleeps too.

    Args:
        now: the time that it shows first, in seconds since the epoch.
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        """Return the time."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move ahead and wake who is due."""
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            heapq.heappop(self._sleepers)[2].set()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock, which takes no time."""
        event = anyio.Event()
        entry = (self._now + max(0.0, seconds), next(self._numbers), event)
        heapq.heappush(self._sleepers, entry)
        try:
            while not event.is_set():
                # whoever sleeps least lets the others settle, then moves the clock
                for _ in range(_SETTLE):
                    await anyio.lowlevel.checkpoint()
                if self._sleepers and self._sleepers[0] == entry:
                    self.advance(max(0.0, entry[0] - self._now))
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)
                heapq.heapify(self._sleepers)
