"""api.fal.ai: what the platform tells of the requests of an account.

Facts: platform API as read 2026-08-21. Unfinished requests are not listed here, because whether
they are is not documented and a client must not rely on it.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from onetake.sandbox import Sandbox, SandboxTask
from onetake_fal.sandbox import requests as fal_requests

MOST = 100
_DAY = 86_400.0


class Platform:
    """The platform's routes."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Sequence[Route]:
        """Return the routes, under ``/platform``."""
        return [Route("/v1/models/requests/by-endpoint", self._by_endpoint)]

    async def _by_endpoint(self, request: Request) -> Response:
        query = request.query_params
        endpoints = [name for text in query.getlist("endpoint_id") for name in text.split(",")]
        if not endpoints or len(endpoints) > 50:
            return invalid("endpoint_id: between 1 and 50 are required")
        now = self._sandbox.now()
        try:
            start = _moment(query.get("start"), now - _DAY)
            end = _moment(query.get("end"), now + 1)
            limit = int(query.get("limit", "50"))
            skip = 0 if "cursor" not in query else int(base64.b64decode(query["cursor"]))
        except ValueError:
            return invalid("start, end, limit or cursor: the value is not valid")
        if not 1 <= limit <= MOST:
            return invalid(f"limit: must be between 1 and {MOST}")
        tasks = self._ended(endpoints, start, end, now)
        page = tasks[skip : skip + limit]
        more = len(tasks) > skip + limit
        payloads = "payloads" in query.getlist("expand")
        return JSONResponse(
            {
                "items": [self._item(task, now, payloads=payloads) for task in page],
                "has_more": more,
                "next_cursor": base64.b64encode(b"%d" % (skip + limit)).decode() if more else None,
            }
        )

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

    def _item(self, task: SandboxTask, now: float, *, payloads: bool) -> dict[str, Any]:
        code = 200
        if task.phase(now) != "succeeded":
            code, _, _ = fal_requests.failure(task, now)
        item: dict[str, Any] = {
            "request_id": task.id,
            "endpoint_id": task.endpoint,
            "started_at": _iso(task.starts_at),
            "sent_at": _iso(task.accepted_at),
            "ended_at": _iso(task.ends_at),
            "status_code": code,
            "duration": task.seconds,
        }
        if payloads:
            item["json_input"] = task.extra["input"]
        return item


def invalid(message: str) -> Response:
    """Return the platform's refusal of a question."""
    return JSONResponse({"error": {"type": "validation_error", "message": message}}, 400)


def _iso(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(text: str | None, default: float) -> float:
    if text is None:
        return default
    moment = datetime.datetime.fromisoformat(text)
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()
