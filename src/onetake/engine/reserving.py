"""Reserving: a job takes its share of the budget in the transaction that writes its intent."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from onetake.errors import BudgetExceeded
from onetake.ledger import spending, store
from onetake.money import Money, plain


@dataclass(frozen=True)
class Budget:
    """A limit per day (UTC) for all jobs of a ledger in one environment.

    Attributes:
        limit: the limit.
        environment: ``live``, or which sandbox; each has the whole limit to itself.
    """

    limit: Money
    environment: str

    def check(
        self, connection: sa.Connection, now: float, reserve: Decimal | None, currency: str | None
    ) -> None:
        """Refuse a job that the budget may not cover.

        Raises:
            BudgetExceeded: too dear, of unknown price, or in a currency that cannot be compared.
        """
        if reserve is None:
            raise BudgetExceeded(
                f"the price is unknown and the daily budget is {self.limit}.",
                hint="Unset ONETAKE_DAILY_BUDGET to accept an unknown price.",
            )
        if currency != self.limit.currency:
            raise BudgetExceeded(
                f"the price is in {currency} and the daily budget in {self.limit.currency}; they "
                "cannot be compared.",
            )
        today = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        store.lock_environment(connection, self.environment)
        spent = spending.spent(connection, self.environment, self.limit.currency, today.timestamp())
        if spent + reserve > self.limit.amount:
            raise BudgetExceeded(
                f"up to {self.limit.currency} {plain(reserve)} on top of {plain(spent)} spent or "
                f"reserved today is above the daily budget of {self.limit}.",
                hint="Raise ONETAKE_DAILY_BUDGET, or wait until tomorrow (UTC).",
            )
