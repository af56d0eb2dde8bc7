"""Faults: what can go wrong between a vendor and a client, on demand.

``POST /_sandbox/faults {"match": {...}, "fault": NAME, "times": N}`` arms a fault for the next N
requests that match. ``match`` may name ``method``, ``provider`` (first path segment) and ``path``
(a part of the path). Faults that break the answer let the request be accepted first, because
that is the case that costs money; ``drop_before_accept``, ``stall_before_accept`` and
``http_NNN`` do not, unless ``"after": true`` is given.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onetake.clock import Clock

BROKEN_ANSWERS = ("drop_after_accept", "reset", "stall", "stall_midway", "half_body")
CHANGED_ANSWERS = ("bad_json", "nginx_502", "slow", "truncate_file")
BEFORE = ("drop_before_accept", "stall_before_accept", "expire_url")
FLAGS = (
    "fail_task", "lose_webhook", "double_webhook", "reorder_webhooks", "requeue", "inner_error",
    "forget_task", "lock_account",
)  # fmt: skip
"""Faults that a dialect asks for by name: of a task, or of its callbacks."""
ON_FILES = ("expire_url", "truncate_file")
FILES = ("/cdn/", "/media/", "/files/")
SLOW_SECONDS = 3.0

_NGINX = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad "
    b"Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


def known(name: str) -> bool:
    """Say whether a fault of that name exists."""
    names = (*BROKEN_ANSWERS, *CHANGED_ANSWERS, *BEFORE, *FLAGS)
    return name in names or re.fullmatch(r"http_[2-5]\d\d", name) is not None


class ConnectionBroken(Exception):
    """The connection is to break now.

    Attributes:
        how: ``close``, ``reset`` or ``stall``.
        start: an answer's start that is to be sent before, or None.
        body: the part of its body that is to be sent before.
    """

    def __init__(self, how: str, start: Message | None = None, body: bytes = b"") -> None:
        super().__init__(how)
        self.how = how
        self.start = start
        self.body = body


@dataclass
class Fault:
    """An armed fault."""

    name: str
    match: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    after: bool = False

    def matches(self, scope: Scope) -> bool:
        """Say whether it is meant for this request."""
        path = re.sub("/{2,}", "/", scope["path"])  # some dialects read it so
        if self.match.get("method", scope["method"]).upper() != scope["method"]:
            return False
        if self.match.get("provider", path.split("/")[1]) != path.split("/")[1]:
            return False
        if self.name in ON_FILES and not any(place in path for place in FILES):
            return False
        return self.match.get("path", "") in path


class Faults:
    """The armed faults of a sandbox."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        """Arm a fault."""
        with self._lock:
            self._armed.append(fault)

    def armed(self) -> list[dict[str, Any]]:
        """Return the faults that have not been used up; one that is gone has happened."""
        with self._lock:
            return [
                {"fault": fault.name, "match": dict(fault.match), "times": fault.times}
                for fault in self._armed
            ]

    def clear(self) -> None:
        """Disarm all."""
        with self._lock:
            self._armed.clear()

    def take(self, scope: Scope) -> Fault | None:
        """Use up one shot of the first fault for this request, or return None."""
        with self._lock:
            for fault in self._armed:
                if fault.name not in FLAGS and fault.matches(scope):
                    return self._shot(fault)
        return None

    def take_flag(self, name: str, provider: str, path: str) -> bool:
        """Use up one shot of a fault that a dialect asks for by name."""
        with self._lock:
            for fault in self._armed:
                meant = fault.match.get("provider", provider) == provider
                if fault.name == name and meant and fault.match.get("path", "") in path:
                    self._shot(fault)
                    return True
        return False

    def _shot(self, fault: Fault) -> Fault:
        fault.times -= 1
        if fault.times <= 0:
            self._armed.remove(fault)
        return fault


class FaultyApp:
    """Wraps the app of a sandbox; everything passes through unless a fault is armed."""

    def __init__(self, app: ASGIApp, faults: Faults, clock: Clock) -> None:
        self._app = app
        self._faults = faults
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        fault = None
        if scope["type"] == "http" and not scope["path"].startswith("/_sandbox"):
            fault = self._faults.take(scope)
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.name in BEFORE or (fault.name.startswith("http_") and not fault.after):
            await _read_whole(receive)
            await self._before(fault, scope, send)
        else:
            start, body = await self._served(scope, receive)
            await self._break(fault, start, body, scope, send)

    async def _before(self, fault: Fault, scope: Scope, send: Send) -> None:
        """Answer, or hang up, without the app having seen the request."""
        if fault.name == "drop_before_accept":
            raise ConnectionBroken("close")
        if fault.name == "stall_before_accept":
            raise ConnectionBroken("stall")
        if fault.name == "expire_url":
            await _answer(send, 403, b"<Error><Code>AccessDenied</Code></Error>", "application/xml")
        else:
            await _status(send, int(fault.name[5:]), scope)

    async def _served(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        return messages[0], b"".join(message.get("body", b"") for message in messages[1:])

    async def _break(
        self, fault: Fault, start: Message, body: bytes, scope: Scope, send: Send
    ) -> None:
        name = fault.name
        if name in ("drop_after_accept", "reset", "stall"):
            raise ConnectionBroken({"drop_after_accept": "close"}.get(name, name))
        if name in ("half_body", "stall_midway"):
            how = "close" if name == "half_body" else "stall"
            raise ConnectionBroken(how, start, body[: len(body) // 2])
        if name == "bad_json":
            await _answer(send, 200, body[: max(1, len(body) - 2)], "application/json")
        elif name == "truncate_file":
            # the length fits the half that is sent: only opening the file can tell
            await _answer(send, 200, body[: len(body) // 2], "video/mp4")
        elif name == "nginx_502":
            await _answer(send, 502, _NGINX, "text/html")
        elif name.startswith("http_"):
            await _status(send, int(name[5:]), scope)
        else:
            await self._clock.sleep(SLOW_SECONDS)
            await send(start)
            await send({"type": "http.response.body", "body": body})


async def _read_whole(receive: Receive) -> None:
    while (await receive()).get("more_body", False):
        pass


async def _status(send: Send, status: int, scope: Scope) -> None:
    """Answer with a status; a redirect names the same place, as a moved host does."""
    query = scope["query_string"]
    place = scope["path"].encode() + (b"?" + query if query else b"")
    body = b'{"detail":"a fault of the sandbox","message":"a fault of the sandbox"}'
    if status in (204, 304):
        body = b""
    await _answer(send, status, body, "application/json", place)


async def _answer(
    send: Send, status: int, body: bytes, media_type: str, place: bytes = b""
) -> None:
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    if 300 <= status < 400:
        headers.append((b"location", place))
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
