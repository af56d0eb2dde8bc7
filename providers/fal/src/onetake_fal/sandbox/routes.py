"""Paths of fal: queue, direct runs, storage, media, platform."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import anyio.to_thread
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from onetake.sandbox import Sandbox, SandboxTask
from onetake.sandbox.app import own_url
from onetake_fal.plugin import CARD
from onetake_fal.sandbox import requests as fal_requests
from onetake_fal.sandbox import results, schema, webhooks
from onetake_fal.sandbox.platform import Platform
from onetake_fal.sandbox.storage import Storage

KEY = "sandbox:sandbox"
STREAM_INTERVAL = 0.05
PING_SECONDS = 15.0
"""Between two comments on a stream where nothing happens; fal's pace is not documented."""

_REQUEST = re.compile(
    r"^(?P<app>.+)/requests/(?P<id>[^/]+)(?P<rest>/status/stream|/status|/cancel|/response)?$"
)
Handler = Callable[[Request], Awaitable[Response]]
_IN_BROWSERS = Middleware(
    CORSMiddleware,
    allow_origins=["*"],
    allow_methods=["*"],
    allow_headers=["*"],
    expose_headers=["x-fal-request-id", "x-fal-billable-units", "x-fal-error-type"],
)
"""As fal's apps and CDN answer (fal's open-source server, read 2026-08-21; CDN seen 2026-09-27)."""


def routes(sandbox: Sandbox) -> Sequence[BaseRoute]:
    """Return the dialect's routes, under ``/fal``."""
    storage, queue = Storage(sandbox), Queue(sandbox)
    rest = [
        Route(route.path, keyed(route.endpoint), methods=["POST"])
        for route in storage.rest_routes()
        if isinstance(route, Route)
    ]
    platform = Platform(sandbox)
    rest += [
        Route("/.well-known/jwks.json", _jwks(sandbox)),
        Route("/billing/user_balance", keyed(platform.balance)),
    ]
    asked = [
        Route(route.path, keyed(route.endpoint, _unauthorised), methods=route.methods)
        for route in platform.routes()
    ]
    return [
        Mount(
            "/fal",
            middleware=[_IN_BROWSERS],
            routes=[
                Route("/queue/{path:path}", keyed(queue.serve), methods=["GET", "POST", "PUT"]),
                Route("/run/{path:path}", keyed(queue.run), methods=["POST"]),
                Mount("/rest", routes=rest),
                Mount("/platform", routes=[*platform.public_routes(), *asked]),
                Mount("/cdn", routes=list(storage.cdn_routes())),
                Route("/media/{id}/{name}", queue.media),
                Route("/proxy", _to_target, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            ],
        )
    ]


_LOCKED = (
    "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
)
"""As reported 2026-07-13 and 2026-08-15."""


def _jwks(sandbox: Sandbox) -> Handler:
    async def jwks(request: Request) -> Response:
        return JSONResponse(webhooks.jwks(sandbox))

    return jwks


async def _to_target(request: Request) -> Response:
    """Stand in for a proxy of a web app: a client names its target in a header, and has no key."""
    target = urllib.parse.urlsplit(request.headers.get("x-fal-target-url", ""))
    place = CARD.sandbox_hosts.get(target.netloc)
    if place is None:
        return JSONResponse({"detail": "x-fal-target-url names no host of fal"}, 400)
    return _Forwarded(place + target.path, target.query)


class _Forwarded(Response):
    """Serves the request once more, under another path of the same app, with the proxy's key."""

    def __init__(self, path: str, query: str) -> None:
        super().__init__()
        self._path, self._query = path, query

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
        headers.append((b"authorization", f"Key {KEY}".encode()))
        again = {**scope, "path": self._path, "query_string": self._query.encode()}
        again["headers"] = headers
        for name in ("root_path", "app_root_path", "path_params", "endpoint"):
            again.pop(name, None)
        await scope["app"](
            {**again, "root_path": "", "raw_path": self._path.encode()}, receive, send
        )


def _unauthorised(key: str, request: Request) -> Response:
    """The platform's own form of a refused key."""
    error = {"type": "authorization_error", "message": "Invalid API key"}
    return JSONResponse({"error": error}, 401)


def _refused_key(key: str, request: Request) -> Response:
    """The words of the gateways; those of reads were seen at the queue (June and Sept. 2026)."""
    text = "No user found for Key ID and Secret"
    if ":" not in key:
        expected = "Expected '<key_id>:<key_secret>'."
        text = f"Invalid Key Authorization header format. {expected}"
    elif request.method != "POST":
        text = "invalid key credentials"
    return JSONResponse({"detail": text}, 401)


def keyed(handler: Handler, refuse: Callable[[str, Request], Response] = _refused_key) -> Handler:
    """Let a handler run only for the sandbox's key."""

    async def checked(request: Request) -> Response:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme not in ("Key", "Bearer") or key.strip() != KEY:
            return refuse(key, request)
        return await handler(request)

    return checked


class Queue:
    """queue.fal.run and fal.run."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def serve(self, request: Request) -> Response:
        """Serve one request by its path; the app's sub path may be there or not."""
        path = request.path_params["path"].strip("/")
        match = _REQUEST.match(path)
        if request.method == "POST":  # at a request's URLs, too: its app then has no such path
            return await self._submit(path, request)
        if match is None or not self._is_served(match):
            return JSONResponse({"detail": "Method Not Allowed"}, 405)
        task = self._sandbox.store.task("fal", match["id"])
        if task is None or not self._is_shown(task, path):
            return JSONResponse({"status": "NOT_FOUND"}, 404)
        actions: dict[tuple[str, str], Handler] = {
            ("GET", "/status"): lambda r: self._status(task, r),
            ("GET", "/status/stream"): lambda r: self._stream(task, r),
            ("GET", ""): lambda r: self._result(task, r),
            ("GET", "/response"): lambda r: self._result(task, r),
            ("PUT", "/cancel"): lambda r: self._cancel(task),
        }
        action = actions.get((request.method, match["rest"] or ""))
        if action is None:
            return JSONResponse({"detail": "Method Not Allowed"}, 405)
        response = await action(request)
        response.headers["x-fal-request-id"] = task.id
        return response

    def _is_served(self, match: re.Match[str]) -> bool:
        """Say whether there is such a URL; fal's pages show more than users found (2026)."""
        own = match["app"] == schema.app_of(match["app"]) and match["rest"] != "/response"
        return own or not self._sandbox.settings.strict_paths

    def _is_shown(self, task: SandboxTask, path: str) -> bool:
        """A request is known under its app only, and for as long as the vendor keeps it."""
        forgotten = fal_requests.is_forgotten(task, self._sandbox.now())
        return not forgotten and path.startswith(f"{schema.app_of(task.endpoint)}/")

    async def _submit(self, endpoint: str, request: Request) -> Response:
        accepted = await self._accept(endpoint, request)
        if isinstance(accepted, Response):
            return accepted
        webhook = request.query_params.get("fal_webhook")
        if webhook:
            webhooks.announce(self._sandbox, accepted, webhook, own_url(request))
        body = fal_requests.submitted(accepted, own_url(request))
        return JSONResponse(body, headers={"x-fal-request-id": accepted.id})

    async def _accept(self, path: str, request: Request) -> SandboxTask | Response:
        if self._sandbox.faults.take_flag("lock_account", "fal", path):
            return JSONResponse({"detail": _LOCKED}, 403)
        app = schema.app_of(path)
        if path not in schema.endpoints() and app not in schema.apps():
            name = app.partition("/")[2]
            return JSONResponse({"detail": f'Application "{name}" not found'}, 404)
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            item = {"loc": ["body"], "msg": "JSON decode error", "type": "json_invalid"}
            return JSONResponse({"detail": [item]}, 422)
        direct = "/run/" in request.url.path
        if path not in schema.endpoints():
            rest = "" if _REQUEST.match(path) and path.startswith(f"{app}/requests/") else path
            return fal_requests.accept_nowhere(
                self._sandbox, app, rest.removeprefix(app), body, direct=direct
            )
        if self._sandbox.settings.validate == "submit":
            wrong = schema.problems(path, body)
            if wrong:
                return JSONResponse({"detail": wrong}, 422)
        limit = request.query_params.get("fal_max_queue_length", "")
        if limit.isdigit() and self._queued(path) > int(limit):
            return JSONResponse({"detail": "The queue of this endpoint is full"}, 429)
        patience = _seconds(request.headers.get("x-fal-request-timeout"))
        return fal_requests.accept(self._sandbox, path, body, direct=direct, patience=patience)

    def _place(self, task: SandboxTask, now: float) -> int:
        """Return how many of the endpoint's requests wait before this one."""
        return sum(
            other.endpoint == task.endpoint
            and other.accepted_at < task.accepted_at
            and other.phase(now) == "queued"
            for other in self._sandbox.store.tasks("fal")
        )

    def _queued(self, endpoint: str) -> int:
        now = self._sandbox.now()
        tasks = self._sandbox.store.tasks("fal")
        return sum(task.endpoint == endpoint and task.phase(now) == "queued" for task in tasks)

    def _running_directly(self) -> int:
        now = self._sandbox.now()
        tasks = self._sandbox.store.tasks("fal")
        return sum(
            bool(task.extra.get("direct")) and task.phase(now) in ("queued", "running")
            for task in tasks
        )

    async def _status(self, task: SandboxTask, request: Request) -> Response:
        now, base = self._sandbox.now(), own_url(request)
        place = self._place(task, now)
        code, body = fal_requests.status(task, now, base, logs=_wants_logs(request), place=place)
        return JSONResponse(body, code)

    async def _stream(self, task: SandboxTask, request: Request) -> Response:
        events = self._events(task, own_url(request), _wants_logs(request))
        return StreamingResponse(events, media_type="text/event-stream")

    async def _events(self, task: SandboxTask, base: str, logs: bool) -> AsyncIterator[str]:
        """Yield one event per change and end after the last; logs are incremental.

        While nothing changes, comments keep the connection open, as fal's do.
        """
        last, told = None, 0
        said_at = self._sandbox.now()
        while True:
            current = self._sandbox.store.task("fal", task.id) or task
            now = self._sandbox.now()
            _, body = fal_requests.status(current, now, base, logs=logs, after=told)
            if body["status"] != last:
                yield f"data: {json.dumps(body)}\n\n"
                last = body["status"]
                told = len(fal_requests.log_lines(current, now))
                said_at = now
            if last == "COMPLETED":
                return
            if now - said_at >= PING_SECONDS:
                yield ": ping\n\n"
                said_at = now
            await self._sandbox.clock.sleep(STREAM_INTERVAL)

    async def _result(self, task: SandboxTask, request: Request) -> Response:
        now = self._sandbox.now()
        phase = task.phase(now)
        if phase in ("queued", "running"):
            return JSONResponse({"detail": "Request is still in progress"}, 400)
        if phase != "succeeded" or fal_requests.has_flag(task, "inner_error"):
            code, body, headers = fal_requests.failure(task, now)
            return JSONResponse(body, code, headers=headers)
        units = {"x-fal-billable-units": task.units} if task.units else None
        return JSONResponse(
            await results.result(self._sandbox, task, own_url(request)), headers=units
        )

    async def _cancel(self, task: SandboxTask) -> Response:
        now = self._sandbox.now()
        phase = task.phase(now)
        if phase in ("succeeded", "failed", "cancelled"):
            return JSONResponse({"status": "ALREADY_COMPLETED"}, 400)
        cancelled = dataclasses.replace(task, cancelled_at=now)
        self._sandbox.store.change_task(cancelled)
        if phase == "queued":
            return JSONResponse({"status": "OK"}, 200)
        return JSONResponse({"status": "CANCELLATION_REQUESTED"}, 202)

    async def run(self, request: Request) -> Response:
        """Serve a direct run: wait, then answer with the result. Too many at once are refused."""
        if self._running_directly() >= self._sandbox.settings.concurrency:
            detail = {
                "detail": "Too many concurrent requests",
                "error_type": "concurrent_requests_limit",
            }
            return JSONResponse(detail, 429, headers={"x-fal-needs-retry": "1"})
        accepted = await self._accept(request.path_params["path"].strip("/"), request)
        if isinstance(accepted, Response):
            return accepted
        while accepted.phase(self._sandbox.now()) in ("queued", "running"):
            await self._sandbox.clock.sleep(STREAM_INTERVAL)
        response = await self._result(accepted, request)
        response.headers["x-fal-request-id"] = accepted.id
        return response

    async def media(self, request: Request) -> Response:
        """Serve a result's file; links of fal need no key and are public."""
        found = self._sandbox.store.task("fal", request.path_params["id"])
        if found is None or found.phase(self._sandbox.now()) != "succeeded":
            return JSONResponse({"detail": "not found"}, 404)
        file = results.file_of(found, request.path_params["name"])
        if file is None:
            return JSONResponse({"detail": "not found"}, 404)
        path = await anyio.to_thread.run_sync(results.path_of, self._sandbox, file)
        return FileResponse(path, media_type=file["type"])


def _seconds(text: str | None) -> float | None:
    """Return a header's seconds; what is no number from 0 is ignored."""
    try:
        seconds = float(text or "nan")
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


def _wants_logs(request: Request) -> bool:
    """The Python client says ``true``, the JavaScript client ``1``."""
    return request.query_params.get("logs", "0").lower() in ("1", "true")
