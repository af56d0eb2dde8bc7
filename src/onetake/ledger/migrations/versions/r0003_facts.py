"""Facts that vendors tell beside files; delivered files by content."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("facts", sa.JSON(), nullable=True))
    files = op.create_table(
        "files",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("job_id", "number"),
    )
    op.create_index("files_by_content", "files", ["sha256"], unique=False)
    jobs = sa.table("jobs", sa.column("id", sa.String), sa.column("artifacts", sa.JSON))
    rows = [
        {"job_id": row.id, "number": number, "sha256": item["sha256"]}
        for row in op.get_bind().execute(sa.select(jobs.c.id, jobs.c.artifacts))
        for number, item in enumerate(row.artifacts or ())
    ]
    if rows:
        op.bulk_insert(files, rows)


def downgrade() -> None:
    """Revert."""
    op.drop_index("files_by_content", table_name="files")
    op.drop_table("files")
    op.drop_column("jobs", "facts")
