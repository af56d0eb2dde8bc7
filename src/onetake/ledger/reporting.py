"""Reading jobs for reports: what each cost, as far as that is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from onetake.errors import Billed
from onetake.job import Delivery, JobState, Submission, TaskStatus, billed_word, job_state
from onetake.ledger import store
from onetake.ledger.records import MILLIONTHS, JobRecord, record_of
from onetake.ledger.tables import accounts, job_tags, jobs
from onetake.tasks import output_of


@dataclass(frozen=True, slots=True)
class JobCost:
    """What a report needs of a job.

    Attributes:
        id: our id.
        provider: provider name.
        account: the user's name for the account.
        model: neutral model name.
        run: the run that it belongs to, or None.
        tags: its tags.
        state: its state.
        billed: whether the vendor charged for it.
        created_at: seconds since the epoch.
        seconds: length of what was delivered; 0 if nothing was, or pictures.
        currency: of all amounts; None if no price is known at all.
        estimated: expected cost, or None.
        actual: what the vendor took, or None where it is not known.
        reserved: what it may have cost or still cost; None if nothing is known.
        row: name of the price row of the estimate, or None.
        timed: its output has a length, or would have had one.
        units: vendor units that were estimated, and those that were counted; None: not told.
    """

    id: str
    provider: str
    account: str
    model: str
    run: str | None
    tags: tuple[str, ...]
    state: JobState
    billed: Billed
    created_at: float
    seconds: Decimal
    currency: str | None
    estimated: Decimal | None
    actual: Decimal | None
    reserved: Decimal | None
    row: str | None
    timed: bool = True
    units: tuple[Decimal | None, Decimal | None] = (None, None)

    @property
    def as_estimated(self) -> bool:
        """The vendor counted as many units as were estimated, or does not say."""
        return None in self.units or self.units[0] == self.units[1]


def job_costs(
    connection: sa.Connection, environment: str, since: float, until: float
) -> list[JobCost]:
    """Return the jobs that were made in a span of time, oldest first.

    Args:
        connection: the ledger.
        environment: ``live``, or the beginning of a sandbox's name.
        since: seconds since the epoch.
        until: the same; not included.
    """
    within = (
        accounts.c.environment.startswith(environment, autoescape=True),
        jobs.c.created_at >= since,
        jobs.c.created_at < until,
    )
    wanted = sa.select(jobs, accounts.c.provider, accounts.c.name.label("account"))
    rows = connection.execute(
        wanted.join_from(jobs, accounts).where(*within).order_by(jobs.c.id)
    ).mappings()
    tagged: dict[str, list[str]] = {}
    ids = sa.select(jobs.c.id).join_from(jobs, accounts).where(*within)
    for row in connection.execute(job_tags.select().where(job_tags.c.job_id.in_(ids))):
        tagged.setdefault(row.job_id, []).append(row.tag)
    return [_cost(row, tuple(sorted(tagged.get(row["id"], ())))) for row in rows]


def _cost(row: sa.RowMapping, tags: tuple[str, ...]) -> JobCost:
    estimate, actual = row["estimate"] or {}, row["actual"] or {}
    task = None if row["task"] is None else TaskStatus(row["task"])
    submission = Submission(row["submission"])
    state = job_state(submission, task, Delivery(row["delivery"]))
    error = row["error"] or {}
    currency = actual.get("currency") or row["currency"] or estimate.get("currency")
    same = estimate.get("currency") == currency
    return JobCost(
        id=row["id"],
        provider=row["provider"],
        account=row["account"],
        model=row["model"],
        run=row["run"],
        tags=tags,
        state=state,
        billed=billed_word(state, row["sent_at"], row["actual"], error),
        created_at=row["created_at"],
        seconds=_seconds(row["artifacts"]),
        currency=currency,
        estimated=_decimal(estimate.get("expected")) if same else None,
        actual=_decimal(actual.get("amount")),
        reserved=None if row["reserved"] is None else Decimal(row["reserved"]) / MILLIONTHS,
        row=estimate.get("row"),
        timed=output_of(str((row["request"] or {}).get("task"))) in ("video", "audio"),
        units=(_decimal(estimate.get("units")), _decimal(actual.get("units"))),
    )


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _seconds(artifacts: Any) -> Decimal:
    """Return the length of the first film or sound: the others stand beside it."""
    lengths = [item.get("duration") for item in artifacts or () if item.get("duration")]
    return Decimal(str(round(lengths[0], 3))) if lengths else Decimal(0)


def with_tasks(connection: sa.Connection, account: int, task_ids: Iterable[str]) -> list[JobRecord]:
    """Return the jobs, under any name of an account, whose tasks have these ids at the vendor."""
    wanted, found = sorted(task_ids), []
    for start in range(0, len(wanted), store.AT_ONCE):
        some = jobs.c.task_id.in_(wanted[start : start + store.AT_ONCE])
        place = jobs.c.account_id.in_(store.same_place(account))
        rows = connection.execute(store.joined.where(place, some)).mappings()
        found += [record_of(row) for row in rows]
    return found
