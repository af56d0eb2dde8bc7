"""Bringing a ledger to this version's schema."""

from __future__ import annotations

import threading

import sqlalchemy as sa

from onetake.errors import LedgerError
from onetake.ledger.tables import metadata

_one_at_a_time = threading.Lock()  # Alembic's context belongs to the whole process

_LOCK = 0x6F6E6574616B65  # "onetake": one migration at a time in a PostgreSQL database

HEAD = "0005"
"""Newest revision; a test compares it with the files."""


def _create(connection: sa.Connection) -> None:
    metadata.create_all(connection)
    connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
    connection.execute(sa.text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def current_revision(connection: sa.Connection) -> str | None:
    """Return the revision that a ledger has, or None if it is new."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return None if revision is None else str(revision)


def upgrade(connection: sa.Connection, where: str) -> None:
    """Create or migrate the tables; does nothing (and imports no Alembic) when up to date.

    A new ledger gets the newest tables at once; a test compares them with what the migrations make.

    Raises:
        LedgerError: the ledger was written by a newer onetake.
    """
    if connection.dialect.name == "postgresql":
        # two processes may open a new ledger at the same moment; SQLite's BEGIN IMMEDIATE does it
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    revision = current_revision(connection)
    if revision == HEAD:
        return
    if revision is not None and revision > HEAD:
        raise LedgerError(
            f"the ledger {where} was written by a newer onetake (revision {revision}, this one "
            f"knows {HEAD}).",
            hint="Upgrade onetake, or choose another ledger with ONETAKE_LEDGER.",
        )
    if revision is None:
        _create(connection)
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "onetake.ledger:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with _one_at_a_time:
        command.upgrade(config, "head")
