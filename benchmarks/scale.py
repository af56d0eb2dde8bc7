"""Many jobs in flight in one process: CPU per job, peak memory, requests, and whether any was lost.

First, in real time against a sandbox in a process of its own: fal-client's ``subscribe_async``
beside onetake with fal and with Kling, at 100 and at 1,000 jobs of 20 s, in one run. Then onetake
alone, 10,000 jobs in flight for each vendor, on a virtual clock and the in-process sandbox (its
CPU and memory are in the figures).

    python benchmarks/scale.py [--jobs 100 1000] [--in-flight 10000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import anyio

from onetake import GenerationRequest, JobState, get_provider
from onetake.settings import Settings
from onetake.testing import SandboxServer, VirtualClock
from onetake.testing.server import sandbox_process

SECONDS = 20.0
SERVED = ("--seconds-per-job", str(SECONDS), "--media", "fast", "--concurrency", "100000")
"""How the sandbox is served."""
PATIENCE = 600.0
"""Seconds after which fal's client is not waited for any more; with 1,000 jobs it takes longer."""

MODEL = "kling-v2.6-pro-text"
FAL = "fal-ai/kling-video/v2.6/pro/text-to-video"


def requests_for(jobs: int) -> list[GenerationRequest]:
    """The same film each time, so that drawing it costs the sandbox once; each is a job."""
    return [GenerationRequest("a lake", model=MODEL) for _ in range(jobs)]


async def fal_client_subscribes(server: SandboxServer, jobs: int) -> int:
    """fal's client: submit, poll, result; no download. Returns how many were done in time."""
    import fal_client
    from fal_client import client as module

    module.QUEUE_URL_FORMAT = f"{server.url}/fal/queue/"
    client = fal_client.AsyncClient(key="sandbox:sandbox")
    calls = [client.subscribe(FAL, {"prompt": "a lake"}) for _ in range(jobs)]
    tasks = [asyncio.ensure_future(call) for call in calls]
    done, late = await asyncio.wait(tasks, timeout=PATIENCE)
    for task in late:
        task.cancel()
    return sum(task.exception() is None for task in done)


async def onetake_generates(
    provider: str, settings: Settings, jobs: int, sandbox: str | bool, clock: Any = None
) -> int:
    """Ours: intent, submit, poll, download, hash, file."""
    done = 0
    async with get_provider(provider, sandbox=sandbox, settings=settings, clock=clock) as vendor:
        async for outcome in vendor.generate_many(requests_for(jobs)):
            done += outcome.error is None
            if outcome.error is not None:
                print(f"  {outcome.error}", file=sys.stderr)
    return done


def measured(client: str, jobs: int, url: str) -> dict[str, Any]:
    """Run one client in this process; its CPU and memory are the process's."""
    server = SandboxServer(url)
    started = time.monotonic()
    if client == "fal-client":
        done = asyncio.run(fal_client_subscribes(server, jobs))
    else:
        with tempfile.TemporaryDirectory() as home:
            settings = Settings(home=Path(home), sandbox_seconds_per_job=SECONDS)
            done = anyio.run(onetake_generates, client, settings, jobs, url)
    return {**_usage(started, jobs), "done": done}


def in_flight(provider: str, jobs: int) -> dict[str, Any]:
    """Hold this many jobs in flight on a virtual clock; every id must be in the ledger."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(
            home=Path(home),
            sandbox_seconds_per_job=120,
            sandbox_media="fast",
            sandbox_concurrency=jobs,
        )
        clock = VirtualClock()
        done = anyio.run(onetake_generates, provider, settings, jobs, True, clock)
        usage = _usage(started, jobs)
        states = _states(settings)
    return {**usage, "done": done, "states": states}


def _states(settings: Settings) -> dict[str, int]:
    """Return what the ledger says, and check that no task id is missing or there twice."""
    from onetake.ledger import store
    from onetake.ledger.store import Ledger

    ledger = Ledger(settings.ledger_url)
    records = ledger.run_blocking(store.listed)
    ledger.close()
    tasks = Counter(record.task_id for record in records)
    assert tasks[None] == 0, "an id was not recorded"
    assert max(tasks.values()) == 1, "an id stands twice"
    return dict(Counter(JobState(record.state).value for record in records))


def _usage(started: float, jobs: int) -> dict[str, Any]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime
    return {
        "wall_s": round(time.monotonic() - started, 1),
        "cpu_s": round(cpu, 1),
        "cpu_ms_per_job": round(cpu / jobs * 1000, 1),
        "peak_mib": round(used.ru_maxrss / 1024),
    }


def child(*arguments: str) -> dict[str, Any]:
    """Measure in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=1800,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--jobs", type=int, nargs="*", default=[100, 1000])
    arguments.add_argument("--in-flight", type=int, default=10_000)
    arguments.add_argument("--one", nargs=3, metavar=("CLIENT", "JOBS", "URL"))
    arguments.add_argument("--virtual", nargs=2, metavar=("PROVIDER", "JOBS"))
    chosen = arguments.parse_args()
    if chosen.one:
        client, jobs, url = chosen.one
        print(json.dumps(measured(client, int(jobs), url)))
        return
    if chosen.virtual:
        print(json.dumps(in_flight(chosen.virtual[0], int(chosen.virtual[1]))))
        return
    for jobs in chosen.jobs:
        for client in ("fal-client", "fal", "kling"):
            with sandbox_process(*SERVED) as server:
                row = child("--one", client, str(jobs), server.url)
                made = len(server.requests())
            name = client if client == "fal-client" else f"onetake, {client}"
            print(f"{name:14} {jobs:6} jobs  {row}  requests kept {made}", flush=True)
    if chosen.in_flight:
        for provider in ("fal", "kling"):
            row = child("--virtual", provider, str(chosen.in_flight))
            print(f"{provider:14} {chosen.in_flight:6} in flight  {row}", flush=True)


if __name__ == "__main__":
    main()
