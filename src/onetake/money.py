"""Money: an exact amount in one currency."""

from __future__ import annotations

import datetime
import re
import unicodedata
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation


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


LEAST, MOST = Decimal("0.000001"), Decimal(1_000_000_000)
"""Amounts are kept in millionths; nobody pays a thousand million for a film."""


def is_amount(value: Decimal) -> bool:
    """Say whether a number can be an amount of money: zero, or within what is ever paid."""
    return value.is_finite() and (value == 0 or LEAST <= value <= MOST)


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
    if not (is_amount(value) and len(code) == 3 and code.isascii() and code.isalpha()):
        raise ValueError(f"{text[:40]!r} is not an amount such as 5.00 or 30 CNY")
    return Money(value, code)


def parse_limits(text: str) -> dict[str, Money]:
    """Read limits by name, such as ``spring=50, winter=200 CNY``.

    Raises:
        ValueError: names the one that is not of that form.
    """
    found: dict[str, Money] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, separator, amount = unicodedata.normalize("NFC", item).rpartition("=")
        if not separator or not name.strip():
            raise ValueError(f"{item!r} is not a name and an amount such as spring=50")
        if name.strip() in found:
            raise ValueError(f"{item!r}: {name.strip()} has a limit already")
        found[name.strip()] = parse_money(amount)
    return found


def exact(amount: Decimal | None) -> str | None:
    """Write an amount for JSON: every digit, no exponent, no needless zeros; None stays None."""
    return None if amount is None else f"{amount.normalize():f}"


def plain(amount: Decimal) -> str:
    """Write an amount without an exponent or needless zeros, with cents at the least.

    >>> plain(Decimal("0.0700")), plain(Decimal("1.4")), plain(Decimal("0.0035"))
    ('0.07', '1.40', '0.0035')
    """
    text = f"{amount.normalize():f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """What one unit of a currency is worth in another, on a day; the user says so.

    Attributes:
        source: currency that is converted.
        target: currency that comes out.
        rate: how much of ``target`` one unit of ``source`` is worth.
        on: the day of the rate.
    """

    source: str
    target: str
    rate: Decimal
    on: datetime.date

    def __str__(self) -> str:
        return f"1 {self.source} = {plain(self.rate)} {self.target} ({self.on})"


_RATE = re.compile(r"([A-Z]{3})\s*[:/]\s*([A-Z]{3})\s*=\s*(\d+(?:\.\d+)?)\s*@\s*([\d-]{10})")


@dataclass(frozen=True, slots=True)
class ExchangeRates:
    """The user's exchange rates. Without a rate, two currencies never meet in one number.

    Attributes:
        rates: one for each pair of currencies.
    """

    rates: tuple[ExchangeRate, ...] = ()

    def convert(self, money: Money, currency: str) -> Money | None:
        """Return an amount in another currency; None if there is no rate for it."""
        if money.currency == currency:
            return money
        for rate in self.rates:
            if (rate.source, rate.target) == (money.currency, currency):
                return Money(_micro(money.amount * rate.rate), currency)
            if (rate.target, rate.source) == (money.currency, currency):
                return Money(_micro(money.amount / rate.rate), currency)
        return None

    def common(self, money: Money) -> Money:
        """Return an amount in the currency of the first rate, or as it is without a rate."""
        target = self.rates[0].target if self.rates else money.currency
        return self.convert(money, target) or money


def _micro(amount: Decimal) -> Decimal:
    """Round a converted amount up to a millionth: a limit must not be passed by rounding."""
    return amount if not amount.is_finite() else amount.quantize(LEAST, ROUND_CEILING)


NO_RATES = ExchangeRates()


def parse_rates(text: str) -> ExchangeRates:
    """Read rates such as ``CNY:USD=0.139@2026-11-20``, separated by commas.

    Raises:
        ValueError: names the one that is not of that form.
    """
    found: list[ExchangeRate] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        match = _RATE.fullmatch(item)
        if match is None or not Decimal(match[3]):
            raise ValueError(f"{item!r} is not a dated rate such as CNY:USD=0.139@2026-11-20")
        day = datetime.date.fromisoformat(match[4])
        pair = {match[1], match[2]}
        if len(pair) < 2 or any(pair == {rate.source, rate.target} for rate in found):
            raise ValueError(f"{item!r}: give one rate for each pair of two currencies")
        found.append(ExchangeRate(match[1], match[2], Decimal(match[3]), day))
    return ExchangeRates(tuple(found))
