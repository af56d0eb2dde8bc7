"""Money: an exact amount in one currency."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount. Amounts of different currencies never mix.

    Attributes:
        amount: exact decimal amount, not rounded.
        currency: ISO 4217 code such as ``USD``.
    """

    amount: Decimal
    currency: str = "USD"

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same_currency(other)
        return self.amount < other.amount

    def __str__(self) -> str:
        return f"{self.currency} {plain(self.amount)}"

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added or compared")


def plain(amount: Decimal) -> str:
    """Write an amount without an exponent or needless zeros, with cents at the least.

    >>> plain(Decimal("0.0700")), plain(Decimal("1.4")), plain(Decimal("0.0035"))
    ('0.07', '1.40', '0.0035')
    """
    text = f"{amount.normalize():f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"
