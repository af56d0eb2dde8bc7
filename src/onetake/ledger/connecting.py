"""Connecting: the settings that make a ledger safe, on either database."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

import sqlalchemy as sa


def server_engine(url: sa.URL, timeout: float) -> sa.Engine:
    """Return an engine for PostgreSQL; a server that falls silent is noticed, not waited for."""
    settings = {
        "options": f"-c lock_timeout={int(timeout * 1000)}",
        "connect_timeout": max(2, int(timeout)),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": int(timeout * 1000),
    }
    return sa.create_engine(url, connect_args=settings)


def sqlite_engine(url: sa.URL, timeout: float) -> sa.Engine:
    """Return an engine for an SQLite file, which is made on first use."""
    if url.database and url.database != ":memory:" and not url.database.startswith("file:"):
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    # the timeout is SQLite's busy_timeout, of this connection
    engine = sa.create_engine(url, connect_args={"check_same_thread": False, "timeout": timeout})
    sa.event.listen(engine, "connect", _sqlite_settings)
    sa.event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_settings(connection: sqlite3.Connection, _: object) -> None:
    """Set what makes a commit survive a power cut; a test reads these back."""
    connection.isolation_level = None  # SQLAlchemy's "begin" event opens transactions
    try:
        with contextlib.closing(connection.cursor()) as cursor:
            _switch_to_wal(cursor)
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.execute("PRAGMA secure_delete = ON")  # what is pruned is gone from the file too
    except sqlite3.Error:
        connection.close()  # nobody else knows of it yet
        raise


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Switch once; of several processes that open a new ledger, SQLite lets only one try at a time
    and does not keep the others waiting."""
    for pause in (0.01, 0.05, 0.2, 0.5, 1.0):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            time.sleep(pause)
        else:
            return
    cursor.execute("PRAGMA journal_mode = WAL")


def _sqlite_begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
