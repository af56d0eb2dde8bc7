"""Keeping a record of every request, so that a test can see what a client really did."""

from __future__ import annotations

import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onetake.sandbox.service import Sandbox

LONG = 300
"""Strings longer than this are kept as their length."""

_SECRET = ("authorization", "cookie", "x-fal-key")


class Recorder:
    """Wraps the app; remembers method, path, query, headers, body and status."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and remember it."""
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox"):
            await self._app(scope, receive, send)
            return
        body = bytearray()
        status: list[int] = []

        async def listen() -> Message:
            message = await receive()
            if message["type"] == "http.request" and len(body) < 32_000_000:
                body.extend(message.get("body", b""))
            return message

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
            await send(message)

        try:
            await self._app(scope, listen, note)
        finally:
            self._sandbox.store.record(_record(self._sandbox.now(), scope, bytes(body), status))


def _record(now: float, scope: Scope, body: bytes, status: list[int]) -> dict[str, Any]:
    headers = {key.decode(): value.decode("latin-1") for key, value in scope["headers"]}
    return {
        "at": now,
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "provider": scope["path"].split("/")[1],
        "headers": {key: "…" if key in _SECRET else text for key, text in headers.items()},
        "body": _readable(body, headers.get("content-type", "")),
        "status": status[0] if status else None,
    }


def _readable(body: bytes, media_type: str) -> Any:
    if not body:
        return None
    if "json" in media_type:
        try:
            return _short(json.loads(body))
        except ValueError:
            return body[:LONG].decode("utf-8", "replace")
    return f"<{len(body)} bytes of {media_type or 'unknown type'}>"


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONG:
        return f"<{len(value)} characters>"
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_short(item) for item in value]
    return value
