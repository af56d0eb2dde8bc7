"""Delivered files by content: is a file that somebody gives us one that we delivered?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from onetake.driver import RemoteFile
from onetake.ledger.store import same_place
from onetake.ledger.tables import files, jobs

_ENOUGH = 20
"""Jobs that are looked at: equal files come from equal jobs."""


def keep(connection: sa.Connection, job_id: str, artifacts: Sequence[Mapping[str, Any]]) -> None:
    """Note which files a job delivered."""
    rows = [
        {"job_id": job_id, "number": number, "sha256": item["sha256"]}
        for number, item in enumerate(artifacts)
    ]
    if rows:
        connection.execute(files.insert(), rows)


def at_vendor(connection: sa.Connection, account: int, sha256: str) -> RemoteFile | None:
    """Return the newest file at the vendor of an account that has this content."""
    wanted = (
        sa.select(jobs.c.outputs, files.c.number)
        .join_from(files, jobs)
        .where(files.c.sha256 == sha256, jobs.c.account_id.in_(same_place(account)))
        .order_by(jobs.c.id.desc())
    )
    found = [
        RemoteFile(**outputs[number])
        for outputs, number in connection.execute(wanted.limit(_ENOUGH))
        if outputs and number < len(outputs)
    ]
    return next(iter(found), None)
