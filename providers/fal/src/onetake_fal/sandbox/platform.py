"""api.fal.ai: what the platform tells of the requests of an account.

Facts: platform API as read 2026-08-21. Unfinished requests are not listed here, because whether
they are is not documented and a client must not rely on it.
"""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import anyio.to_thread
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from onetake.sandbox import Sandbox, SandboxTask
from onetake.sandbox.app import own_url
from onetake_fal.sandbox import requests as fal_requests
from onetake_fal.sandbox import results, schema, usage

MOST = 100
CREDITS = Decimal(1000)
"""What the account has at the beginning, in USD."""

_DAY = 86_400.0


class Platform:
    """The platform's routes."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def public_routes(self) -> Sequence[Route]:
        """Return the routes that need no key, under ``/platform``."""
        return [Route("/v1/models", self._models)]

    def routes(self) -> Sequence[Route]:
        """Return the others; what there is not is told in the platform's own form."""
        return [
            Route("/v1/models/pricing", self._pricing),
            Route("/v1/models/pricing/estimate", self._estimate, methods=["POST"]),
            Route("/v1/models/billing-events", self._billing_events),
            Route("/v1/models/requests/by-endpoint", self._by_endpoint),
            Route("/v1/models/usage", self._usage),
            Route("/v1/account/billing", self._billing),
            Route("/{path:path}", _nowhere, methods=["GET", "POST", "PUT", "DELETE"]),
        ]

    async def _models(self, request: Request) -> Response:
        query = request.query_params
        wanted = _named(query)
        searched = query.get("q", "").lower()
        found = [
            name
            for name in schema.endpoints()
            if (not wanted or name in wanted) and searched in name
        ]
        category = query.get("category")
        models = [_model(name, query) for name in found]
        models = [m for m in models if category in (None, m["metadata"]["category"])]
        return self._page(query, "models", models)

    async def _pricing(self, request: Request) -> Response:
        wanted = _named(request.query_params)
        if not wanted:
            return invalid("endpoint_id: at least one is required")
        prices = [
            {
                "endpoint_id": name,
                "unit_price": float(price["usd"]),
                "unit": price["unit"],
                "currency": "USD",
            }
            for name in wanted
            if "usd" in (price := schema.endpoints().get(name, {}).get("price", {}))
        ]
        return JSONResponse({"prices": prices, "next_cursor": None, "has_more": False})

    async def _estimate(self, request: Request) -> Response:
        try:
            wanted = json.loads(await request.body())
            quantities = {
                name: Decimal(str(item.get("unit_quantity", item.get("call_quantity"))))
                for name, item in wanted["endpoints"].items()
            }
            rates = {name: schema.endpoints()[name]["price"]["usd"] for name in quantities}
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
            return invalid("endpoints: a priced endpoint and a quantity are required")
        total = sum((Decimal(rates[name]) * quantities[name] for name in quantities), Decimal(0))
        told = {"estimate_type": wanted.get("estimate_type"), "currency": "USD"}
        return JSONResponse({**told, "total_cost": float(total)})

    async def _billing_events(self, request: Request) -> Response:
        query = request.query_params
        try:
            tasks = self._billed(query)
        except ValueError:
            return invalid("start or end: the value is not valid")
        ids = [name for text in query.getlist("request_id") for name in text.split(",")]
        events = [_event(task) for task in tasks if not ids or task.id in ids]
        return self._page(query, "billing_events", events)

    def _billed(self, query: QueryParams) -> list[SandboxTask]:
        """Return the requests of a time and of some endpoints that were charged."""
        now = self._sandbox.now()
        start, end = _moment(query.get("start"), now - _DAY), _moment(query.get("end"), now + 1)
        wanted = _named(query)
        return [
            task
            for task in self._sandbox.store.tasks("fal")
            if task.phase(now) == "succeeded"
            and start <= task.ends_at < end
            and task.amount is not None
            and (not wanted or task.endpoint in wanted)
        ]

    async def _usage(self, request: Request) -> Response:
        query = request.query_params
        try:
            tasks = self._billed(query)
        except ValueError:
            return invalid("start or end: the value is not valid")
        frame = query.get("timeframe", "day")
        if frame not in usage.TIMEFRAMES:
            return invalid(f"timeframe: must be one of {', '.join(usage.TIMEFRAMES)}")
        views = [name for text in query.getlist("expand") for name in text.split(",")]
        body: dict[str, Any] = {"next_cursor": None, "has_more": False}
        if "time_series" in views or not views:
            body["time_series"] = usage.time_series(tasks, frame)
        if "summary" in views:
            body["summary"] = usage.rows(tasks)
        return JSONResponse(body)

    def _left(self) -> float:
        now = self._sandbox.now()
        amounts = [
            Decimal(task.amount)
            for task in self._sandbox.store.tasks("fal")
            if task.amount is not None and task.phase(now) == "succeeded"
        ]
        return float(CREDITS - sum(amounts, Decimal(0)))

    async def _billing(self, request: Request) -> Response:
        body: dict[str, Any] = {"username": "sandbox"}
        if "credits" in request.query_params.getlist("expand"):
            body["credits"] = {"current_balance": self._left(), "currency": "USD"}
        return JSONResponse(body)

    async def balance(self, request: Request) -> Response:
        """Answer the older question for the balance, at rest.fal.ai: a bare number (2026-08-15)."""
        return JSONResponse(self._left())

    def _page(self, query: QueryParams, member: str, items: list[Any]) -> Response:
        """Return one page of a list, with the cursor of the next."""
        try:
            limit = int(query.get("limit", "50"))
            skip = 0 if "cursor" not in query else int(base64.b64decode(query["cursor"]))
        except ValueError:
            return invalid("limit or cursor: the value is not valid")
        if limit < 1 or skip < 0:
            return invalid("limit: must be at least 1")
        more = len(items) > skip + limit
        return JSONResponse(
            {
                member: items[skip : skip + limit],
                "has_more": more,
                "next_cursor": base64.b64encode(b"%d" % (skip + limit)).decode() if more else None,
            }
        )

    async def _by_endpoint(self, request: Request) -> Response:
        query = request.query_params
        endpoints = _named(query)
        if not endpoints or len(endpoints) > 50:
            return invalid("endpoint_id: between 1 and 50 are required")
        now = self._sandbox.now()
        try:
            start = _moment(query.get("start"), now - _DAY)
            end = _moment(query.get("end"), now + 1)
            limit = int(query.get("limit", "50"))
        except ValueError:
            return invalid("start, end or limit: the value is not valid")
        if not 1 <= limit <= MOST:
            return invalid(f"limit: must be between 1 and {MOST}")
        tasks = [
            task
            for task in self._ended(endpoints, start, end, now)
            if query.get("request_id", task.id) == task.id
            and query.get("status", _outcome(task, now)) == _outcome(task, now)
        ]
        payloads = "payloads" in query.getlist("expand")
        base = own_url(request)
        items = await anyio.to_thread.run_sync(
            lambda: [self._item(task, now, base, payloads=payloads) for task in tasks]
        )
        return self._page(query, "items", items)

    def _ended(
        self, endpoints: list[str], start: float, end: float, now: float
    ) -> list[SandboxTask]:
        """Return requests that ended in a time, newest first."""
        found = [
            task
            for task in self._sandbox.store.tasks("fal")
            if task.endpoint in endpoints
            and task.phase(now) not in ("queued", "running")
            and start <= task.ends_at < end
        ]
        return sorted(found, key=lambda task: task.ends_at, reverse=True)

    def _item(self, task: SandboxTask, now: float, base: str, *, payloads: bool) -> dict[str, Any]:
        code = 200
        if task.phase(now) != "succeeded":
            code, _, _ = fal_requests.failure(task, now)
        item: dict[str, Any] = {
            "request_id": task.id,
            "endpoint_id": task.endpoint,
            "started_at": fal_requests.moment(task.starts_at),
            "sent_at": fal_requests.moment(task.accepted_at),
            "ended_at": fal_requests.moment(task.ends_at),
            "status_code": code,
            "duration": task.seconds,
        }
        if payloads:
            item["json_input"] = task.extra["input"]
            if code == 200:
                item["json_output"] = results.made(self._sandbox, task, base, sized=False)
        return item


def _outcome(task: SandboxTask, now: float) -> str:
    """Return the platform's word for how a request ended."""
    if task.phase(now) == "succeeded":
        return "success"
    return "user_error" if task.outcome in ("invalid", "moderation") else "error"


def _named(query: QueryParams) -> list[str]:
    """Return the endpoints of a query: repeated, or divided by commas."""
    return [name for text in query.getlist("endpoint_id") for name in text.split(",") if name]


def _model(name: str, query: QueryParams) -> dict[str, Any]:
    entry = schema.endpoints()[name]
    words = name.split("/")
    model: dict[str, Any] = {
        "endpoint_id": name,
        "metadata": {
            "display_name": " ".join(words[1:]).title(),
            "category": entry["task"],
            "status": "active",
            "kind": "inference",
        },
    }
    if "openapi-3.0" in query.getlist("expand"):
        model["openapi"] = json.loads(json.dumps(schema.openapi(name), default=float))
    return model


def _event(task: SandboxTask) -> dict[str, Any]:
    amount, units = Decimal(task.amount or 0), Decimal(task.units or 1)
    return {
        "request_id": task.id,
        "endpoint_id": task.endpoint,
        "timestamp": fal_requests.moment(task.ends_at),
        "output_units": float(units),
        "unit_price": float(amount / units),
        "percent_discount": 0.0,
        "cost_subtotal": float(amount),
        "cost_discount": 0.0,
        "cost_total": float(amount),
        "cost_estimate_nano_usd": int(amount * 1_000_000_000),
    }


async def _nowhere(request: Request) -> Response:
    error = {"type": "not_found", "message": "The requested resource was not found"}
    return JSONResponse({"error": error}, 404)


def invalid(message: str) -> Response:
    """Return the platform's refusal of a question."""
    return JSONResponse({"error": {"type": "validation_error", "message": message}}, 400)


def _moment(text: str | None, default: float) -> float:
    if text is None:
        return default
    moment = datetime.datetime.fromisoformat(text)
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()
