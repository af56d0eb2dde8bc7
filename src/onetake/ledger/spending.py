"""Spending: what jobs have reserved or cost, in exact sums, and the limits kept in the ledger.

Each job carries its reserve: the high estimate from the intent on, the vendor's own figure once
it is known, nothing once it is certain that nothing is charged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal, get_args

import sqlalchemy as sa

from onetake.ledger.records import MILLIONTHS
from onetake.ledger.tables import accounts, budgets, job_tags, jobs
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


def spent(
    connection: sa.Connection,
    environment: str,
    *,
    since: float | None = None,
    run: str | None = None,
    tag: str | None = None,
) -> list[Money]:
    """Return what jobs have reserved or cost, all accounts together, one sum per currency.

    Args:
        connection: the ledger.
        environment: ``live``, or which sandbox; they never add up.
        since: only jobs made since then, in seconds since the epoch.
        run: only jobs of that run.
        tag: only jobs with that tag.
    """
    wanted = [accounts.c.environment == environment, jobs.c.reserved.is_not(None)]
    wanted += [] if since is None else [jobs.c.created_at >= since]
    wanted += [] if run is None else [jobs.c.run == run]
    if tag is not None:
        tagged = sa.select(job_tags.c.job_id).where(job_tags.c.tag == tag)
        wanted.append(jobs.c.id.in_(tagged))
    sums = (
        sa.select(jobs.c.currency, sa.func.sum(jobs.c.reserved))
        .join_from(jobs, accounts)
        .where(*wanted)
        .group_by(jobs.c.currency)
    )
    return [
        Money(Decimal(int(total)) / MILLIONTHS, currency)
        for currency, total in connection.execute(sums)
        if total and currency
    ]


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
