"""Indices that find a day's jobs, so that a daily budget costs the same on a ledger of any size.

What is held for a chain says for whom. Tags are kept in Unicode's composed form, and the names
of runs that nobody named can be told from others.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "holds", sa.Column("owner", sa.String(length=64), server_default="", nullable=False)
    )
    _compose(op.get_bind())
    _mark_unnamed(op.get_bind())
    op.drop_index("jobs_by_spend", table_name="jobs")
    op.create_index("jobs_by_day", "jobs", ["sent_at", "created_at"], unique=False)
    op.create_index(
        "jobs_unsent",
        "jobs",
        ["submission"],
        unique=False,
        sqlite_where=sa.text("submission = 'intent'"),
        postgresql_where=sa.text("submission = 'intent'"),
    )


_TAGS = sa.table("job_tags", sa.column("job_id"), sa.column("tag"))
_HOLDS = sa.table("holds", sa.column("job_id"), sa.column("tag"))
_BUDGETS = sa.table(
    "budgets", *map(sa.column, ("environment", "scope", "name", "amount", "currency"))
)


_JOBS = sa.table("jobs", sa.column("run"))


def _mark_unnamed(connection: sa.Connection) -> None:
    for run in connection.execute(sa.select(_JOBS.c.run).distinct()).scalars().all():
        if run is not None and re.fullmatch("[0-9a-f]{16}", run):
            marked = _JOBS.update().where(_JOBS.c.run == run)
            connection.execute(marked.values(run=f"auto-{run}"))


def _compose(connection: sa.Connection) -> None:
    """Rename tags that look like others; where both forms exist, one stays."""
    for table in (_TAGS, _HOLDS):
        for row in connection.execute(table.select()).mappings().all():
            _rename(connection, table, dict(row), "tag")
    limits = _BUDGETS.select().where(_BUDGETS.c.scope == "tag")
    for row in connection.execute(limits).mappings().all():
        _lower(connection, row)
        _rename(connection, _BUDGETS, dict(row), "name")


def _rename(
    connection: sa.Connection, table: sa.TableClause, row: dict[str, Any], column: str
) -> None:
    composed = unicodedata.normalize("NFC", row[column])
    if composed == row[column]:
        return
    names = [name for name in ("job_id", "environment", "scope") if name in row]
    here = [table.c[name] == row[name] for name in names]
    old, new = table.c[column] == row[column], table.c[column] == composed
    if connection.execute(table.select().where(*here, new)).first():
        connection.execute(table.delete().where(*here, old))
    else:
        connection.execute(table.update().where(*here, old).values({column: composed}))


def _lower(connection: sa.Connection, limit: sa.RowMapping) -> None:
    """Let the lower of two limits of one tag be the one that stays."""
    composed = unicodedata.normalize("NFC", limit["name"])
    same = [_BUDGETS.c[name] == limit[name] for name in ("environment", "scope", "currency")]
    above = [_BUDGETS.c.name == composed, _BUDGETS.c.amount > limit["amount"]]
    connection.execute(_BUDGETS.update().where(*same, *above).values(amount=limit["amount"]))


def downgrade() -> None:
    """Revert."""
    op.drop_column("holds", "owner")
    op.drop_index("jobs_unsent", table_name="jobs")
    op.drop_index("jobs_by_day", table_name="jobs")
    op.create_index("jobs_by_spend", "jobs", ["currency", "created_at"], unique=False)
