"""Money: an exact amount in one currency."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation


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


def parse_money(text: str) -> Money:
    """Read an amount with or without its currency; ``5`` is ``5 USD``.

    Raises:
        ValueError: it is no amount, or below zero.
    """
    amount, _, currency = text.strip().partition(" ")
    try:
        value = Decimal(amount)
    except InvalidOperation:
        value = Decimal("NaN")
    code = currency.strip().upper() or "USD"
    if not value.is_finite() or value < 0 or not (len(code) == 3 and code.isalpha()):
        raise ValueError(f"{text!r} is not an amount such as 5.00 or 30 CNY")
    return Money(value, code)


def plain(amount: Decimal) -> str:
    """Write an amount without an exponent or needless zeros, with cents at the least.

    >>> plain(Decimal("0.0700")), plain(Decimal("1.4")), plain(Decimal("0.0035"))
    ('0.07', '1.40', '0.0035')
    """
    text = f"{amount.normalize():f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"
