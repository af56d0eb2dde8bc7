"""Usage: what was billed, summed by endpoint and by time.

Facts: platform API as read 2026-08-21. Readers use ``cost`` or ``cost_total``: both are given.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from onetake.sandbox import SandboxTask
from onetake_fal.sandbox import schema

_Moment = datetime.datetime


def _midnight(at: _Moment) -> _Moment:
    return at.replace(hour=0, minute=0)


TIMEFRAMES: Mapping[str, Callable[[_Moment], _Moment]] = {
    "minute": lambda at: at,
    "hour": lambda at: at.replace(minute=0),
    "day": _midnight,
    "week": lambda at: _midnight(at) - datetime.timedelta(days=at.weekday()),
    "month": lambda at: _midnight(at.replace(day=1)),
}
"""Where the period begins that a moment is in (UTC, whole minutes)."""


def rows(tasks: Iterable[SandboxTask]) -> list[dict[str, Any]]:
    """Return one row for each endpoint that was charged, dearest first."""
    by_endpoint: dict[str, list[SandboxTask]] = defaultdict(list)
    for task in tasks:
        by_endpoint[task.endpoint].append(task)
    found = [_row(endpoint, some) for endpoint, some in by_endpoint.items()]
    return sorted(found, key=lambda row: (-row["cost"], row["endpoint_id"]))


def _row(endpoint: str, tasks: list[SandboxTask]) -> dict[str, Any]:
    quantity = sum((Decimal(task.units or 1) for task in tasks), Decimal(0))
    cost = sum((Decimal(task.amount or 0) for task in tasks), Decimal(0))
    return {
        "endpoint_id": endpoint,
        "unit": schema.endpoints()[endpoint].get("price", {}).get("unit"),
        "quantity": float(quantity),
        "unit_price": float(cost / quantity) if quantity else 0.0,
        "percent_discount": 0.0,
        "cost_subtotal": float(cost),
        "cost_discount": 0.0,
        "cost_total": float(cost),
        "cost": float(cost),
        "currency": "USD",
        "auth_method": "sandbox",
    }


def time_series(tasks: Iterable[SandboxTask], timeframe: str) -> list[dict[str, Any]]:
    """Return the rows of each period in which something was charged, oldest first."""
    periods: dict[_Moment, list[SandboxTask]] = defaultdict(list)
    for task in tasks:
        at = _Moment.fromtimestamp(task.ends_at, datetime.UTC).replace(second=0, microsecond=0)
        periods[TIMEFRAMES[timeframe](at)].append(task)
    return [
        {"bucket": begins.isoformat(), "results": rows(periods[begins])}
        for begins in sorted(periods)
    ]
