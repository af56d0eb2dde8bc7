"""Retention: letting go of what old jobs keep on the disk. What was paid is never forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from onetake.job import Submission
from onetake.ledger.tables import events, jobs

_PRUNED: Mapping[str, Any] = {"$pruned": True}


def bodies_before(connection: sa.Connection, before: float) -> list[str]:
    """Return the ids of jobs that ended before a time and still have their inputs."""
    old = sa.and_(jobs.c.ended_at < before, jobs.c.pruned_at.is_(None))
    return list(connection.execute(sa.select(jobs.c.id).where(old)).scalars())


def forget_bodies(connection: sa.Connection, before: float, now: float) -> list[str]:
    """Take the inputs out of jobs that ended before a time; return the jobs' ids.

    Prompt, body and links go; state, price, notes, hash and history stay.
    """
    found = bodies_before(connection, before)
    gone = {"request": _PRUNED, "submission_body": _PRUNED, "outputs": None, "pruned_at": now}
    for job_id in found:
        connection.execute(jobs.update().where(jobs.c.id == job_id).values(**gone))
        row = {"job_id": job_id, "at": now, "event": "pruned", "detail": {}}
        connection.execute(events.insert().values(**row))
    return found


def media_before(connection: sa.Connection, before: float) -> set[Path]:
    """Return the files of jobs that ended before a time, but for those of younger jobs."""
    old: set[Path] = set()
    needed: set[Path] = set()
    for ended_at, artifacts in connection.execute(sa.select(jobs.c.ended_at, jobs.c.artifacts)):
        paths = {Path(item["path"]) for item in artifacts or ()}
        (old if ended_at is not None and ended_at < before else needed).update(paths)
    return old - needed


def blobs_in_use(connection: sa.Connection) -> set[str]:
    """Return the hashes of the input files that stored bodies still refer to."""
    unsent = sa.select(jobs.c.submission_body).where(
        jobs.c.pruned_at.is_(None),
        jobs.c.submission.in_(
            (Submission.INTENT.value, Submission.SENDING.value, Submission.UNKNOWN.value)
        ),
    )
    return {name for body in connection.execute(unsent).scalars() for name in _blobs(body)}


def _blobs(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "$blob" in value:
            yield value["$blob"]
        for item in value.values():
            yield from _blobs(item)
    elif isinstance(value, list):
        for item in value:
            yield from _blobs(item)
