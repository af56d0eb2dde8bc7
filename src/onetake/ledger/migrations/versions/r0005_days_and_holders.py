"""Indices that find a day's jobs, so that a daily budget costs the same on a ledger of any size.

What is held for a chain says for whom.
"""

from __future__ import annotations

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


def downgrade() -> None:
    """Revert."""
    op.drop_column("holds", "owner")
    op.drop_index("jobs_unsent", table_name="jobs")
    op.drop_index("jobs_by_day", table_name="jobs")
    op.create_index("jobs_by_spend", "jobs", ["currency", "created_at"], unique=False)
