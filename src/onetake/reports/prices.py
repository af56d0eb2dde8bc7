"""The price book, and what differs from a vendor's own list, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from onetake.money import plain
from onetake.pricing.estimate import Terms
from onetake.pricing.listing import Difference
from onetake.pricing.price_book import Pack, PriceBook, PriceRow, UnitPrice
from onetake.reports.tables import Cell, Table

_ROWS = (
    "row", "models", "where", "price", "a", "valid from", "read", "confidence", "source", "note",
)  # fmt: skip
_UNITS = ("units", "price", "currency", "valid from", "read", "confidence", "source")
_PACKS = (
    "pack", "units of", "units", "price", "currency", "slots", "days", "read", "confidence",
    "source", "note",
)  # fmt: skip


def book_tables(provider: str, book: PriceBook, terms: Terms) -> list[Table]:
    """Return all entries of one provider's price book."""
    tables = [Table(f"{provider}: prices", _ROWS, tuple(_row(row, terms) for row in book.price))]
    if book.unit_price:
        units = tuple(map(_unit, book.unit_price))
        tables.append(Table(f"{provider}: what a unit costs", _UNITS, units))
    if book.pack:
        tables.append(Table(f"{provider}: packs", _PACKS, tuple(map(_pack, book.pack))))
    return tables


def _row(row: PriceRow, terms: Terms) -> tuple[Cell, ...]:
    stale = ", stale" if terms.is_stale(row.checked_on) else ""
    return (
        row.name,
        ", ".join(row.models),
        ", ".join(f"{key}={value}" for key, value in row.when.items()) or None,
        _price(row),
        row.unit,
        row.valid_from.isoformat(),
        f"{row.checked_on}{stale}",
        f"{row.confidence}{', your own' if row.own else ''}",
        row.source,
        row.note,
    )


def _price(row: PriceRow) -> str:
    words = "units" if row.units is not None else row.currency
    told = [f"{plain(rate)} {words}" for rate in row.rates]
    least = "" if row.at_least is None else f"{plain(row.at_least)} to "
    others = "".join(
        f" (or {rate}: {claim.source})" for rate, claim in zip(told[1:], row.disputed, strict=True)
    )
    return f"{least}{told[0]}{others}"


def _unit(price: UnitPrice) -> tuple[Cell, ...]:
    return (
        price.pack,
        price.amount,
        price.currency,
        price.valid_from.isoformat(),
        price.checked_on.isoformat(),
        price.confidence,
        price.source,
    )


def _pack(pack: Pack) -> tuple[Cell, ...]:
    return (
        pack.name,
        pack.pack,
        None if pack.units is None else int(pack.units),
        pack.price,
        pack.currency,
        pack.slots,
        pack.valid_days,
        pack.checked_on.isoformat(),
        pack.confidence,
        pack.source,
        pack.note,
    )


def difference_table(found: Sequence[Difference]) -> Table:
    """Return what differs from a vendor's own list."""
    columns = ("model", "the vendor lists", "a", "currency", "the book says")
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            item.model,
            item.listed.amount,
            item.listed.unit,
            item.listed.currency,
            ", ".join(map(plain, item.known)) or "nothing",
        )
        for item in found
    )
    note = "A list has one number per model; the book is right if one of its rows has it."
    return Table("What differs", columns, rows, note)
