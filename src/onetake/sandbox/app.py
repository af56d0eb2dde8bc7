"""The ASGI app of a sandbox: dialects under their prefixes, control under ``/_sandbox``."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from onetake import plugins
from onetake.sandbox import faults
from onetake.sandbox.recorder import Recorder
from onetake.sandbox.service import Sandbox

Dialect = Callable[[Sandbox], Sequence[BaseRoute]]
"""What a provider brings: a function from the sandbox to its routes."""


def build_app(sandbox: Sandbox) -> ASGIApp:
    """Return the app with the dialects of all installed providers."""
    routes: list[BaseRoute] = [Mount("/_sandbox", routes=_control(sandbox))]
    for card in plugins.registry().cards.values():
        if card.dialect is not None:
            dialect: Dialect = plugins.load(card, "sandbox dialect", card.dialect)
            routes.extend(dialect(sandbox))
    app = Starlette(routes=routes)
    return Recorder(faults.FaultyApp(app, sandbox.faults, sandbox.clock), sandbox)


def base_urls(base: str) -> dict[str, str]:
    """Return the table of DESIGN §10 for a base URL; clients are pointed at these."""
    return {
        "kling": f"{base}/kling",
        "fal_queue": f"{base}/fal/queue",
        "fal_run": f"{base}/fal/run",
        "fal_rest": f"{base}/fal/rest",
        "fal_cdn": f"{base}/fal/cdn",
        "fal_platform": f"{base}/fal/platform",
        "kling_cdn": f"{base}/kling/cdn",
        "fal_media": f"{base}/fal/media",
        "control": f"{base}/_sandbox",
    }


def own_url(request: Request) -> str:
    """Return the base URL under which a client reached the sandbox."""
    return f"{request.url.scheme}://{request.url.netloc}"


def _control(sandbox: Sandbox) -> list[BaseRoute]:
    async def about(request: Request) -> Response:
        return JSONResponse(base_urls(own_url(request)))

    async def reset(request: Request) -> Response:
        sandbox.store.reset()
        sandbox.faults.clear()
        return JSONResponse({"reset": True})

    async def charges(request: Request) -> Response:
        now = sandbox.now()
        return JSONResponse([task.charge(now) for task in sandbox.store.tasks()])

    async def jobs(request: Request) -> Response:
        now = sandbox.now()
        tasks = sandbox.store.tasks()
        return JSONResponse([{**task.to_json(), "phase": task.phase(now)} for task in tasks])

    async def advance(request: Request) -> Response:
        seconds = (await _object(request)).get("seconds")
        if not isinstance(seconds, int | float) or not 0 <= seconds <= 1e9:
            return _bad("seconds: a number of seconds from 0 to 1e9")
        sandbox.advance(float(seconds))
        return JSONResponse({"now": sandbox.now()})

    async def armed(request: Request) -> Response:
        if request.method == "POST":
            return _arm(sandbox, await _object(request))
        if request.method == "DELETE":
            sandbox.faults.clear()
        return JSONResponse(sandbox.faults.armed())

    return [
        Route("/", about),
        Route("/reset", reset, methods=["POST"]),
        Route("/requests", _listing(sandbox.store.requests)),
        Route("/charges", charges),
        Route("/jobs", jobs),
        Route("/advance", advance, methods=["POST"]),
        Route("/faults", armed, methods=["GET", "POST", "DELETE"]),
    ]


def _listing(rows: Callable[[], list[Any]]) -> Callable[[Request], Awaitable[Response]]:
    async def listed(request: Request) -> Response:
        return JSONResponse(rows())

    return listed


def _arm(sandbox: Sandbox, wanted: dict[str, Any]) -> Response:
    name, times = wanted.get("fault"), wanted.get("times", 1)
    match = wanted.get("match", {})
    if not isinstance(name, str) or not faults.known(name):
        return _bad(f"fault: {name!r} is unknown")
    if not isinstance(times, int) or times < 1:
        return _bad("times: a whole number, 1 or more")
    texts = isinstance(match, dict) and all(isinstance(value, str) for value in match.values())
    if not texts or set(match) - {"method", "path", "provider"}:
        return _bad("match: an object with the texts method, path and provider at most")
    sandbox.faults.arm(faults.Fault(name, match, times, bool(wanted.get("after", False))))
    return JSONResponse({"armed": name, "times": times})


async def _object(request: Request) -> dict[str, Any]:
    try:
        value = json.loads(await request.body() or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _bad(message: str) -> Response:
    return JSONResponse({"error": message}, status_code=400)
