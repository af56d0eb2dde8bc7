"""The soak: many jobs of both vendors under random faults and kills, then the books are compared.

    make soak [JOBS=500] [SEED=1]

Worker processes generate films on a served sandbox, share one ledger, and are killed at random;
all the while random faults are armed. Then everything is resumed, without faults, and the
sandbox's charges are laid beside the ledger:

- no film was charged twice;
- every charge has exactly one job (on fal: or stands for one that is listed as unknown);
- every job that the vendor finished is delivered, its file whole;
- nothing on Kling is unknown.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from onetake import JobState
from onetake.files import sha256_of
from onetake.testing import SandboxServer
from onetake.testing.server import sandbox_process
from tests.faults.children import Home

MODEL = "kling-v2.6-pro-text"
BATCH = 12
WORKERS = 3
SERVED = ("--seconds-per-job", "0.4", "--media", "fast", "--concurrency", "8")
"""How the sandbox is served."""
FAULTS = (
    ("drop_after_accept", "POST", ""),
    ("drop_before_accept", "POST", ""),
    ("reset", "POST", ""),
    ("half_body", "POST", ""),
    ("bad_json", "POST", ""),
    ("nginx_502", "POST", ""),
    ("http_503", "POST", ""),
    ("stall", "POST", ""),
    ("http_500", "GET", ""),
    ("reset", "GET", ""),
    ("half_body", "GET", "/cdn/"),
    ("half_body", "GET", "/media/"),
    ("truncate_file", "GET", ""),
    ("expire_url", "GET", ""),
    ("http_429", "GET", ""),
    ("fail_task", "POST", ""),
)
SETTINGS = {
    "ONETAKE_SUBMIT_TIMEOUT": "5",
    "ONETAKE_SUBMIT_PATIENCE": "30",
    "ONETAKE_READ_TIMEOUT": "5",
    "ONETAKE_DOWNLOAD_TIMEOUT": "5",
    "ONETAKE_GUARD": "5",
    "ONETAKE_LEASE": "5",
}


class Weather(threading.Thread):
    """Arms random faults until it is told to clear up."""

    def __init__(self, server: SandboxServer, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self._server, self._dice = SandboxServer(server.url), dice
        self._over = threading.Event()

    def run(self) -> None:
        """Arm one fault after the other."""
        while not self._over.wait(self._dice.uniform(0.05, 0.4)):
            name, method, path = self._dice.choice(FAULTS)
            after = method == "POST" and self._dice.random() < 0.7
            self._server.fail(name, after=after, method=method, path=path)

    def clear_up(self) -> None:
        """Stop, and disarm what is left."""
        self._over.set()
        self.join()
        self._server.reset_faults()
        self._server.close()


def work(home: Home, dice: random.Random, jobs: int) -> int:
    """Run batches in worker processes until there are enough jobs; return the number of kills."""
    script = Path(__file__).with_name("many.py")
    running: list[tuple[subprocess.Popen[str], float]] = []
    batch = kills = 0
    while running or len(home.records()) < jobs:
        if len(running) < WORKERS and len(home.records()) < jobs:
            vendor = ("kling", "fal")[batch % 2]
            child = home.start_script(script, vendor, MODEL, str(BATCH), f"film-{batch}")
            doom = time.monotonic() + (dice.uniform(1.5, 9) if dice.random() < 0.6 else 90)
            running.append((child, doom))
            batch += 1
        for child, doom in list(running):
            if child.poll() is None and time.monotonic() > doom:
                child.kill()
                kills += 1
            if child.poll() is not None:
                child.communicate()
                running.remove((child, doom))
        time.sleep(0.1)
    return kills


def settle(home: Home) -> None:
    """Resume in good weather until nothing changes any more."""
    for _ in range(6):
        done = home.run("jobs", "resume", "--all", timeout=900)
        states = Counter(job.state for job in home.jobs() if not job.state.ended)
        print(f"resumed: exit {done.returncode}, open {dict(states)}", flush=True)
        if set(states) <= {JobState.UNKNOWN}:
            return


def mistakes(home: Home, server: SandboxServer) -> list[str]:
    """Lay the sandbox's books beside the ledger; return what does not fit."""
    found = []
    records = home.records()
    tasks = server.jobs()
    by_task = Counter(record.task_id for record in records if record.task_id)
    prompts = Counter((task["provider"], task["prompt"]) for task in tasks)
    unknown = Counter(
        (record.account.provider, record.request["prompt"])
        for record in records
        if record.state is JobState.UNKNOWN
    )
    found += [f"charged {n} times: {film}" for film, n in prompts.items() if n > 1]
    found += [f"{n} jobs for task {task}" for task, n in by_task.items() if n > 1]
    for task in tasks:
        film = (task["provider"], task["prompt"])
        if not by_task[task["id"]] and (task["provider"] == "kling" or not unknown[film]):
            found.append(f"a charge without a job: {task['id']} {film}")
    for record in records:
        found += _job_mistakes(record.job(), record.account.provider)
    return found


def _job_mistakes(job: Any, provider: str) -> list[str]:
    allowed = {JobState.DELIVERED, JobState.FAILED, JobState.REFUSED}
    if provider == "fal":
        allowed.add(JobState.UNKNOWN)
    if job.state not in allowed:
        return [f"job {job.id} on {provider} is {job.state.value}: {job.error}"]
    wrong = [a["path"] for a in job.artifacts if sha256_of(Path(a["path"])) != a["sha256"]]
    if job.state is JobState.DELIVERED and (wrong or not job.artifacts):
        return [f"job {job.id}: its file is not whole: {wrong}"]
    return []


def main() -> int:
    """Run the soak."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--jobs", type=int, default=500)
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    dice = random.Random(chosen.seed)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, sandbox_process(*SERVED) as server:
        home = Home(Path(folder) / "home", server, **SETTINGS)
        home.run("jobs", "list")
        weather = Weather(server, random.Random(chosen.seed + 1))
        weather.start()
        kills = work(home, dice, chosen.jobs)
        weather.clear_up()
        settle(home)
        found = mistakes(home, server)
        states = Counter((r.account.provider, r.state.value) for r in home.records())
        charges = Counter(task["provider"] for task in server.jobs())
    print(
        f"seed {chosen.seed}: {sum(states.values())} jobs, {kills} kills, charges {dict(charges)}"
    )
    for (provider, state), count in sorted(states.items()):
        print(f"  {provider:6} {state:10} {count}")
    print(f"  {time.monotonic() - started:.0f} s on {os.cpu_count()} cores")
    for mistake in found:
        print(f"MISTAKE: {mistake}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
