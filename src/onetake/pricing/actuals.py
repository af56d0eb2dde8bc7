"""Actuals: what the vendor says it took, in money."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from onetake.catalog import ProviderCard
from onetake.driver import Charge, Deduction
from onetake.pricing.estimate import Terms


def priced(
    charge: Charge,
    estimated: Mapping[str, Any],
    provider: ProviderCard,
    terms: Terms | None = None,
) -> Charge:
    """Put money beside a charge in units, at the price of a unit.

    An amount whose currency the vendor leaves out is in the one that the region is billed in.
    Where a unit has no price of its own, as many units as were estimated cost what was estimated;
    what a different number costs is not known until the vendor's books say it.

    Args:
        charge: what the vendor says of one task.
        estimated: the job's estimate, as JSON.
        provider: whose task it is.
        terms: region, day and price file.
    """
    known = terms or Terms()
    currency = provider.currency(known.region)
    if charge.amount is not None:
        return dataclasses.replace(charge, currency=charge.currency or currency)
    if charge.units is None:
        return charge
    pack = charge.pack or "video"
    unit = known.book(provider).money_per_unit(currency, known.day, pack)
    if unit is not None:
        return dataclasses.replace(charge, amount=charge.units * unit.amount, currency=currency)
    counted, cost = estimated.get("units"), estimated.get("expected")
    if counted is None or cost is None or Decimal(counted) != charge.units:
        return charge
    return dataclasses.replace(charge, amount=Decimal(cost), currency=estimated["currency"])


def booked(
    deductions: Sequence[Deduction],
    estimated: Mapping[str, Any],
    provider: ProviderCard,
    terms: Terms | None = None,
) -> Charge | None:
    """Add up what the vendor's books say of one task; None if that is no one sum.

    Args:
        deductions: the rows of one task: of packs, in units, and of balances, in money.
        estimated: the job's estimate, as JSON.
        provider: whose task it is.
        terms: region, day and price file: units cost what a unit costs there.
    """
    units = [row for row in deductions if row.unit == "units"]
    cash = [row for row in deductions if row.unit != "units"]
    counted = sum((row.amount for row in units), Decimal(0)) if units else None
    parts = []
    if counted is not None:
        pack = next((row.pack for row in units if row.pack), None)
        parts.append(priced(Charge(units=counted, pack=pack), estimated, provider, terms))
    parts += [Charge(amount=row.amount, currency=row.unit) for row in cash]
    amounts = [part.amount for part in parts if part.amount is not None]
    currencies = {part.currency for part in parts}
    if len(amounts) < len(parts) or len(currencies) != 1:
        return None
    return Charge(units=counted, amount=sum(amounts, Decimal(0)), currency=currencies.pop())
