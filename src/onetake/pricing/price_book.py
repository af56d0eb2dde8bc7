"""The price book: dated rows beside each provider, and finding the one that applies.

Rows are added, never edited: an old job keeps its old price. A row's amount is money, or units
of the vendor that a ``unit_price`` row turns into money per currency.
"""

from __future__ import annotations

import datetime
import functools
import importlib.resources
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from onetake.errors import ConfigurationError
from onetake.fitting import FittedRequest

Confidence = Literal["high", "medium", "low"]


class UnitPrice(BaseModel):
    """What one unit of the vendor costs in money."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amount: Decimal = Field(ge=0)
    currency: str = Field(pattern="^[A-Z]{3}$")
    valid_from: datetime.date
    checked_on: datetime.date
    source: str
    confidence: Confidence = "high"
    pack: str = "video"
    """Kind of pack or product that the unit belongs to."""


class PriceRow(BaseModel):
    """One price, with where and when it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[str, ...] = Field(min_length=1)
    unit: Literal["second", "video", "image", "call"]
    """What is counted. ``second`` means a second of output, as asked for."""
    measure: str | None = None
    """Input whose seconds count, where the output's length follows from it."""
    multiple: int | None = None
    """Seconds to a multiple of which the length is rounded up."""
    started: int | None = None
    """Seconds that are billed whole once they have begun; None: rounded to whole seconds."""
    pack: str = "video"
    """Kind of pack or product whose units these are."""
    amount: Decimal | None = Field(default=None, ge=0)
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    units: Decimal | None = Field(default=None, ge=0)
    """Vendor units in place of money."""
    when: Mapping[str, Any] = Field(default_factory=dict)
    """Conditions: parameter name to the value that it must have."""
    valid_from: datetime.date
    valid_to: datetime.date | None = None
    """Last day on which it applies."""
    checked_on: datetime.date
    source: str
    confidence: Confidence = "high"

    @model_validator(mode="after")
    def _money_or_units(self) -> PriceRow:
        if (self.amount is None) == (self.units is None):
            raise ValueError(f"{self.models[0]}: give either amount or units")
        return self

    def applies(self, fitted: FittedRequest, on: datetime.date) -> bool:
        """Say whether the row is for this request on that day."""
        if fitted.card.name not in self.models:
            return False
        if on < self.valid_from or (self.valid_to is not None and on > self.valid_to):
            return False
        return all(_holds(fitted, name, value) for name, value in self.when.items())


def _holds(fitted: FittedRequest, name: str, wanted: Any) -> bool:
    """Say whether a condition holds; of lists and files, true and false mean given or not."""
    spec = fitted.card.parameters.get(name)
    if name in fitted.card.inputs or (spec is not None and spec.type in ("array", "object")):
        return fitted.has(name) is wanted
    return bool(fitted.value(name) == wanted)


class PriceBook(BaseModel):
    """All rows of one provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    price: tuple[PriceRow, ...] = ()
    unit_price: tuple[UnitPrice, ...] = ()

    def row(self, fitted: FittedRequest, on: datetime.date) -> PriceRow | None:
        """Return the newest row that applies, or None."""
        fitting = [row for row in self.price if row.applies(fitted, on)]
        return max(fitting, key=lambda row: (row.valid_from, len(row.when)), default=None)

    def money_per_unit(
        self, currency: str, on: datetime.date, pack: str = "video"
    ) -> UnitPrice | None:
        """Return the newest price of a pack's unit in a currency, or None."""
        fitting = [
            price
            for price in self.unit_price
            if price.currency == currency and price.pack == pack and price.valid_from <= on
        ]
        return max(fitting, key=lambda price: price.valid_from, default=None)


@functools.cache
def load_price_book(package: str) -> PriceBook:
    """Read ``prices.toml`` of a provider package.

    Raises:
        ConfigurationError: the file is not valid; says where.
    """
    file = importlib.resources.files(package) / "prices.toml"
    if not file.is_file():
        return PriceBook()
    try:
        data = tomllib.loads(file.read_text("utf-8"))
        defaults = data.pop("defaults", {})
        rows = [{**defaults, **row} for row in data.get("price", [])]
        return PriceBook(price=tuple(rows), unit_price=data.get("unit_price", ()))
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{package}/prices.toml: {error}") from error
