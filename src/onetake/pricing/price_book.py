"""The price book: dated rows beside each provider, and finding the one that applies.

Rows are added, never edited: an old job keeps its old price. A row's amount is money, or units
of the vendor that a ``unit_price`` row turns into money per currency. A user's own file
(``ONETAKE_PRICES``) has the same tables under each provider's name, and its rows come first:
what an account has agreed upon beats the list.
"""

from __future__ import annotations

import datetime
import functools
import importlib.resources
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from onetake import plugins
from onetake.errors import ConfigurationError
from onetake.fitting import FittedRequest
from onetake.money import MOST

EntryT = TypeVar("EntryT", bound="Entry")
Confidence = Literal["high", "medium", "low"]
Currency = Field(pattern="^[A-Z]{3}$")
STARTED = {"started_5s": 5}
"""Units that are billed whole once they have begun, and their seconds."""


class Entry(BaseModel):
    """What every entry of a price book says: when it holds, who says so, and how sure that is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    valid_from: datetime.date
    valid_to: datetime.date | None = None
    """Last day on which it applies."""
    checked_on: datetime.date
    """Day on which the source was read."""
    source: str
    confidence: Confidence = "high"
    note: str | None = None
    """What a reader should know: an assumption, another reading of the source."""
    own: bool = Field(default=False, exclude=True)
    """It stands in the user's own file."""

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Entry:
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError("valid_to is before valid_from")
        return self

    def holds(self, on: datetime.date) -> bool:
        """Say whether it applies on a day."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)


class UnitPrice(Entry):
    """What one unit of the vendor costs in money."""

    amount: Decimal = Field(ge=0, le=MOST)
    currency: str = Currency
    pack: str = "video"
    """Kind of pack or product that the unit belongs to."""


class Pack(Entry):
    """A pack of units as it can be bought, or a least amount that has to be paid in."""

    name: str
    pack: str = "video"
    """Kind of units."""
    units: Decimal | None = Field(default=None, gt=0)
    price: Decimal | None = Field(default=None, ge=0, le=MOST)
    currency: str = Currency
    slots: int | None = Field(default=None, ge=1)
    """Unfinished tasks that it allows at once."""
    valid_days: int | None = Field(default=None, ge=1)
    """Days after which unused units are lost."""


class Claim(BaseModel):
    """What another source says of the same price."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amount: Decimal | None = Field(default=None, ge=0, le=MOST)
    units: Decimal | None = Field(default=None, ge=0, le=MOST)
    checked_on: datetime.date
    source: str


class PriceRow(Entry):
    """One price, with where and when it was read."""

    models: tuple[str, ...] = Field(min_length=1)
    unit: Literal["second", "started_5s", "video", "image", "call"]
    """What is counted. ``second`` means a second of output, as asked for."""
    measure: str | None = None
    """Input whose seconds count, where the output's length follows from it."""
    multiple: int | None = Field(default=None, gt=0)
    """Seconds to a multiple of which the length is rounded up."""
    rounding: Literal["nearest"] | None = None
    """How measured seconds are rounded; None: not known, between the whole seconds around."""
    pack: str = "video"
    """Kind of pack or product whose units these are."""
    amount: Decimal | None = Field(default=None, ge=0, le=MOST)
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    units: Decimal | None = Field(default=None, ge=0, le=MOST)
    """Vendor units in place of money."""
    at_least: Decimal | None = Field(default=None, ge=0, le=MOST)
    """Lowest price, where the request does not tell what decides: ``amount`` or ``units`` is then
    the highest, and nothing is expected."""
    when: Mapping[str, Any] = Field(default_factory=dict)
    """Conditions: parameter name to the value that it must have."""
    disputed: tuple[Claim, ...] = ()
    """What other sources say; the estimate then spans all of them."""

    @model_validator(mode="after")
    def _money_or_units(self) -> PriceRow:
        if self.at_least is not None and any(self.at_least > rate for rate in self.rates):
            raise ValueError(f"{self.models[0]}: at_least is more than the price itself")
        for item in self._readings:
            if (item.amount is None) == (item.units is None):
                raise ValueError(f"{self.models[0]}: give either amount or units")
            if (item.units is None) != (self.units is None):
                raise ValueError(f"{self.models[0]}: a disputed price is of the same form")
        return self

    @property
    def name(self) -> str:
        """What the row is called in estimates and reports: model, conditions, first day."""
        words = [self.models[0], *(f"{key}={_word(value)}" for key, value in self.when.items())]
        return f"{','.join(words)}@{self.valid_from.isoformat()}"

    @property
    def rates(self) -> tuple[Decimal, ...]:
        """What one of the row's units costs, by this source and then by others."""
        found = [item.units if self.amount is None else item.amount for item in self._readings]
        return tuple(rate for rate in found if rate is not None)

    @property
    def each(self) -> str:
        """What is counted, in words."""
        return f"{STARTED[self.unit]} s begun" if self.unit in STARTED else self.unit

    @property
    def _readings(self) -> tuple[PriceRow | Claim, ...]:
        return (self, *self.disputed)

    def applies(self, fitted: FittedRequest, on: datetime.date) -> bool:
        """Say whether the row is for this request on that day."""
        if fitted.card.name not in self.models or not self.holds(on):
            return False
        return all(_holds(fitted, name, value) for name, value in self.when.items())


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _holds(fitted: FittedRequest, name: str, wanted: Any) -> bool:
    """Say whether a condition holds; of lists and files, true and false mean given or not."""
    spec = fitted.card.parameters.get(name)
    if name in fitted.card.inputs or (spec is not None and spec.type in ("array", "object")):
        return fitted.has(name) is wanted
    return bool(fitted.value(name) == wanted)


class PriceBook(BaseModel):
    """All entries of one provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    price: tuple[PriceRow, ...] = ()
    unit_price: tuple[UnitPrice, ...] = ()
    pack: tuple[Pack, ...] = ()

    def row(self, fitted: FittedRequest, on: datetime.date) -> PriceRow | None:
        """Return the row for a request on a day, or None: see `why`."""
        fitting = [row for row in self.price if row.applies(fitted, on)]
        return max(fitting, key=_rank, default=None)

    def counts_alike(self, row: PriceRow) -> bool:
        """Say whether the vendor counts what a row counts; a user's own row may not."""
        if not row.own:
            return True
        listed = [one for one in self.price if not one.own and set(one.models) & set(row.models)]
        return any((one.unit, one.units is None) == (row.unit, row.units is None) for one in listed)

    def deciding(self, model: str, on: datetime.date) -> list[str]:
        """Return the parameters that a model's prices depend on."""
        rows = [row for row in self.price if model in row.models and row.holds(on)]
        return sorted({name for row in rows for name in row.when})

    def why(self, row: PriceRow, fitted: FittedRequest, on: datetime.date) -> str:
        """Say in one sentence why a row was chosen."""
        others = sum(other.applies(fitted, on) for other in self.price) - 1
        holding = [f"{name} is {_word(value)}" for name, value in row.when.items()]
        reasons = ["your own price file has it"] if row.own else []
        reasons += [f"since {row.valid_from} it is the price of {fitted.card.name}"]
        reasons[-1] += f" where {' and '.join(holding)}" if holding else ""
        if others:
            reasons.append(f"it is the newest and most exact of the {others + 1} that apply")
        return f"{row.name}: {', and '.join(reasons)}; read on {row.checked_on} in {row.source}."

    def money_per_unit(
        self, currency: str, on: datetime.date, pack: str = "video"
    ) -> UnitPrice | None:
        """Return the newest price of a pack's unit in a currency, or None."""
        fitting = [
            price
            for price in self.unit_price
            if price.currency == currency and price.pack == pack and price.holds(on)
        ]
        return max(fitting, key=lambda price: (price.own, price.valid_from), default=None)

    def least_purchase(self, currency: str, on: datetime.date, pack: str = "video") -> Pack | None:
        """Return the cheapest pack whose price is known: who has no units has to pay that much."""
        fitting = [
            item
            for item in self.pack
            if item.price and (item.currency, item.pack) == (currency, pack) and item.holds(on)
        ]
        return min(fitting, key=lambda item: item.price or Decimal(0), default=None)


def _rank(row: PriceRow) -> tuple[bool, datetime.date, int]:
    """The user's own row before the list's, then the newest, then the most exact."""
    return (row.own, row.valid_from, len(row.when))


def load_price_book(package: str, own: Path | None = None, provider: str = "") -> PriceBook:
    """Read ``prices.toml`` of a provider package.

    Args:
        package: the provider's package.
        own: the user's own file, whose entries come before.
        provider: name of the tables in the user's own file.

    Raises:
        ConfigurationError: a file is missing or not valid; says where.
    """
    if own is None:
        return _packaged(package)
    own = own.expanduser()
    return _joined(package, own, _changed(own), provider)


@functools.cache
def _joined(package: str, own: Path, changed: int, provider: str) -> PriceBook:
    listed, mine = _packaged(package), _own_books(own, changed).get(provider)
    if mine is None:
        return listed
    return PriceBook(
        price=(*map(_as_own, mine.price), *listed.price),
        unit_price=(*map(_as_own, mine.unit_price), *listed.unit_price),
        pack=(*map(_as_own, mine.pack), *listed.pack),
    )


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except (OSError, ValueError):
        return 0  # reading it says what is wrong


def _as_own(entry: EntryT) -> EntryT:
    return entry.model_copy(update={"own": True})


@functools.cache
def _packaged(package: str) -> PriceBook:
    file = importlib.resources.files(package) / "prices.toml"
    if not file.is_file():
        return PriceBook()
    return _read(f"{package}/prices.toml", _parsed(file.read_text("utf-8"), str(file)))


@functools.cache
def _own_books(file: Path, changed: int) -> Mapping[str, PriceBook]:
    """Read the user's own file; ``changed`` makes a changed file a new one."""
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError) as error:
        told = str(error)[:200]
        raise ConfigurationError(f"ONETAKE_PRICES: {told}: cannot be read.") from error
    books = {
        name: _read(f"{file}: {name}", table) for name, table in _parsed(text, str(file)).items()
    }
    for name, book in books.items():
        _check_names(file, name, book)
    return books


def _check_names(file: Path, provider: str, book: PriceBook) -> None:
    """Refuse rows that could never apply: a mistyped name would leave the list price in force.

    Raises:
        ConfigurationError: names what does not exist.
    """
    if provider not in plugins.registry().cards:
        known = ", ".join(sorted(plugins.registry().cards))
        raise ConfigurationError(f"{file}: {provider}: no such provider; installed: {known}.")
    models = {card.name: card for card in plugins.catalog(provider).cards}
    for row in book.price:
        for name in row.models:
            if name not in models:
                raise ConfigurationError(f"{file}: {provider}: no model is called {name!r}.")
            if row.measure is not None and row.measure not in models[name].inputs:
                raise ConfigurationError(
                    f"{file}: {provider}: {name} has no input {row.measure!r} to measure."
                )


def _parsed(text: str, label: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{label}: {error}") from error


def _read(label: str, tables: Any) -> PriceBook:
    """Check the tables of one provider.

    Raises:
        ConfigurationError: names the entry, the field and the value.
    """
    if not isinstance(tables, dict):
        raise ConfigurationError(f"{label}: expected tables such as [[price]], got {tables!r:.60}.")
    defaults = tables.get("defaults", {})
    given = {name: rows for name, rows in tables.items() if name != "defaults"}
    rows = given.get("price", [])
    if not isinstance(defaults, dict) or not _are_tables(rows):
        raise ConfigurationError(f"{label}: defaults is one table, price are tables: [[price]].")
    given["price"] = [{**defaults, **row} for row in rows]
    try:
        return PriceBook.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(
            f"{label}: {where}: {first['input']!r:.80}: {first['msg']}."
        ) from error


def _are_tables(rows: Any) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of ``prices.toml``, for editors."""
    book = PriceBook.model_json_schema()
    entries = book["$defs"]
    for entry in entries.values():
        entry["properties"].pop("own", None)
    row = entries["PriceRow"]
    row["required"] = ["models", "unit"]  # the rest may stand in [defaults]
    defaults = {**row, "required": [], "title": "Defaults of all price rows"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **book,
        "title": "A price book of onetake",
        "properties": {"defaults": defaults, **book["properties"]},
    }


def own_schema() -> dict[str, Any]:
    """Return the JSON Schema of a user's own price file: the same tables by provider."""
    book = schema()
    defs = {**book.pop("$defs"), "PriceBook": {key: book[key] for key in ("type", "properties")}}
    return {
        "$schema": book["$schema"],
        "$defs": defs,
        "title": "Your own prices",
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/PriceBook"},
    }
