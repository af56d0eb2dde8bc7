"""The ledger: durable, compare-and-set, one thread."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from onetake import LedgerError
from onetake.job import Submission, TaskStatus
from onetake.ledger import spending, store
from onetake.ledger.migrations.upgrade import HEAD
from onetake.ledger.records import Account
from onetake.ledger.store import Ledger
from onetake.ledger.tables import files, jobs, metadata
from onetake.settings import ledger_url

ACCOUNT = Account("kling", "host", "live")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an SQLite ledger is."""
    return tmp_path / "deep" / "ledger.sqlite3"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, path: Path) -> str:
    """URL of an empty ledger, on either database."""
    if request.param == "sqlite":
        return f"sqlite:///{path}"
    return ledger_url(request.getfixturevalue("postgres_database"), path)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """An open ledger."""
    ledger = Ledger(url)
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


def test_a_power_cut_costs_nothing(path: Path) -> None:
    """WAL and full synchronisation, read back from the connection that writes."""
    ledger = Ledger(f"sqlite:///{path}", timeout=7.5)

    def pragmas(connection: sa.Connection) -> tuple[Any, ...]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return tuple(connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names)

    assert ledger.run_blocking(pragmas) == ("wal", 2, 1, 7500)
    ledger.close()


def test_the_server_flushes_too(postgres_database: str, path: Path) -> None:
    """The suite's PostgreSQL runs as one does that holds money."""
    ledger = Ledger(ledger_url(postgres_database, path))

    def settings(connection: sa.Connection) -> list[Any]:
        names = ("fsync", "synchronous_commit", "lock_timeout")
        return [connection.execute(sa.text(f"SHOW {name}")).scalar() for name in names]

    assert ledger.run_blocking(settings) == ["on", "on", "30s"]
    ledger.close()


def test_migrations_lead_to_the_tables_that_a_new_ledger_gets(url: str) -> None:
    """Step by step from the first revision: nothing differs, and every step can be taken back."""
    engine = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", "onetake.ledger:migrations")
    config.set_main_option("path_separator", "os")
    Path(engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD
        migrated = _described(connection)
        command.downgrade(config, "base")
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]
        connection.execute(sa.text("DROP TABLE alembic_version"))
    ledger = Ledger(url)
    created = ledger.run_blocking(_described)
    ledger.close()
    engine.dispose()
    assert migrated == created


def test_tags_that_look_alike_become_one(url: str) -> None:
    """Tags and limits of before are found under the composed form; the lower limit stays."""
    apart, composed = "e\u0301te\u0301", "\u00e9t\u00e9"
    engine = sa.create_engine(url)
    Path(engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", "onetake.ledger:migrations")
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        limits = sa.table(
            "budgets",
            *map(sa.column, ("environment", "scope", "name", "amount", "currency", "set_at")),
        )
        row = {"environment": "live", "currency": "USD", "set_at": 0.0}
        for scope, name, amount in (
            ("tag", apart, 5), ("tag", composed, 9), ("tag", "plain", 7), ("run", apart, 3),
        ):  # fmt: skip
            values = {**row, "scope": scope, "name": name, "amount": amount}
            connection.execute(limits.insert().values(**values))
        add(connection)
        run = sa.table("jobs", sa.column("run"))
        connection.execute(run.update().values(run="0123456789abcdef"))
    ledger = Ledger(url)
    kept = ledger.run_blocking(lambda c: spending.limits(c, "live"))
    named = ledger.run_blocking(lambda c: c.execute(sa.select(jobs.c.run)).scalar())
    assert named == "auto-0123456789abcdef", "a run that nobody named is told from others"
    ledger.close()
    engine.dispose()
    found = {(one.scope, one.name): int(one.money.amount * 1_000_000) for one in kept}
    assert found == {("tag", composed): 5, ("tag", "plain"): 7, ("run", apart): 3}


def test_a_day_is_summed_without_reading_the_whole_ledger(path: Path) -> None:
    """However many jobs there are, a daily budget looks at the day's and at those to be sent."""
    ledger = Ledger(f"sqlite:///{path}")

    def plan(connection: sa.Connection) -> list[str]:
        asked: list[tuple[str, Any]] = []
        sa.event.listen(
            connection,
            "before_cursor_execute",
            lambda _c, _cursor, statement, parameters, *_: asked.append((statement, parameters)),
        )
        spending.spent(connection, "live", 100.0, since=50.0)
        [(statement, parameters)] = [one for one in asked if "sum(" in one[0]]
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row.detail for row in rows]

    steps = ledger.run_blocking(plan)
    ledger.close()
    assert sum("USING INDEX jobs_by_day" in step for step in steps) == 2
    assert sum("USING INDEX jobs_unsent" in step for step in steps) == 1
    assert not any("SCAN jobs" in step for step in steps)


def _described(connection: sa.Connection) -> dict[str, Any]:
    """Return columns, keys and indexes of every table."""
    found = sa.inspect(connection)
    shown: dict[str, Any] = {}
    for table in sorted(found.get_table_names()):
        columns = {c["name"]: (str(c["type"]), c["nullable"]) for c in found.get_columns(table)}
        indexes = {i["name"]: (i["column_names"], i["unique"]) for i in found.get_indexes(table)}
        keys = found.get_pk_constraint(table)["constrained_columns"]
        shown[table] = (columns, indexes, keys)
    shown.pop("alembic_version")
    return shown


def test_a_ledger_of_the_first_revision_is_brought_up(url: str) -> None:
    """Its jobs stay as they were."""
    engine = sa.create_engine(url)
    Path(engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", "onetake.ledger:migrations")
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        _insert_old(connection)
    engine.dispose()
    ledger = Ledger(url)
    [record] = ledger.run_blocking(store.listed)
    kept = ledger.run_blocking(
        lambda c: [tuple(row) for row in c.execute(sa.select(files.c.sha256, files.c.number))]
    )
    ledger.close()
    assert (record.id, record.reserved, record.pruned_at) == ("old", None, None)
    assert kept == [("a" * 64, 0)], "the files of old jobs are known by their content"


def _insert_old(connection: sa.Connection) -> None:
    account = "INSERT INTO accounts (provider, host, environment, name) VALUES ('k', 'h', 'l', 'n')"
    connection.execute(sa.text(account))
    values = {
        "id": "'old'",
        "account_id": "1",
        "key_current": "true",
        "typical_seconds": "1",
        "created_at": "1",
        "updated_at": "1",
    }
    texts = ("model", "fingerprint", "body_sha256", "resend", "submission", "delivery")
    values |= dict.fromkeys(texts, "'x'") | {"submission": "'intent'", "delivery": "'pending'"}
    delivered = f"""'[{{"sha256": "{"a" * 64}"}}]'"""
    values |= {"request": "'{}'", "submission_body": "'{}'", "artifacts": delivered}
    values |= {"notes": "'[]'"}
    row = f"INSERT INTO jobs ({', '.join(values)}) VALUES ({', '.join(values.values())})"
    connection.execute(sa.text(row))


def test_many_processes_may_open_a_new_ledger_at_once(url: str) -> None:
    """One of them makes the tables, the account and the job of a key."""
    ledgers = [Ledger(url) for _ in range(6)]
    futures = [
        ledger._writer.submit(lambda c, n=number: add(c, f"j{n}", key="k"))
        for number, ledger in enumerate(ledgers)
    ]
    inserted = [future.result(30) for future in futures]
    assert sorted(inserted) == [False] * 5 + [True]
    assert len(ledgers[0].run_blocking(store.listed)) == 1
    for ledger in ledgers:
        ledger.close()


def test_crosswise_locks_are_untied(postgres_database: str, path: Path) -> None:
    """Two processes lock the same rows in opposite order: both changes are made."""
    one, two = (Ledger(ledger_url(postgres_database, path)) for _ in range(2))
    one.run_blocking(lambda c: add(c, "a"))
    one.run_blocking(lambda c: add(c, "b"))
    both = threading.Barrier(2, timeout=20)

    def crosswise(first: str, second: str) -> Any:
        met: list[bool] = []

        def work(connection: sa.Connection) -> int:
            touch(connection, first)
            if not met:
                met.append(True)
                both.wait()
            return touch(connection, second)

        return work

    def touch(connection: sa.Connection, job_id: str) -> int:
        table = store.jobs
        changed = table.update().where(table.c.id == job_id)
        return connection.execute(
            changed.values(position=sa.func.coalesce(table.c.position, 0) + 1)
        ).rowcount

    futures = [one._writer.submit(crosswise("a", "b")), two._writer.submit(crosswise("b", "a"))]
    assert [future.result(30) for future in futures] == [1, 1]
    assert [r.position for r in one.run_blocking(store.listed)] == [2, 2]
    one.close()
    two.close()


def test_a_server_that_went_away_is_connected_to_anew(postgres_database: str, path: Path) -> None:
    """The work at that moment fails and says so; the next finds the server again."""
    ledger = Ledger(ledger_url(postgres_database, path))
    ledger.run_blocking(add)
    with pytest.raises(LedgerError, match="terminat"):
        ledger.run_blocking(
            lambda c: c.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
        )
    assert len(ledger.run_blocking(store.listed)) == 1
    ledger.close()


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


def test_what_is_urgent_comes_next(ledger: Ledger) -> None:
    """A task id does not stand in line behind thousands of other changes."""
    order: list[str] = []
    begun, go = threading.Event(), threading.Event()

    def first(connection: sa.Connection) -> None:
        begun.set()
        go.wait(10)

    futures = [ledger._writer.submit(first)]
    begun.wait(10)
    for number in range(1200):
        futures.append(ledger._writer.submit(lambda c, n=number: order.append(str(n))))
    futures.append(ledger._writer.submit(lambda c: order.append("urgent"), urgent=True))
    go.set()
    for future in futures:
        future.result(30)
    assert order[0] == "urgent"
    assert order[1:] == [str(number) for number in range(1200)]


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
    seen = ledger.run_blocking(lambda c: store.find(c, "a"))
    assert ledger.run_blocking(lambda c: store.release_key(c, seen))
    assert not ledger.run_blocking(lambda c: store.release_key(c, seen))
    assert ledger.run_blocking(lambda c: add(c, "b", key="k"))
    assert ledger.run_blocking(lambda c: add(c, "c"))
    assert not ledger.run_blocking(lambda c: store.bind_key(c, "c", "k"))
    assert ledger.run_blocking(lambda c: store.bind_key(c, "c", "l"))


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
    """PostgreSQL needs one more package; this one nobody has."""
    ledger = Ledger("postgresql+pg8000://localhost/none")
    with pytest.raises(LedgerError, match=r"onetake\[postgres\]"):
        ledger.run_blocking(lambda c: None)
    ledger.close()


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the place, and without the password."""
    ledger = Ledger(ledger_url("postgresql://me:hush@127.0.0.1:1/x", tmp_path), timeout=2)
    with pytest.raises(LedgerError, match="127.0.0.1:1/x") as caught:
        ledger.run_blocking(lambda c: None)
    assert "hush" not in str(caught.value)
    ledger.close()
