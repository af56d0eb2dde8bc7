"""Spending: what jobs have reserved or cost, in exact sums.

Each job carries its reserve: the high estimate from the intent on, the vendor's own figure once
it is known, nothing once it is certain that nothing is charged.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

import sqlalchemy as sa

from onetake.ledger.tables import accounts, jobs

_MILLIONTHS = Decimal(1_000_000)


def millionths(amount: Decimal) -> int:
    """Return an amount as the ledger keeps it; never less than it is."""
    return int((amount * _MILLIONTHS).to_integral_value(ROUND_CEILING))


def spent(connection: sa.Connection, environment: str, currency: str, since: float) -> Decimal:
    """Return what the jobs made since then have reserved or cost, all accounts together.

    Args:
        connection: the ledger.
        environment: ``live``, or which sandbox; they never add up.
        currency: jobs in others do not count.
        since: seconds since the epoch.
    """
    total = (
        sa.select(sa.func.coalesce(sa.func.sum(jobs.c.reserved), 0))
        .join_from(jobs, accounts)
        .where(
            accounts.c.environment == environment,
            jobs.c.currency == currency,
            jobs.c.created_at >= since,
        )
    )
    return Decimal(int(connection.execute(total).scalar_one())) / _MILLIONTHS
