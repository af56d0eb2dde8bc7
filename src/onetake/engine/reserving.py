"""Reserving: a job takes its share of the budgets in the transaction that writes its intent."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from onetake.engine.workers import is_gone
from onetake.errors import BudgetExceeded
from onetake.ledger import spending, store
from onetake.ledger.spending import Limit
from onetake.money import NO_RATES, ExchangeRates, Money, plain


@dataclass(frozen=True, slots=True)
class Used:
    """What is spent or reserved of a limit.

    Attributes:
        amount: in the limit's currency.
        unpriced: jobs that cost something nobody knows yet.
        foreign: sums in currencies for which there is no exchange rate.
    """

    amount: Decimal
    unpriced: int
    foreign: tuple[Money, ...]


@dataclass(frozen=True)
class Budgets:
    """All limits on what the jobs of one run may spend, shared with every other process.

    Attributes:
        environment: ``live``, or which sandbox; each has the whole limits to itself.
        run: name of the run.
        limits: those of settings and arguments; the ledger's own come on top.
        rates: the user's exchange rates.
        allow_unknown: let jobs of unknown price through.
    """

    environment: str
    run: str
    limits: Sequence[Limit] = ()
    rates: ExchangeRates = NO_RATES
    allow_unknown: bool = False

    def check(
        self,
        connection: sa.Connection,
        now: float,
        cost: Money | None,
        tags: Sequence[str] = (),
    ) -> None:
        """Refuse a job that a budget may not cover.

        Args:
            connection: the transaction that will write the intent.
            now: seconds since the epoch.
            cost: what the job may cost at most; None: unknown.
            tags: the job's.

        Raises:
            BudgetExceeded: too dear, of unknown price, or in a currency that cannot be compared.
        """
        kept = spending.limits(connection, self.environment)
        relevant = [
            limit
            for limit in (*self.limits, *kept)
            if limit.scope in ("job", "day")
            or (limit.scope == "run" and limit.name in ("", self.run))
            or (limit.scope == "tag" and limit.name in tags)
        ]
        if relevant:
            store.lock_environment(connection, self.environment)
            self.give_up(connection, now)
        for limit in relevant:
            self._check_one(connection, now, limit, cost)

    def _check_one(
        self, connection: sa.Connection, now: float, limit: Limit, cost: Money | None
    ) -> None:
        reserve = self._reserve(limit, cost)
        used = self.used(connection, now, limit)
        if used.unpriced and not self.allow_unknown:
            raise BudgetExceeded(
                f"jobs of unknown price ({used.unpriced}) count towards {limit}.",
                hint=f"`onetake jobs bill` asks what those that have ended cost. {_SWITCH}",
            )
        for money in used.foreign:
            raise self._no_rate(limit, money.currency, f"{money} are spent or reserved")
        if used.amount + reserve > limit.money.amount:
            currency = limit.money.currency
            what = f"up to {currency} {plain(reserve)}"
            if cost is None:
                what = "a job of unknown price"
            if limit.scope != "job":
                what += f" on top of {plain(used.amount)} spent or reserved"
            raise BudgetExceeded(f"{what} is above {limit}.", hint=_hint(limit))

    def _reserve(self, limit: Limit, cost: Money | None) -> Decimal:
        """Return a job's cost in the limit's currency."""
        if cost is None:
            if self.allow_unknown:
                return Decimal(0)
            raise BudgetExceeded(f"the price is unknown, and {limit} is set.", hint=_SWITCH)
        reserve = self.rates.convert(cost, limit.money.currency)
        if reserve is None:
            raise self._no_rate(limit, cost.currency, f"the price is in {cost.currency}")
        return reserve.amount

    def _no_rate(self, limit: Limit, currency: str, what: str) -> BudgetExceeded:
        pair = f"{currency}:{limit.money.currency}"
        return BudgetExceeded(
            f"{what}, and {limit} is in {limit.money.currency}; they cannot be compared.",
            hint=f"ONETAKE_EXCHANGE_RATES={pair}=RATE@DATE says what one is worth in the other.",
        )

    def give_up(self, connection: sa.Connection, now: float) -> None:
        """Free what processes held for their chains that are gone."""
        spending.give_up(connection, self.environment, now, is_gone)

    def used(self, connection: sa.Connection, now: float, limit: Limit) -> Used:
        """Return what is spent or reserved of a limit."""
        if limit.scope == "job":
            return Used(Decimal(0), 0, ())
        found = spending.spent(
            connection,
            self.environment,
            now,
            since=midnight(now) if limit.scope == "day" else None,
            run=(limit.name or self.run) if limit.scope == "run" else None,
            tag=limit.name if limit.scope == "tag" else None,
        )
        amount, foreign = Decimal(0), []
        for money in found.sums:
            converted = self.rates.convert(money, limit.money.currency)
            if converted is None:
                foreign.append(money)
            else:
                amount += converted.amount
        return Used(amount, found.unpriced, tuple(foreign))


_SWITCH = "ONETAKE_ALLOW_UNKNOWN_PRICE=1 lets jobs of unknown price through."


def midnight(now: float) -> float:
    """Return the beginning of a day (UTC)."""
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def _hint(limit: Limit) -> str:
    raised = {
        "ledger": f"`onetake budget set {limit.scope} AMOUNT {limit.name}".strip() + "` raises it",
    }.get(limit.origin, f"{limit.origin} raises it")
    return f"{raised}{', or wait until tomorrow (UTC)' if limit.scope == 'day' else ''}."
