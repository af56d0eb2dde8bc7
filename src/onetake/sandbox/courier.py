"""The courier: brings callbacks to loopback addresses when their time has come.

It works only for a sandbox that is served on a socket, and goes nowhere but to this machine. It
keeps the sandbox's time, so ``advance`` makes what is due leave at once.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass

import httpx

log = logging.getLogger("onetake.sandbox")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TIMEOUT = 5.0
_LONGEST_SLEEP = 0.2
"""Seconds; the sandbox's clock may be moved from another process."""


@dataclass(frozen=True)
class Letter:
    """One callback.

    Attributes:
        url: where it goes.
        body: its bytes.
        headers: its headers.
        provider: whose it is; faults are matched by it.
    """

    url: str
    body: bytes
    headers: dict[str, str]
    provider: str


class Courier:
    """Brings letters in the order of their times, from a thread of its own.

    Args:
        now: the sandbox's time.
        flag: takes a fault by name and provider; says whether it was armed.
    """

    def __init__(self, now: Callable[[], float], flag: Callable[[str, str], bool]) -> None:
        self._now = now
        self._flag = flag
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, Callable[[], Letter]]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._working = False

    def start(self) -> None:
        """Begin to bring letters."""
        with self._changed:
            self._working = True
            self._thread = threading.Thread(target=self._run, name="onetake-courier", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; what is not brought yet is lost."""
        with self._changed:
            self._working = False
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(TIMEOUT)

    def post(self, at: float, letter: Callable[[], Letter]) -> None:
        """Leave a letter that is to go at a moment of the sandbox's time."""
        with self._changed:
            if self._working:
                heapq.heappush(self._waiting, (at, next(self._order), letter))
                self._changed.notify()

    def _run(self) -> None:
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
            while (due := self._due()) is not None:
                for letter in self._arranged(due):
                    _bring(client, letter)

    def _due(self) -> list[Letter] | None:
        """Wait until letters are due; None at the end."""
        with self._changed:
            while self._working:
                now, due = self._now(), []
                while self._waiting and self._waiting[0][0] <= now:
                    due.append(heapq.heappop(self._waiting)[2]())
                if due:
                    return due
                self._changed.wait(_LONGEST_SLEEP if self._waiting else None)
        return None

    def _arranged(self, due: list[Letter]) -> list[Letter]:
        """Lose, double or turn round what a fault says."""
        arranged: list[Letter] = []
        for letter in due:
            if self._flag("lose_webhook", letter.provider):
                continue
            double = self._flag("double_webhook", letter.provider)
            arranged += [letter, letter] if double else [letter]
        turned = len(due) > 1 and self._flag("reorder_webhooks", due[0].provider)
        return arranged[::-1] if turned else arranged


def _bring(client: httpx.Client, letter: Letter) -> None:
    try:
        host = urllib.parse.urlsplit(letter.url).hostname
    except ValueError:
        host = None
    if host not in LOOPBACK:
        log.info("the sandbox calls nobody beyond this machine; %s was not told", host)
        return
    try:
        client.post(letter.url, content=letter.body, headers=letter.headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        log.info("a callback to %s failed: %r", letter.url, error)
