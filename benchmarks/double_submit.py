"""How many paid jobs one call creates when answers get lost.

A server takes the whole POST, creates the job, and then breaks the answer: three times in a row,
then the network is well again. Beside each other, in one run: fal-client (blocking and async,
with and without ``start_timeout``), and onetake with fal and with Kling. For each fault: POSTs
that the server saw, jobs that it created (each is paid), and whether the caller got a result.

    python benchmarks/double_submit.py [--write]

``--write`` keeps the figures in ``double_submit.json``; the README's table is made from it.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio

from onetake import GenerationRequest, OnetakeError, get_provider
from onetake.settings import Settings
from onetake.testing import SandboxServer, sandbox_server

TIMES = 3
HANG = 2.0
"""Seconds after which every client here takes a silent server for lost (defaults: minutes)."""

FAULTS = {
    "drops": ("drop_after_accept", False),
    "resets": ("reset", False),
    "hangs": ("stall", False),
    "half an answer": ("half_body", False),
    "503": ("http_503", True),
    "nginx 502": ("nginx_502", False),
    "408": ("http_408", True),
    "409": ("http_409", True),
    "429": ("http_429", True),
    "307": ("http_307", True),
}
FAL = "fal-ai/kling-video/v2.6/pro/text-to-video"
RESULTS = Path(__file__).with_name("double_submit.json")


@dataclass(frozen=True)
class Outcome:
    """What one call did."""

    posts: int
    jobs: int
    result: bool


def fal_client_blocking(server: SandboxServer, start_timeout: float | None) -> bool:
    """fal's client, blocking."""
    import fal_client

    client = fal_client.SyncClient(key="sandbox:sandbox", default_timeout=HANG)
    with contextlib.suppress(Exception):
        client.submit(FAL, {"prompt": "x"}, start_timeout=start_timeout)
        return True
    return False


def fal_client_async(server: SandboxServer, start_timeout: float | None) -> bool:
    """fal's client, async."""
    import fal_client

    async def main() -> bool:
        client = fal_client.AsyncClient(key="sandbox:sandbox", default_timeout=HANG)
        with contextlib.suppress(Exception):
            await client.submit(FAL, {"prompt": "x"}, start_timeout=start_timeout)
            return True
        return False

    return asyncio.run(main())


def onetake(provider: str, server: SandboxServer) -> bool:
    """Ours: generate, with its file."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(
            home=Path(home), submit_timeout=HANG, submit_patience=60, sandbox_seconds_per_job=0
        )

        async def main() -> bool:
            request = GenerationRequest("x", model="kling-v2.6-pro-text")
            async with get_provider(provider, sandbox=server.url, settings=settings) as vendor:
                with contextlib.suppress(OnetakeError):
                    result = await vendor.generate(request)
                    return result.path.stat().st_size > 0
                return False

        return anyio.run(main)


Client = Callable[[SandboxServer], bool]
CLIENTS: dict[str, Client] = {
    "fal-client `submit()`": lambda s: fal_client_blocking(s, None),
    "fal-client `submit(start_timeout=…)`": lambda s: fal_client_blocking(s, 3600),
    "fal-client `submit_async()`": lambda s: fal_client_async(s, None),
    "fal-client `submit_async(start_timeout=…)`": lambda s: fal_client_async(s, 3600),
    "onetake, fal": lambda s: onetake("fal", s),
    "onetake, Kling": lambda s: onetake("kling", s),
}


def measured(client: str) -> dict[str, Any]:
    """Make one call per fault, each against a server of its own."""
    from fal_client import client as module

    place = "/kling/text-to-video" if client.endswith("Kling") else "/fal/queue"
    outcomes = {}
    for fault, (name, after) in FAULTS.items():
        with sandbox_server() as server:
            if client.startswith("fal-client"):
                module.QUEUE_URL_FORMAT = f"{server.url}/fal/queue/"
            server.fail(name, times=TIMES, after=after, method="POST", path=place)
            result = CLIENTS[client](server)
            posts = len(server.requests(method="POST", path=place))
            outcomes[fault] = asdict(Outcome(posts, len(server.charges()), result))
    return outcomes


def in_its_own_process(client: str) -> dict[str, Any]:
    """Measure a client; it may leave connections and threads behind."""
    command = [sys.executable, __file__, "--client", client]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    outcomes: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcomes


def main() -> int:
    """Measure, print, and keep if asked to."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", action="store_true", help="keep the figures for the README")
    arguments.add_argument("--client", choices=CLIENTS, help="measure this one, print JSON")
    chosen = arguments.parse_args()
    if chosen.client:
        print(json.dumps(measured(chosen.client)))
        return 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        rows = dict(zip(CLIENTS, pool.map(in_its_own_process, CLIENTS), strict=True))
    record = {
        "fal_client": version("fal-client"),
        "python": platform.python_version(),
        "times": TIMES,
        "rows": rows,
    }
    print(table(record))
    if chosen.write:
        RESULTS.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    ours = [outcome for name in CLIENTS if "onetake" in name for outcome in rows[name].values()]
    return int(any(outcome["jobs"] > 1 for outcome in ours))


def table(record: dict[str, Any]) -> str:
    """Return the figures as a Markdown table: paid jobs, and a mark where the result was lost."""
    rows = ["| client | " + " | ".join(FAULTS) + " |", "|---" * (len(FAULTS) + 1) + "|"]
    for client, found in record["rows"].items():
        own = client.startswith("onetake")
        cells = [_cell(found[fault], own) for fault in FAULTS]
        rows.append(f"| {f'**{client}**' if own else client} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _cell(outcome: dict[str, Any], own: bool) -> str:
    text = f"{outcome['jobs']}" + ("" if outcome["result"] else " ✗")
    return f"**{text}**" if own else text


if __name__ == "__main__":
    sys.exit(main())
