"""Limits on what one call may spend, checked before anything is sent."""

from __future__ import annotations

from decimal import Decimal

from onetake.errors import BudgetExceeded, RequestError
from onetake.money import NO_RATES, ExchangeRates, Money, is_amount, parse_money, plain
from onetake.pricing.estimate import CostEstimate


def check_limits(
    price: CostEstimate,
    limit: Money | None,
    approved: CostEstimate | None,
    rates: ExchangeRates = NO_RATES,
) -> None:
    """Refuse what is above the limit, of unknown price, or not what was approved.

    Raises:
        BudgetExceeded: nothing may be sent.
    """
    if approved is not None and approved.hash != price.hash:
        raise BudgetExceeded(
            f"{price.model}: the approved estimate is for another request, model or price.",
            provider=price.provider,
            hint="Estimate again and approve that.",
        )
    if limit is None:
        return
    if price.high is None:
        raise BudgetExceeded(
            f"{price.model}: the price is unknown ({price.reason}) and max_cost is {limit}.",
            provider=price.provider,
            hint="Leave max_cost out to accept an unknown price.",
        )
    cost = rates.convert(Money(price.high, price.currency), limit.currency)
    if cost is None:
        raise BudgetExceeded(
            f"{price.model}: the price is in {price.currency} and max_cost in {limit.currency}.",
            provider=price.provider,
            hint=f"Write max_cost in {price.currency}, such as '{plain(limit.amount)} "
            f"{price.currency}', or set ONETAKE_EXCHANGE_RATES.",
        )
    if cost.amount > limit.amount:
        raise BudgetExceeded(
            f"{price.model}: estimated at {cost}, above the limit of {limit}.",
            provider=price.provider,
        )


def amount_of(name: str, value: Money | Decimal | str | int) -> Money:
    """Read a limit that a caller gave; without a currency it is in USD.

    Raises:
        RequestError: it is no amount.
    """
    if isinstance(value, Money):
        if not is_amount(value.amount):
            raise RequestError(f"{name}: {value.amount} is not an amount such as 0.50.")
        return value
    try:
        return parse_money(str(value))
    except ValueError as error:
        raise RequestError(f"{name}: {error}.") from None
