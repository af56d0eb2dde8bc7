"""The vendor's books: packs, and what was taken from them and from the balance.

Facts: vendor pages of 2026-09-20.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from onetake.driver import Balance, Deduction

Ask = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
PACE = 1.0
"""Seconds between two questions for the packs: the vendor asks for one a second at most."""

PAGE = 500
_YEAR = 365 * 86_400


def query(now: float) -> dict[str, str]:
    """Return the query for the packs of a year."""
    return {"start_time": str(int((now - _YEAR) * 1000)), "end_time": str(int(now * 1000))}


def packs_in_use(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the packs that can pay; an account without any has no list at all."""
    return [
        pack
        for pack in data.get("resource_pack_subscribe_infos") or ()
        if pack.get("status") in ("online", "toBeOnline")
    ]


def balance(pack: Mapping[str, Any]) -> Balance:
    """Return a pack in neutral words."""
    ends = pack.get("invalid_time")
    return Balance(
        name=pack["resource_pack_name"],
        remaining=Decimal(str(pack["remaining_quantity"])),
        unit="units",
        expires_at=None if ends is None else ends / 1000,
    )


async def deductions(ask: Ask, since: float, until: float) -> Sequence[Deduction]:
    """Read both ledgers, units and cash; oldest first."""
    span = {"start_time": int(since * 1000), "end_time": int(until * 1000), "limit": PAGE}
    rows = [
        *[_from_pack(row) for row in await _all(ask, "/account/billing/package", span)],
        *[_from_balance(row) for row in await _all(ask, "/account/billing/balance", span)],
    ]
    return sorted(rows, key=lambda row: (row.at, row.task_id))


async def _all(ask: Ask, path: str, span: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    body: Mapping[str, Any] = span
    while True:
        data = await ask(path, body) or {}
        rows.extend((data.get("result") or {}).get("detail") or ())
        cursor = data.get("next_cursor")
        if not data.get("has_more") or not cursor:
            return rows
        body = {"cursor": cursor, "limit": PAGE}  # a cursor overrides all the rest


def _from_pack(row: Mapping[str, Any]) -> Deduction:
    product = str(row.get("product_type", ""))
    deduction = _deduction(row, "units", product)
    return dataclasses.replace(deduction, pack=product.replace("_", "-") or None)


def _from_balance(row: Mapping[str, Any]) -> Deduction:
    return _deduction(row, str(row.get("currency", "")), str(row.get("cash_type", "")))


def _deduction(row: Mapping[str, Any], unit: str, source: str) -> Deduction:
    return Deduction(
        at=int(row["deduction_time"]) / 1000,
        task_id=str(row["task_id"]),
        model=str(row.get("model_name", "")),
        amount=Decimal(str(row["deduction_amount"])),
        unit=unit,
        source=source,
        detail=dict(row),
    )
