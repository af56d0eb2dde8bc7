"""Tags and runs of jobs, and the budgets that are kept in the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("run", sa.String(length=128), nullable=True))
    op.create_index("jobs_by_run", "jobs", ["run"], unique=False)
    op.create_table(
        "job_tags",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("job_id", "tag"),
    )
    op.create_index("jobs_by_tag", "job_tags", ["tag"], unique=False)
    op.create_table(
        "budgets",
        sa.Column("environment", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("set_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("environment", "scope", "name"),
    )
    op.create_table(
        "holds",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.Column("environment", sa.String(length=255), nullable=False),
        sa.Column("run", sa.String(length=128), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "tag"),
    )


def downgrade() -> None:
    """Revert."""
    op.drop_table("holds")
    op.drop_table("budgets")
    op.drop_index("jobs_by_tag", table_name="job_tags")
    op.drop_table("job_tags")
    op.drop_index("jobs_by_run", table_name="jobs")
    op.drop_column("jobs", "run")
