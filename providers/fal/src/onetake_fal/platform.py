"""fal's platform API: questions to it and what its answers mean. Pure; the driver asks.

Facts: the platform's OpenAPI of 2026-08-21.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from onetake.driver import Balance, Deduction, ListPrice, LostSubmission, Task

ROOT = "https://api.fal.ai/v1"
REQUESTS = f"{ROOT}/models/requests/by-endpoint"
MODELS = f"{ROOT}/models"
PRICING = f"{ROOT}/models/pricing"
BILLING_EVENTS = f"{ROOT}/models/billing-events"
BILLING = f"{ROOT}/account/billing"
CLOCK_SKEW = 120.0
"""Seconds by which this machine's clock and fal's may differ."""

AT_ONCE = 50
"""Endpoints that one question may name."""

EVENTS_AT_ONCE = 1000
EVENTS_SPAN = 90 * 86_400.0
NANO = Decimal(1_000_000_000)


def listing_query(lost: LostSubmission) -> dict[str, str]:
    """Return the query for requests of an endpoint from a submission on.

    The list's window is by end time, so only its start says anything about a lost request.
    """
    return {
        "endpoint_id": lost.submission.path,
        "start": iso(lost.sent_at - CLOCK_SKEW),
        "expand": "payloads",
        "limit": "100",
    }


def matching(listed: Sequence[Mapping[str, Any]], lost: LostSubmission) -> list[Task]:
    """Return the requests that were sent at that time with exactly that JSON."""
    body = json.loads(lost.body)
    first = lost.sent_at - CLOCK_SKEW
    last = lost.sent_at + lost.took_at_most + CLOCK_SKEW
    found: dict[str, Task] = {}
    for item in listed:
        sent = seconds(item.get("sent_at"))
        if item.get("json_input") == body and sent is not None and first <= sent <= last:
            request_id = str(item["request_id"])
            found[request_id] = Task(request_id, lost.submission.route, lost.submission.path)
    return list(found.values())


def events_queries(since: float, until: float) -> Iterator[dict[str, str]]:
    """Return the queries for what was billed in a span of time; fal counts whole seconds.

    One question may span 90 days (platform API, 2026-08-21).
    """
    while since <= until:
        end = min(until + 1, since + EVENTS_SPAN)
        yield {"start": iso(since), "end": iso(end), "limit": str(EVENTS_AT_ONCE)}
        since = end


def deduction(event: Mapping[str, Any]) -> Deduction:
    """Read one billing event; what was charged is the cost after discounts."""
    total = event.get("cost_total")
    if total is None:
        amount = Decimal(str(event["cost_estimate_nano_usd"])) / NANO
    else:
        amount = Decimal(str(total))
    told = ("output_units", "unit_price", "percent_discount", "cost_subtotal", "cost_discount")
    return Deduction(
        at=seconds(event.get("timestamp")) or 0.0,
        task_id=str(event["request_id"]),
        model=str(event.get("endpoint_id", "")),
        amount=amount,
        unit="USD",
        source="credits",
        detail={name: str(event[name]) for name in told if event.get(name) is not None},
    )


def list_price(item: Mapping[str, Any]) -> ListPrice:
    """Read one live price."""
    amount = Decimal(str(item["unit_price"]))
    return ListPrice(str(item["endpoint_id"]), str(item["unit"]), amount, str(item["currency"]))


def balances(answer: Mapping[str, Any]) -> list[Balance]:
    """Read the account's credits."""
    held = answer.get("credits")
    if not isinstance(held, Mapping):
        return []
    left = Decimal(str(held["current_balance"]))
    return [Balance("credits", left, str(held.get("currency", "USD")))]


def iso(moment: float) -> str:
    """Write a time as fal reads it."""
    found = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    return found.isoformat(timespec="seconds").replace("+00:00", "Z")


def seconds(text: Any) -> float | None:
    """Read a time of fal's, in seconds since the epoch; None if it is none."""
    try:
        moment = datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()
