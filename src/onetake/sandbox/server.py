"""Serving a sandbox on a loopback socket."""

from __future__ import annotations

import json
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

import anyio
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from onetake.errors import ConfigurationError
from onetake.sandbox.app import base_urls, build_app
from onetake.sandbox.faults import ConnectionBroken
from onetake.sandbox.service import Sandbox


class HangsUp:
    """Breaks the connection when the app says so; only a server can."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self._app(scope, receive, send)
        except ConnectionBroken as broken:
            await _break(broken, receive, send)


async def _break(broken: ConnectionBroken, receive: Receive, send: Send) -> None:
    if broken.start is not None:
        await send(broken.start)
        await send({"type": "http.response.body", "body": broken.body, "more_body": True})
    if broken.how == "stall":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    # uvicorn's send is a method of the request's cycle, which holds the transport; no public
    # way leads to it (uvicorn 0.54)
    transport: Any = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        return
    if broken.how == "reset":
        plain = transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket; port 0 chooses a free one.

    Raises:
        ConfigurationError: the host is not loopback, or the port is taken.
    """
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise ConfigurationError(
            f"host: {host!r} is not a loopback address; the sandbox listens on 127.0.0.1 or ::1 "
            "only, because it is no server for a network."
        )
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    plain = socket.socket(family, socket.SOCK_STREAM)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        plain.bind((host, port))
    except OSError as error:
        plain.close()
        raise ConfigurationError(
            f"port: {port} cannot be opened on {host}: {error.strerror}; choose another with "
            "--port, or 0 for a free one."
        ) from error
    return plain


def base_url(plain: socket.socket) -> str:
    """Return the base URL of a listening socket."""
    host, port = plain.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def build_server(sandbox: Sandbox) -> uvicorn.Server:
    """Return a server for a sandbox; run it in an event loop or a thread of its own."""
    sandbox.courier.start()
    config = uvicorn.Config(
        HangsUp(build_app(sandbox)),
        log_level="warning",
        lifespan="off",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


async def serve(
    sandbox: Sandbox, plain: socket.socket, *, ready: Callable[[dict[str, str]], None]
) -> None:
    """Serve until interrupted; ``ready`` hears the base URLs once the server answers."""
    server = build_server(sandbox)

    async def announce() -> None:
        while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
            await anyio.sleep(0.01)
        ready(base_urls(base_url(plain)))

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(announce)
            await server.serve(sockets=[plain])
            group.cancel_scope.cancel()
    finally:
        sandbox.close()


def print_urls(urls: dict[str, str]) -> None:
    """Print the one JSON line that scripts read."""
    print(json.dumps(urls), flush=True)  # noqa: T201 - this line is the interface
    sys.stdout.flush()
