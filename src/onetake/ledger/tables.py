"""The ledger's tables."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("provider", sa.String(64), nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("environment", sa.String(255), nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.UniqueConstraint("provider", "host", "environment", "name", name="one_account"),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("parent_id", sa.ForeignKey("jobs.id")),
    sa.Column("key", sa.String(200)),
    sa.Column("key_current", sa.Boolean, nullable=False, default=True),
    sa.Column("model", sa.String(255), nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("submission_body", sa.JSON, nullable=False),
    sa.Column("body_sha256", sa.String(64), nullable=False),
    sa.Column("resend", sa.String(8), nullable=False),
    sa.Column("typical_seconds", sa.Float, nullable=False),
    # the three columns that are the truth about a job
    sa.Column("submission", sa.String(16), nullable=False),
    sa.Column("task", sa.String(16)),
    sa.Column("delivery", sa.String(16), nullable=False),
    # what a callback must show to be believed
    sa.Column("proof", sa.String(64)),
    # who works on it
    sa.Column("owner", sa.String(64)),
    sa.Column("lease_until", sa.Float),
    # the vendor's side
    sa.Column("task_id", sa.String(255)),
    sa.Column("task_ref", sa.JSON),
    sa.Column("outputs", sa.JSON),
    sa.Column("facts", sa.JSON),
    sa.Column("position", sa.Integer),
    # money
    sa.Column("estimate", sa.JSON),
    sa.Column("actual", sa.JSON),
    sa.Column("reserved", sa.BigInteger),  # millionths of the currency; null: price unknown
    sa.Column("currency", sa.String(8)),
    sa.Column("run", sa.String(128)),
    # what came of it
    sa.Column("artifacts", sa.JSON, nullable=False),
    sa.Column("notes", sa.JSON, nullable=False),
    sa.Column("error", sa.JSON),
    # seconds since the epoch
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("sent_at", sa.Float),
    sa.Column("accepted_at", sa.Float),
    sa.Column("ended_at", sa.Float),
    sa.Column("pruned_at", sa.Float),
)
sa.Index(
    "one_job_per_key",
    jobs.c.account_id,
    jobs.c.key,
    unique=True,
    sqlite_where=sa.and_(jobs.c.key.is_not(None), jobs.c.key_current),
    postgresql_where=sa.and_(jobs.c.key.is_not(None), jobs.c.key_current),
)
sa.Index("jobs_by_state", jobs.c.account_id, jobs.c.submission, jobs.c.task, jobs.c.delivery)
sa.Index("jobs_by_fingerprint", jobs.c.account_id, jobs.c.fingerprint)
sa.Index("jobs_by_task", jobs.c.account_id, jobs.c.task_id)
sa.Index("jobs_by_body", jobs.c.account_id, jobs.c.body_sha256)
sa.Index("jobs_by_day", jobs.c.sent_at, jobs.c.created_at)
sa.Index(
    "jobs_unsent",
    jobs.c.submission,
    sqlite_where=jobs.c.submission == "intent",
    postgresql_where=jobs.c.submission == "intent",
)
sa.Index("jobs_by_run", jobs.c.run)

job_tags = sa.Table(
    "job_tags",
    metadata,
    sa.Column("job_id", sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("tag", sa.String(64), primary_key=True),
)
sa.Index("jobs_by_tag", job_tags.c.tag)

# limits that all processes share; amounts in millionths of the currency
budgets = sa.Table(
    "budgets",
    metadata,
    sa.Column("environment", sa.String(255), primary_key=True),
    sa.Column("scope", sa.String(8), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(8), nullable=False),
    sa.Column("set_at", sa.Float, nullable=False),
)

# what chains of jobs will still cost; with a tag a row counts for that tag, without for the rest
holds = sa.Table(
    "holds",
    metadata,
    sa.Column("job_id", sa.String(36), primary_key=True),
    sa.Column("tag", sa.String(64), primary_key=True),
    sa.Column("environment", sa.String(255), nullable=False),
    sa.Column("run", sa.String(128), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(8), nullable=False),
    sa.Column("owner", sa.String(64), nullable=False, server_default=""),
    sa.Column("until", sa.Float, nullable=False),
)

# delivered files by content
files = sa.Table(
    "files",
    metadata,
    sa.Column("job_id", sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
)
sa.Index("files_by_content", files.c.sha256)

job_slots = sa.Table(
    "job_slots",
    metadata,
    sa.Column("job_id", sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("bucket", sa.String(255), primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("weight", sa.Integer, nullable=False),
)
sa.Index("slots_by_bucket", job_slots.c.account_id, job_slots.c.bucket)

buckets = sa.Table(
    "buckets",
    metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("bucket", sa.String(255), primary_key=True),
    sa.Column("slots", sa.Integer, nullable=False),
    sa.Column("learned_at", sa.Float, nullable=False),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.ForeignKey("jobs.id"), nullable=False, index=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("event", sa.String(32), nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
)
