"""How many HTTP requests it takes to wait for one job of two minutes on fal.

Each client has a sandbox of its own, all at the same time and on the real clock: fal-client's
``subscribe_async`` as it comes, loops that ask every 5 and every 10 s as guides show them, and
onetake with fal's status stream and with paced looks.

    python benchmarks/waiting.py [--seconds 120] [--write]

``--write`` keeps the figures in ``waiting.json``; the table in docs/providers/fal.md is made from
it. Downloads of the file are counted apart: only onetake makes them.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import httpx

from onetake import GenerationRequest, get_provider
from onetake.settings import Settings
from onetake.testing import SandboxServer, sandbox_server

FAL = "fal-ai/kling-video/v2.6/pro/text-to-video"
KEY = {"Authorization": "Key sandbox:sandbox"}
RESULTS = Path(__file__).with_name("waiting.json")


def fal_client(server: SandboxServer, seconds: float) -> None:
    """fal's client, with its own pace."""
    import fal_client as client
    from fal_client import client as module

    async def main() -> None:
        fal = client.AsyncClient(key="sandbox:sandbox")
        await fal.subscribe(FAL, {"prompt": "x"})

    module.QUEUE_URL_FORMAT = f"{server.url}/fal/queue/"
    asyncio.run(main())


def naive(pause: float) -> Callable[[SandboxServer, float], None]:
    """Return a loop as guides show it."""

    def wait(server: SandboxServer, seconds: float) -> None:
        with httpx.Client(headers=KEY, timeout=30) as http:
            answer = http.post(f"{server.url}/fal/queue/{FAL}", json={"prompt": "x"}).json()
            while http.get(answer["status_url"]).json()["status"] != "COMPLETED":
                time.sleep(pause)
            http.get(answer["response_url"]).raise_for_status()

    return wait


def onetake(*, stream: bool) -> Callable[[SandboxServer, float], None]:
    """Return ours: generate, with its file."""

    def wait(server: SandboxServer, seconds: float) -> None:
        with tempfile.TemporaryDirectory() as home:
            settings = Settings(home=Path(home), sandbox_seconds_per_job=seconds)

            async def main() -> None:
                request = GenerationRequest("x", model="kling-v2.6-pro-text")
                options: dict[str, Any] = {"sandbox": server.url, "settings": settings}
                async with get_provider("fal", stream=stream, **options) as fal:
                    await fal.generate(request)

            anyio.run(main)

    return wait


CLIENTS: dict[str, Callable[[SandboxServer, float], None]] = {
    "fal-client `subscribe_async()`": fal_client,
    "a loop, every 5 s": naive(5),
    "a loop, every 10 s": naive(10),
    "onetake, paced looks": onetake(stream=False),
    "onetake, status stream": onetake(stream=True),
}


def measured(client: str, seconds: float) -> dict[str, Any]:
    """Wait for one job; count what the server saw."""
    with sandbox_server(seconds_per_job=seconds) as server:
        started = time.monotonic()
        CLIENTS[client](server, seconds)
        took = time.monotonic() - started
        paths = [item["path"] for item in server.requests()]
    downloads = sum("/fal/media/" in path for path in paths)
    return {
        "requests": len(paths) - downloads,
        "downloads": downloads,
        "late_s": round(took - seconds, 1),
    }


def in_its_own_process(client: str, seconds: float) -> dict[str, Any]:
    """Measure a client; fal's is pointed at a server by changing its module."""
    command = [sys.executable, __file__, "--seconds", str(seconds), "--client", client]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(record: dict[str, Any]) -> str:
    """Return the figures as a Markdown table."""
    rows = ["| client | requests to fal's API | downloads | seconds after the job's end |"]
    rows.append("|---|---|---|---|")
    for client, found in record["rows"].items():
        cells = [str(found[key]) for key in ("requests", "downloads", "late_s")]
        rows.append(f"| {client} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> int:
    """Measure, print, and keep if asked to."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=120.0, help="how long the job takes")
    arguments.add_argument("--write", action="store_true", help="keep the figures for the docs")
    arguments.add_argument("--client", choices=CLIENTS, help="measure this one, print JSON")
    chosen = arguments.parse_args()
    if chosen.client:
        print(json.dumps(measured(chosen.client, chosen.seconds)))
        return 0
    with concurrent.futures.ThreadPoolExecutor(len(CLIENTS)) as pool:
        found = pool.map(lambda client: in_its_own_process(client, chosen.seconds), CLIENTS)
        rows = dict(zip(CLIENTS, found, strict=True))
    record = {"fal_client": version("fal-client"), "seconds": chosen.seconds, "rows": rows}
    print(table(record))
    if chosen.write:
        RESULTS.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
