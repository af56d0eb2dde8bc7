"""The price book as it stands, and beside a vendor's own list."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from onetake.catalog import Catalog
from onetake.driver import ListPrice
from onetake.money import exact
from onetake.pricing.price_book import PriceBook


@dataclass(frozen=True, slots=True)
class Difference:
    """One price of a vendor's list that the book has otherwise, or not at all.

    Attributes:
        model: neutral name.
        listed: the vendor's price of today.
        known: what the rows of that model say.
        is_drift: the book has a price, and it is another; False: it has none.
    """

    model: str
    listed: ListPrice
    known: tuple[Decimal, ...]
    is_drift: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "model": self.model,
            "vendor_id": self.listed.vendor_id,
            "listed": exact(self.listed.amount),
            "unit": self.listed.unit,
            "currency": self.listed.currency,
            "known": list(map(exact, self.known)),
            "is_drift": self.is_drift,
        }


def differences(
    catalog: Catalog, book: PriceBook, listed: Iterable[ListPrice], on: datetime.date
) -> list[Difference]:
    """Compare a price book with a vendor's own list.

    The vendor's list has one number per model; the book is right if one of its rows, the tier that
    the vendor means, has that number.
    """
    found = []
    names = {card.vendor_id: card.name for card in catalog.cards}
    for price in listed:
        name = names.get(price.vendor_id, price.vendor_id)
        rows = [row for row in book.price if name in row.models and row.holds(on)]
        known = [rate for row in rows if row.currency == price.currency for rate in row.rates]
        if price.amount not in known:
            told = tuple(dict.fromkeys(known))
            found.append(Difference(name, price, told, bool(told)))
    return found
