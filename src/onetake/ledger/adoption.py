"""Adoption: taking in a job of another ledger by its token."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from onetake.errors import RequestError
from onetake.job import Delivery, JobToken, Submission, TaskStatus
from onetake.ledger import store
from onetake.ledger.records import Account
from onetake.ledger.tables import jobs


def adopt(
    connection: sa.Connection, account: Account, token: JobToken, now: float, typical: float
) -> str:
    """Return the id of a token's job, writing down what the token says if it is not known here.

    Raises:
        RequestError: the token names no task, and this ledger does not have the job.
    """
    if store.get(connection, token.job_id) is not None:
        return token.job_id
    if not token.task_id:
        raise RequestError(
            "token: its job was not accepted when the token was made, and this ledger does not "
            "have it.",
            hint="Go on with it where it was made.",
        )
    owner = store.account_id(connection, account)
    known = connection.execute(
        sa.select(jobs.c.id).where(jobs.c.account_id == owner, jobs.c.task_id == token.task_id)
    ).scalar()
    if known is not None:
        return str(known)
    store.insert(connection, {**_adopted(token, now, typical), "account_id": owner})
    store.note(connection, token.job_id, now, "adopted", {"task_id": token.task_id})
    return token.job_id


def _adopted(token: JobToken, now: float, typical: float) -> dict[str, Any]:
    return {
        "id": token.job_id,
        "key": None,
        "key_current": True,
        "model": token.model,
        "fingerprint": "",
        "request": {},
        "submission_body": {},
        "body_sha256": "",
        "resend": "none",
        "typical_seconds": typical,
        "submission": Submission.ACCEPTED.value,
        "task": TaskStatus.QUEUED.value,
        "delivery": Delivery.PENDING.value,
        "task_id": token.task_id,
        "task_ref": dict(token.task),
        "artifacts": [],
        "notes": ["taken over by its token; the request is in another ledger"],
        "created_at": now,
        "updated_at": now,
        "accepted_at": now - typical,  # when is not known: look at once
    }
