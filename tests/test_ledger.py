"""The ledger: durable, compare-and-set, one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from onetake import LedgerError
from onetake.job import Submission, TaskStatus
from onetake.ledger import store
from onetake.ledger.migrations.upgrade import HEAD
from onetake.ledger.records import Account
from onetake.ledger.store import Ledger
from onetake.ledger.tables import metadata

ACCOUNT = Account("kling", "host", "live")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is."""
    return tmp_path / "deep" / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """An open ledger."""
    ledger = Ledger(f"sqlite:///{path}")
    yield ledger
    ledger.close()


def add(connection: sa.Connection, job_id: str = "j1", **fields: Any) -> bool:
    """Insert a job."""
    values = {
        "id": job_id,
        "account_id": store.account_id(connection, ACCOUNT),
        "key": None,
        "key_current": True,
        "model": "m",
        "fingerprint": "f",
        "request": {},
        "submission_body": {"path": "/p", "body": {}},
        "body_sha256": "0",
        "resend": "safe",
        "typical_seconds": 1.0,
        "submission": "intent",
        "delivery": "pending",
        "artifacts": [],
        "notes": [],
        "created_at": 1.0,
        "updated_at": 1.0,
    }
    return store.insert(connection, {**values, **fields})


def test_a_power_cut_costs_nothing(ledger: Ledger, path: Path) -> None:
    """WAL and full synchronisation, read back from the connection that writes."""

    def pragmas(connection: sa.Connection) -> tuple[Any, Any]:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        return mode, connection.exec_driver_sql("PRAGMA synchronous").scalar()

    assert ledger.run_blocking(pragmas) == ("wal", 2)


def test_the_migrations_make_the_tables(ledger: Ledger, path: Path) -> None:
    """Alembic's result is what the code expects, and the newest revision is HEAD."""
    ledger.run_blocking(lambda connection: None)
    engine = sa.create_engine(f"sqlite:///{path}")
    found = sa.inspect(engine)
    for table in metadata.sorted_tables:
        columns = {column["name"] for column in found.get_columns(table.name)}
        assert columns == {column.name for column in table.columns}
    indexes = {index["name"] for index in found.get_indexes("jobs")}
    assert "one_job_per_key" in indexes
    engine.dispose()
    versions = Path(store.__file__).parent / "migrations" / "versions"
    newest = max(file.name for file in versions.glob("r*.py"))
    assert newest.startswith(f"r{HEAD}")


def test_a_change_needs_the_job_as_it_was_seen(ledger: Ledger) -> None:
    """The second of two workers who saw the same job changes nothing."""
    ledger.run_blocking(add)
    seen = ledger.run_blocking(lambda c: store.get(c, "j1"))
    assert seen is not None
    values = {"submission": Submission.SENDING}
    assert ledger.run_blocking(lambda c: store.move(c, seen, values))
    assert not ledger.run_blocking(lambda c: store.move(c, seen, values))


def test_illegal_steps_are_refused(ledger: Ledger) -> None:
    """An accepted job cannot be sent again, whatever the program says."""
    ledger.run_blocking(lambda c: add(c, submission="accepted", task="running"))
    seen = ledger.run_blocking(lambda c: store.get(c, "j1"))
    assert seen is not None
    with pytest.raises(LedgerError, match="not a legal step"):
        ledger.run_blocking(lambda c: store.move(c, seen, {"submission": Submission.SENDING}))
    done = {"task": TaskStatus.SUCCEEDED}
    assert ledger.run_blocking(lambda c: store.move(c, seen, done))


def test_a_failed_piece_of_work_leaves_the_others_alone(ledger: Ledger) -> None:
    """Work that shares a transaction fails alone."""

    async def main() -> None:
        async def good(number: int) -> None:
            await ledger.run(lambda c: add(c, f"g{number}"))

        async def bad() -> None:
            with pytest.raises(LedgerError):
                await ledger.run(lambda c: add(c, "g0-twice", submission=None))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(good, number)
                group.start_soon(bad)

    anyio.run(main)
    assert len(ledger.run_blocking(store.listed)) == 20


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_the_wait_does_not_cancel_the_writing(ledger: Ledger, backend: str) -> None:
    """What was queued is written."""

    async def main() -> None:
        with anyio.move_on_after(0):
            await ledger.run(add)
        while not await ledger.run(store.listed):
            await anyio.lowlevel.checkpoint()

    anyio.run(main, backend=backend)


def test_a_key_belongs_to_one_job_of_an_account(ledger: Ledger) -> None:
    """The database itself refuses a second one."""
    assert ledger.run_blocking(lambda c: add(c, "a", key="k"))
    assert not ledger.run_blocking(lambda c: add(c, "b", key="k"))
    ledger.run_blocking(lambda c: store.release_key(c, "a"))
    assert ledger.run_blocking(lambda c: add(c, "b", key="k"))


def test_a_claim_excludes_others_until_its_lease_ends(ledger: Ledger) -> None:
    """A silent owner loses the job."""
    ledger.run_blocking(add)

    def claim(owner: str, now: float) -> bool:
        return ledger.run_blocking(lambda c: store.claim(c, "j1", owner, now, 10.0)) is not None

    assert claim("one", 0)
    assert claim("one", 5)
    assert not claim("two", 14)
    assert claim("two", 16)


def test_unusable_ledgers_are_told_before_anything_is_paid(tmp_path: Path) -> None:
    """Corrupt, newer, and a folder in place of a file."""
    corrupt = tmp_path / "corrupt.sqlite3"
    corrupt.write_bytes(b"this is no database, but it is long enough to be read as a header" * 20)
    newer = tmp_path / "newer.sqlite3"
    with sqlite3.connect(newer) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()
    for path, reason in [(corrupt, "not a database"), (newer, "newer onetake"), (tmp_path, "open")]:
        ledger = Ledger(f"sqlite:///{path}")
        with pytest.raises(LedgerError, match=reason):
            ledger.run_blocking(lambda c: None)
        ledger.close()


def test_a_missing_database_driver_names_the_extra() -> None:
    """PostgreSQL needs one more package."""
    pytest.importorskip("sqlalchemy")
    try:
        import psycopg  # noqa: F401
    except ImportError:
        ledger = Ledger("postgresql+psycopg://localhost/none")
        with pytest.raises(LedgerError, match=r"onetake\[postgres\]"):
            ledger.run_blocking(lambda c: None)
        ledger.close()
    else:
        pytest.skip("psycopg is installed")
