"""Spending: what jobs have reserved or cost, in exact sums, and the limits kept in the ledger.

Each job carries its reserve: the high estimate from the intent on, the vendor's own figure once
it is known, nothing once it is certain that nothing is charged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal, get_args

import sqlalchemy as sa

from onetake.job import Submission
from onetake.ledger.records import MILLIONTHS
from onetake.ledger.tables import accounts, budgets, holds, job_tags, jobs
from onetake.money import Money

Scope = Literal["job", "run", "day", "tag"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may be spent by some of the jobs of a ledger in one environment.

    Attributes:
        scope: by each ``job``, by a ``run``, in a ``day`` (UTC), or by the jobs of a ``tag``.
        name: of the run or the tag; empty for all.
        money: the limit.
        origin: where it was set, for messages.
    """

    scope: Scope
    name: str
    money: Money
    origin: str

    def __str__(self) -> str:
        words = {"job": "the budget of a job", "day": "the daily budget"}
        words |= {"run": f"the budget of run {self.name}", "tag": f"the budget of tag {self.name}"}
        return f"{words[self.scope]} of {self.money}"


def millionths(amount: Decimal) -> int:
    """Return an amount as the ledger keeps it; never less than it is."""
    return int((amount * MILLIONTHS).to_integral_value(ROUND_CEILING))


@dataclass(frozen=True, slots=True)
class Spent:
    """What some jobs have reserved or cost.

    Attributes:
        sums: one for each currency.
        unpriced: jobs that cost something nobody knows yet; they are in no sum.
    """

    sums: tuple[Money, ...]
    unpriced: int


def spent(
    connection: sa.Connection,
    environment: str,
    now: float,
    *,
    since: float | None = None,
    run: str | None = None,
    tag: str | None = None,
) -> Spent:
    """Return what jobs have reserved or cost, all accounts together.

    Args:
        connection: the ledger.
        environment: ``live``, or which sandbox; they never add up.
        now: seconds since the epoch; what is held for a chain needs a sign of life.
        since: only jobs sent since then, in seconds since the epoch, and those still to be sent.
        run: only jobs of that run.
        tag: only jobs with that tag.
    """
    wanted = [accounts.c.environment == environment]
    if since is not None:
        wanted.append(_since(since))
    wanted += [] if run is None else [jobs.c.run == run]
    if tag is not None:
        tagged = sa.select(job_tags.c.job_id).where(job_tags.c.tag == tag)
        wanted.append(jobs.c.id.in_(tagged))
    rows = connection.execute(
        sa.select(
            jobs.c.currency,
            sa.func.sum(jobs.c.reserved),
            sa.func.count().filter(jobs.c.reserved.is_(None)),
        )
        .join_from(jobs, accounts)
        .where(*wanted)
        .group_by(jobs.c.currency)
    ).all()
    held = _held(connection, environment, now, run, tag)
    sums = [*held, *((code, int(total)) for code, total, _ in rows if total)]
    return Spent(
        sums=tuple(
            Money(Decimal(sum(amount for code, amount in sums if code == one)) / MILLIONTHS, one)
            for one in sorted({code for code, _ in sums})
        ),
        unpriced=sum(count for _, _, count in rows),
    )


_UNSENT: sa.ColumnClause[str] = sa.literal_column(f"'{Submission.INTENT.value}'")
"""Not a parameter: only so does a database see that the index of unsent jobs will do."""


def _since(moment: float) -> sa.ColumnElement[bool]:
    """Jobs sent (or refused unsent) since then, and those still to be sent: an index for each."""
    never = sa.and_(jobs.c.sent_at.is_(None), jobs.c.created_at >= moment)
    return sa.or_(jobs.c.sent_at >= moment, never, jobs.c.submission == _UNSENT)


# ── what chains will still cost ──


@dataclass(frozen=True, slots=True)
class Holding:
    """Whose a hold is, and how long it lasts without a sign of life.

    Attributes:
        job_id: of the chain's last job.
        environment: ``live``, or which sandbox.
        run: the run.
        owner: the worker that makes the chain.
        until: seconds since the epoch.
    """

    job_id: str
    environment: str
    run: str
    owner: str
    until: float


def hold(connection: sa.Connection, holding: Holding, tags: Sequence[str], cost: Money) -> None:
    """Hold what a chain will cost at most, until its jobs are written.

    The transaction is the one that has checked the budgets.
    """
    figures = {"amount": millionths(cost.amount), "currency": cost.currency}
    row = {**dataclasses.asdict(holding), **figures}
    names = ["", *dict.fromkeys(tags)]
    connection.execute(holds.insert(), [{**row, "tag": name} for name in names])


def renew_hold(connection: sa.Connection, job_id: str, until: float) -> None:
    """Give a sign of life."""
    connection.execute(holds.update().filter_by(job_id=job_id).values(until=until))


def give_up(
    connection: sa.Connection, environment: str, now: float, is_gone: Callable[[str], bool]
) -> None:
    """Hold nothing any more for workers that are gone, and forget holds that lapsed long ago."""
    lapsed = (holds.c.environment == environment, holds.c.until < now - _DAY)
    connection.execute(holds.delete().where(*lapsed))
    wanted = sa.select(holds.c.owner).filter_by(environment=environment).distinct()
    for owner in connection.execute(wanted).scalars().all():
        if is_gone(owner):
            connection.execute(holds.delete().filter_by(environment=environment, owner=owner))


def shrink(connection: sa.Connection, job_id: str, by: int) -> None:
    """Hold that much less: one of the chain's jobs is about to reserve it itself."""
    connection.execute(holds.update().filter_by(job_id=job_id).values(amount=holds.c.amount - by))


def let_go(connection: sa.Connection, job_id: str) -> None:
    """Hold nothing for a chain any more."""
    connection.execute(holds.delete().filter_by(job_id=job_id))


def _held(
    connection: sa.Connection, environment: str, now: float, run: str | None, tag: str | None
) -> list[tuple[str, int]]:
    wanted = sa.select(holds.c.currency, holds.c.amount).where(
        holds.c.environment == environment,
        holds.c.tag == (tag or ""),
        holds.c.until > now,
        holds.c.amount > 0,
    )
    if run is not None:
        wanted = wanted.where(holds.c.run == run)
    return [(code, int(amount)) for code, amount in connection.execute(wanted)]


_DAY = 86_400.0


def limits(connection: sa.Connection, environment: str) -> list[Limit]:
    """Return the limits that the ledger keeps for an environment."""
    wanted = budgets.select().filter_by(environment=environment)
    rows = connection.execute(wanted.order_by(budgets.c.scope, budgets.c.name))
    return [
        Limit(row.scope, row.name, Money(Decimal(row.amount) / MILLIONTHS, row.currency), "ledger")
        for row in rows
    ]


def set_limit(
    connection: sa.Connection, environment: str, scope: Scope, name: str, money: Money, now: float
) -> None:
    """Keep a limit in the ledger, in place of an earlier one; never more than was said."""
    remove_limit(connection, environment, scope, name)
    amount = int((money.amount * MILLIONTHS).to_integral_value(ROUND_FLOOR))
    row = {"environment": environment, "scope": scope, "name": name}
    connection.execute(
        budgets.insert().values(**row, amount=amount, currency=money.currency, set_at=now)
    )


def remove_limit(connection: sa.Connection, environment: str, scope: Scope, name: str) -> bool:
    """Forget a limit; False if there was none."""
    wanted = {"environment": environment, "scope": scope, "name": name}
    return bool(connection.execute(budgets.delete().filter_by(**wanted)).rowcount)


def tag(connection: sa.Connection, job_id: str, tags: Sequence[str]) -> None:
    """Write down the tags of a new job."""
    rows = [{"job_id": job_id, "tag": name} for name in dict.fromkeys(tags)]
    if rows:
        connection.execute(job_tags.insert(), rows)


def tags_of(connection: sa.Connection, job_id: str) -> list[str]:
    """Return the tags of a job."""
    wanted = sa.select(job_tags.c.tag).filter_by(job_id=job_id).order_by(job_tags.c.tag)
    return list(connection.execute(wanted).scalars())
