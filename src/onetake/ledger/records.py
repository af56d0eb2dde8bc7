"""Rows of the ledger as typed records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping

from onetake.driver import RemoteFile, Task
from onetake.driver import Submission as Sending
from onetake.errors import OnetakeError
from onetake.job import (
    Delivery,
    Job,
    JobState,
    JobToken,
    Submission,
    TaskStatus,
    billed_word,
    job_state,
)
from onetake.money import Money

MILLIONTHS = Decimal(1_000_000)
"""Amounts are kept as millionths of their currency."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where a job is billed. Never derived from a secret.

    Attributes:
        provider: provider name.
        host: API host; it stands for the region.
        environment: ``live``, or which sandbox.
        name: the user's name for it.
    """

    provider: str
    host: str
    environment: str
    name: str = "default"

    @property
    def place(self) -> str:
        """Where its tasks are known: the host, and which sandbox stands for it."""
        return self.host if self.environment == "live" else f"{self.host}@{self.environment}"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job as stored. Field names are the columns'; see `onetake.ledger.tables`."""

    id: str
    account: Account
    account_id: int
    parent_id: str | None
    key: str | None
    key_current: bool
    model: str
    fingerprint: str
    request: Mapping[str, Any]
    submission_body: Mapping[str, Any]
    body_sha256: str
    resend: str
    typical_seconds: float
    submission: Submission
    task: TaskStatus | None
    delivery: Delivery
    proof: str | None
    owner: str | None
    lease_until: float | None
    task_id: str | None
    task_ref: Mapping[str, Any] | None
    outputs: tuple[Mapping[str, Any], ...]
    facts: Mapping[str, Any]
    position: int | None
    estimate: Mapping[str, Any] | None
    actual: Mapping[str, Any] | None
    reserved: int | None
    currency: str | None
    run: str | None
    artifacts: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    error: Mapping[str, Any] | None
    created_at: float
    updated_at: float
    sent_at: float | None
    accepted_at: float | None
    ended_at: float | None
    pruned_at: float | None

    @property
    def state(self) -> JobState:
        """The one-word state."""
        return job_state(self.submission, self.task, self.delivery)

    @property
    def reserve(self) -> Money | None:
        """What the job may cost or has cost; None if that is not known."""
        if self.reserved is None or self.currency is None:
            return None
        return Money(Decimal(self.reserved) / MILLIONTHS, self.currency)

    @property
    def vendor_task(self) -> Task:
        """The vendor's task of an accepted job."""
        assert self.task_ref is not None
        return Task(**self.task_ref)

    @property
    def sending(self) -> Sending:
        """What is to be, or was, sent."""
        fields = dict(self.submission_body)
        fields["notes"] = tuple(fields.get("notes", ()))
        return Sending(**fields)

    @property
    def remote_files(self) -> tuple[RemoteFile, ...]:
        """The output files at the vendor."""
        return tuple(RemoteFile(**item) for item in self.outputs)

    @property
    def token(self) -> str | None:
        """The portable token, once something may have been sent."""
        if self.task_ref is None and self.sent_at is None:
            return None
        task = dict(self.task_ref or {})
        token = JobToken(
            provider=self.account.provider,
            host=self.account.place,
            route=str(task.get("route", "")),
            task_id=str(task.get("id", "")),
            job_id=self.id,
            model=self.model,
            task=task,
        )
        return str(token)

    def told(self, error: OnetakeError) -> dict[str, Any]:
        """An error as the ledger keeps it, with the job's identity."""
        return {**error.to_record(), "job_id": self.id, "provider": self.account.provider}

    def job(self) -> Job:
        """The record as callers see it."""
        return Job(
            id=self.id,
            provider=self.account.provider,
            model=self.model,
            state=self.state,
            task_id=self.task_id,
            token=self.token,
            key=self.key,
            created_at=self.created_at,
            updated_at=self.updated_at,
            notes=self.notes,
            estimate=self.estimate,
            actual=self.actual,
            artifacts=self.artifacts,
            error=self.error,
            position=self.position,
            facts=self.facts,
            billed=billed_word(self.state, self.sent_at, self.actual, self.error),
            tags=tuple(self.request.get("tags", ())),
            run=self.run,
        )


_ACCOUNT_COLUMNS = ("provider", "host", "environment", "name")
_JOB_COLUMNS = tuple(
    field.name for field in dataclasses.fields(JobRecord) if field.name != "account"
)


def record_of(row: RowMapping, account: Account | None = None) -> JobRecord:
    """Build a record from a row of a job.

    Unless the account is given, the row is joined, and account columns carry the prefix ``of_``.
    """
    fields = {name: row[name] for name in _JOB_COLUMNS}
    fields["account"] = account or Account(*(row[f"of_{name}"] for name in _ACCOUNT_COLUMNS))
    fields["submission"] = Submission(row["submission"])
    fields["task"] = None if row["task"] is None else TaskStatus(row["task"])
    fields["delivery"] = Delivery(row["delivery"])
    for name in ("outputs", "artifacts", "notes"):
        fields[name] = tuple(row[name] or ())
    fields["facts"] = row["facts"] or {}
    return JobRecord(**fields)
