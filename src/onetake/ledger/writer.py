"""One thread that talks to the database, with group commit.

Work is put on a queue and is done in order; everything that waits at the same moment shares one
transaction, so that many jobs cost one flush to the disk. Awaiting the outcome has no pool and
no timeout in the way: what was queued will be written, even if the caller stops waiting.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import anyio
import sqlalchemy as sa

from onetake.errors import LedgerError, OnetakeError

T = TypeVar("T")
Work = Callable[[sa.Connection], Any]
_BATCH = 100
"""Pieces of work in one transaction; what is urgent waits for that many at most."""
_ATTEMPTS = 10
"""How often work is run that PostgreSQL refused because two processes locked crosswise."""


class Writer:
    """Runs work on one database connection, in one thread.

    Args:
        connect: opens and prepares the connection; called in the thread.
    """

    def __init__(self, connect: Callable[[], sa.Connection]) -> None:
        self._connect = connect
        self._queue: queue.SimpleQueue[tuple[Work, Future[Any]] | None] = queue.SimpleQueue()
        self._urgent: queue.SimpleQueue[tuple[Work, Future[Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, work: Callable[[sa.Connection], T], *, urgent: bool = False) -> Future[T]:
        """Queue work; its result comes through the future. What is urgent goes first."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise LedgerError("the ledger is closed.")
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="onetake-ledger", daemon=True
                )
                self._thread.start()
            if urgent:
                self._urgent.put((work, future))
                self._queue.put((_nothing, Future()))  # wakes the thread, should it sleep
            else:
                self._queue.put((work, future))
        return future

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _run(self) -> None:
        connection: sa.Connection | None = None
        stop = False
        while not stop:
            batch, stop = self._next_batch()
            try:
                if connection is None:
                    connection = self._connect()
                _run_all(connection, batch)
            except Exception as error:  # noqa: BLE001 - every waiter must hear of it
                _fail(batch, error)
                if connection is not None and connection.invalidated:
                    connection.close()  # the server went away: connect anew next time
                    connection = None
        if connection is not None:
            connection.close()

    def _next_batch(self) -> tuple[list[tuple[Work, Future[Any]]], bool]:
        batch: list[tuple[Work, Future[Any]]] = []
        item = self._queue.get()
        while not self._urgent.empty():
            batch.append(self._urgent.get())
        while item is not None:
            batch.append(item)
            if len(batch) >= _BATCH:
                return batch, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True


def _nothing(connection: sa.Connection) -> None:
    """Do nothing."""


def _run_all(connection: sa.Connection, batch: list[tuple[Work, Future[Any]]]) -> None:
    """Run a batch; what only met another process's locks is run again."""
    attempt = 0
    while batch:
        attempt += 1
        batch = _run_batch(connection, batch, last=attempt == _ATTEMPTS)


def _run_batch(
    connection: sa.Connection, batch: list[tuple[Work, Future[Any]]], *, last: bool
) -> list[tuple[Work, Future[Any]]]:
    """Run a batch in one transaction; return the work that is to be tried again."""
    again: list[tuple[Work, Future[Any]]] = []
    outcomes: list[tuple[Future[Any], Any, Exception | None]] = []
    with connection.begin():
        for work, future in batch:
            try:
                with connection.begin_nested():
                    outcomes.append((future, work(connection), None))
            except Exception as failure:
                if connection.invalidated:
                    raise
                if _met_locks(failure) and not last:
                    again.append((work, future))
                else:
                    outcomes.append((future, None, failure))
    for future, result, error in outcomes:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(as_ledger_error(error))
    return again


def _met_locks(error: Exception) -> bool:
    """Say whether PostgreSQL broke a deadlock by refusing this piece of work."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in ("40P01", "40001")


def _fail(batch: list[tuple[Work, Future[Any]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(as_ledger_error(error))


def as_ledger_error(error: Exception) -> Exception:
    """Put a database error into our words; other errors pass as they are."""
    if isinstance(error, sa.exc.SQLAlchemyError) and not isinstance(error, OnetakeError):
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        return LedgerError(
            f"the ledger cannot be used: {reason}.",
            hint="Check that its folder is writable and has room, and that no other program "
            "keeps it locked.",
        )
    return error


async def finished(future: Future[T]) -> T:
    """Await a future of another thread, on asyncio and on trio alike.

    Cancelling the wait does not cancel the work.
    """
    if not future.done():
        event = anyio.Event()
        wake = _call_soon()
        future.add_done_callback(lambda _: wake(event.set))
        await event.wait()
    return future.result()


def _call_soon() -> Callable[[Callable[[], object]], object]:
    """Return a function that runs a callback in this event loop, from any thread, at once."""
    import sniffio

    if sniffio.current_async_library() == "trio":
        import trio

        enter: Callable[..., object] = trio.lowlevel.current_trio_token().run_sync_soon
        ended: tuple[type[Exception], ...] = (trio.RunFinishedError,)
    else:
        import asyncio

        enter = asyncio.get_running_loop().call_soon_threadsafe
        ended = (RuntimeError,)

    def wake(callback: Callable[[], object]) -> None:
        with contextlib.suppress(*ended):  # the loop is gone, and its waiters with it
            enter(callback)

    return wake
