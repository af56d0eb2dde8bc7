"""Slots, reserves, proofs of callbacks, pruning."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NEW = (
    ("proof", sa.String(length=64)),
    ("reserved", sa.BigInteger()),
    ("currency", sa.String(length=8)),
    ("pruned_at", sa.Float()),
)


def upgrade() -> None:
    """Apply."""
    for name, kind in _NEW:
        op.add_column("jobs", sa.Column(name, kind, nullable=True))
    op.create_index("jobs_by_body", "jobs", ["account_id", "body_sha256"], unique=False)
    op.create_index("jobs_by_spend", "jobs", ["currency", "created_at"], unique=False)
    op.create_table(
        "job_slots",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("bucket", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.PrimaryKeyConstraint("job_id", "bucket"),
    )
    op.create_index("slots_by_bucket", "job_slots", ["account_id", "bucket"], unique=False)
    op.create_table(
        "buckets",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.String(length=255), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("learned_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.PrimaryKeyConstraint("account_id", "bucket"),
    )


def downgrade() -> None:
    """Revert."""
    op.drop_table("buckets")
    op.drop_index("slots_by_bucket", table_name="job_slots")
    op.drop_table("job_slots")
    op.drop_index("jobs_by_spend", table_name="jobs")
    op.drop_index("jobs_by_body", table_name="jobs")
    for name, _ in reversed(_NEW):
        op.drop_column("jobs", name)
