"""Limits on what may be spent, checked before anything is sent."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from onetake.errors import BudgetExceeded, RequestError
from onetake.pricing.estimate import CostEstimate


def check_limits(
    price: CostEstimate, max_cost: Decimal | str | int | None, approved: CostEstimate | None
) -> None:
    """Refuse what is above the limit, of unknown price, or not what was approved.

    Raises:
        BudgetExceeded: nothing may be sent.
        RequestError: the limit is no amount.
    """
    if approved is not None and approved.hash != price.hash:
        raise BudgetExceeded(
            f"{price.model}: the approved estimate is for another request, model or price.",
            provider=price.provider,
            hint="Estimate again and approve that.",
        )
    if max_cost is None:
        return
    limit = _amount(max_cost)
    if price.high is None:
        raise BudgetExceeded(
            f"{price.model}: the price is unknown ({price.reason}) and max_cost is {limit}.",
            provider=price.provider,
            hint="Leave max_cost out to accept an unknown price.",
        )
    if price.high > limit:
        raise BudgetExceeded(
            f"{price.model}: estimated at {price.currency} {price.high:f}, above the limit of "
            f"{limit:f}.",
            provider=price.provider,
        )


def _amount(value: Decimal | str | int) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise RequestError(f"max_cost: {value!r} is not an amount such as 0.50.")
    return amount
