"""A sandbox on a loopback socket, for the length of a test."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx

from onetake.clock import Clock


class SandboxServer:
    """A running sandbox and its control routes.

    Attributes:
        url: base URL, for ``get_provider(..., sandbox=url)`` or ``ONETAKE_SANDBOX``.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        # a connection that was idle may be closed by the server while a request is on its way
        afresh = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(base_url=f"{url}/_sandbox", timeout=30, limits=afresh)

    def charges(self) -> list[dict[str, Any]]:
        """Return a row for every job that was ever accepted."""
        return self._get("charges")

    def requests(self, *, method: str | None = None, path: str = "") -> list[dict[str, Any]]:
        """Return the requests that were made, filtered."""
        return [
            request
            for request in self._get("requests")
            if method in (None, request["method"]) and path in request["path"]
        ]

    def jobs(self) -> list[dict[str, Any]]:
        """Return the tasks as the emulated vendors know them."""
        return self._get("jobs")

    def fail(self, fault: str, times: int = 1, *, after: bool = False, **match: str) -> None:
        """Arm a fault for the next requests that match (``method``, ``path``, ``provider``)."""
        body = {"fault": fault, "times": times, "match": match, "after": after}
        self._client.post("/faults", json=body).raise_for_status()

    def armed(self) -> list[dict[str, Any]]:
        """Return the faults that have not been used up."""
        return self._get("faults")

    def advance(self, seconds: float) -> None:
        """Move the sandbox's time ahead."""
        self._client.post("/advance", json={"seconds": seconds}).raise_for_status()

    def reset_faults(self) -> None:
        """Disarm what has not been used up."""
        self._client.delete("/faults").raise_for_status()

    def reset(self) -> None:
        """Forget everything."""
        self._client.post("/reset").raise_for_status()

    def close(self) -> None:
        """Close the connection to the control routes."""
        self._client.close()

    def _get(self, path: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._client.get(f"/{path}").raise_for_status().json()
        return rows


@contextlib.contextmanager
def sandbox_server(*, clock: Clock | None = None, **settings: Any) -> Iterator[SandboxServer]:
    """Serve a sandbox in a thread; keyword arguments are those of ``SandboxSettings``.

    Jobs take no time and films have few frames unless told otherwise.
    """
    from onetake.sandbox import Sandbox, SandboxSettings
    from onetake.sandbox.server import base_url, build_server, listen

    chosen = SandboxSettings(**{"seconds_per_job": 0.0, "media": "fast", **settings})
    sandbox = Sandbox(chosen, clock)
    plain = listen("127.0.0.1", 0)
    server = build_server(sandbox)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [plain]}, daemon=True)
    thread.start()
    control = SandboxServer(base_url(plain))
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the sandbox server did not start")
            time.sleep(0.005)
        yield control
    finally:
        control.close()
        server.should_exit = True
        thread.join(10)
        plain.close()
        sandbox.close()


@contextlib.contextmanager
def sandbox_process(*options: str) -> Iterator[SandboxServer]:
    """Serve a sandbox in a process of its own; ``options`` are those of ``sandbox serve``."""
    command = [sys.executable, "-m", "onetake", "sandbox", "serve", "--port", "0", *options]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdout is not None
        urls = json.loads(child.stdout.readline())
        server = SandboxServer(urls["control"].removesuffix("/_sandbox"))
        try:
            yield server
        finally:
            server.close()
            child.kill()
