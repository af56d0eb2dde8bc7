"""Slots: how many unfinished jobs an account may have in a bucket, held across processes.

A row of ``job_slots`` is a slot that is held: written in the transaction that says ``sending``,
deleted in the one that says that the task has ended or never was. So a process that dies keeps
its slots until somebody has found out what became of its jobs, and a new one starts with the
truth. A bucket's size is configured, reported by the vendor, or learned from its refusals.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from onetake.job import Submission
from onetake.ledger import store
from onetake.ledger.records import JobRecord
from onetake.ledger.tables import buckets, job_slots, jobs

PROBE_SECONDS = 300.0
"""Age after which a learned size is tried again with one more; a refusal costs nothing."""

FORGOTTEN_SECONDS = 3 * 86_400.0
"""Age after which an accepted task that never ended holds no slot any more."""

Wanted = Sequence[tuple[str, int]]


class NoSlot(Exception):
    """A bucket is full.

    Attributes:
        bucket: its name.
        size: slots that it has, as far as is known.
        used: slots that other jobs hold.
    """

    def __init__(self, bucket: str, size: int, used: int) -> None:
        super().__init__(bucket)
        self.bucket, self.size, self.used = bucket, size, used


def enter(
    connection: sa.Connection,
    record: JobRecord,
    wanted: Wanted,
    *,
    now: float,
    window: float,
    configured: int | None,
) -> None:
    """Take the slots of a job that is about to be sent.

    An empty bucket always lets one in: whether somebody else uses the account, only the vendor
    can tell.

    Raises:
        NoSlot: nothing was taken.
    """
    if not wanted:
        return
    store.lock_account(connection, record.account_id)
    leave(connection, record.id)
    for bucket, weight in wanted:
        size = size_of(connection, record.account_id, bucket, now, configured)
        if size is not None:
            used = in_use(connection, record.account_id, bucket, now - window)
            if used > 0 and used + weight > size:
                raise NoSlot(bucket, size, used)
        row = {"job_id": record.id, "bucket": bucket, "weight": weight}
        connection.execute(job_slots.insert().values(account_id=record.account_id, **row))


def leave(connection: sa.Connection, job_id: str) -> None:
    """Give back the slots of a job."""
    connection.execute(job_slots.delete().where(job_slots.c.job_id == job_id))


def in_use(connection: sa.Connection, account: int, bucket: str, since: float) -> int:
    """Return the slots that are held.

    An unknown submission from before ``since`` holds none, nor does a task that was accepted days
    before and never ended: its vendor shows it no longer.
    """
    ended_unknown = sa.or_(
        sa.and_(jobs.c.submission == Submission.UNKNOWN.value, jobs.c.sent_at < since),
        sa.and_(jobs.c.accepted_at.is_not(None), jobs.c.accepted_at < since - FORGOTTEN_SECONDS),
    )
    held = (
        sa.select(sa.func.coalesce(sa.func.sum(job_slots.c.weight), 0))
        .join_from(job_slots, jobs)
        .where(job_slots.c.account_id == account, job_slots.c.bucket == bucket, ~ended_unknown)
    )
    return int(connection.execute(held).scalar_one())


def size_of(
    connection: sa.Connection, account: int, bucket: str, now: float, configured: int | None
) -> int | None:
    """Return how many slots a bucket has, as far as is known."""
    learned = connection.execute(
        sa.select(buckets.c.slots, buckets.c.learned_at).filter_by(
            account_id=account, bucket=bucket
        )
    ).first()
    if learned is None:
        return configured
    size = int(learned.slots) + int(now - float(learned.learned_at) > PROBE_SECONDS)
    return size if configured is None else min(size, configured)


def learn(connection: sa.Connection, account: int, bucket: str, size: int, now: float) -> None:
    """Remember the size of a bucket."""
    store.lock_account(connection, account)
    known = buckets.c.account_id == account, buckets.c.bucket == bucket
    connection.execute(buckets.delete().where(*known))
    row = {"account_id": account, "bucket": bucket, "slots": max(1, size), "learned_at": now}
    connection.execute(buckets.insert().values(**row))


def refused(
    connection: sa.Connection, record: JobRecord, wanted: Wanted, now: float, window: float
) -> None:
    """Learn from the vendor's refusal: what the others hold is all that there is.

    Call it while the refused job no longer holds its own slots.
    """
    for bucket, _ in wanted:
        used = in_use(connection, record.account_id, bucket, now - window)
        learn(connection, record.account_id, bucket, used, now)


def accepted(
    connection: sa.Connection, record: JobRecord, wanted: Wanted, now: float, window: float
) -> None:
    """Learn from the vendor's yes: a bucket that holds more than was known is that large."""
    for bucket, _ in wanted:
        size = size_of(connection, record.account_id, bucket, now, None)
        if size is not None:
            used = in_use(connection, record.account_id, bucket, now - window)
            if used >= size:
                learn(connection, record.account_id, bucket, used, now)
