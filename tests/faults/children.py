"""Child processes that run the real command line, and can be made to die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio

from onetake import Job
from onetake.ledger import store
from onetake.ledger.records import JobRecord
from onetake.ledger.store import Ledger
from onetake.opening import provider_of
from onetake.settings import Settings
from onetake.testing import SandboxServer

PLUGIN = Path(__file__).parent / "plugin"
ONETAKE = [sys.executable, "-m", "onetake"]
MODEL = "kling-v2.6-pro-text"
PATIENCE = 100.0
"""Seconds for what a child does in two, when a busy machine has time for it."""
HASTY = {
    "ONETAKE_SUBMIT_PATIENCE": "2",
    "ONETAKE_SUBMIT_TIMEOUT": "20",
    "ONETAKE_SANDBOX_SECONDS_PER_JOB": "0.3",
}


class Home:
    """A user's folder and ledger, a sandbox to talk to, and processes that use them."""

    command = ONETAKE

    def __init__(self, folder: Path, server: SandboxServer, **environment: str) -> None:
        self.folder = folder
        self.server = server
        self._environment = {**HASTY, **environment}

    @classmethod
    def on(
        cls, ledger: str, folder: Path, server: SandboxServer, request: Any, **environment: str
    ) -> Home:
        """Return a home whose ledger is the default one, or on the suite's PostgreSQL."""
        if ledger == "postgres":
            environment["ONETAKE_LEDGER"] = request.getfixturevalue("postgres_database")
        return cls(folder, server, **environment)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a child."""
        path = os.pathsep.join([str(PLUGIN), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        return {
            **os.environ,
            "ONETAKE_HOME": str(self.folder),
            "ONETAKE_SANDBOX": self.server.url,
            "PYTHONPATH": path,
            **self._environment,
            **more,
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start the command line."""
        return self._start([*ONETAKE, *arguments], environment)

    def start_script(self, script: Path, *arguments: str) -> subprocess.Popen[str]:
        """Start a program that uses the library."""
        return self._start([sys.executable, str(script), *arguments], {})

    def _start(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *arguments: str, timeout: float = PATIENCE, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line to its end."""
        with self.start(*arguments, **environment) as child:
            out, err = child.communicate(timeout=timeout)
        return subprocess.CompletedProcess(arguments, child.returncode, out, err)

    def generate(self, provider: str, *more: str) -> list[str]:
        """Return the arguments of a typical run."""
        return ["generate", "a lake", "-p", provider, "-m", MODEL, *more]

    def dies_at(self, instant: str, arguments: list[str]) -> None:
        """Run until the process kills itself at a named instant."""
        done = self.run(*arguments, DYING_AT=instant)
        assert done.returncode == -signal.SIGKILL, (instant, done.stdout, done.stderr)

    @contextmanager
    def running(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Run the command line beside the test; it is killed at the end of the block."""
        child = self.start(*arguments, **environment)
        try:
            yield child
        finally:
            child.kill()
            child.communicate()

    def resumed_by_command(self, code: int = 0) -> list[dict[str, Any]]:
        """Resume everything that is open with the real command; return what came of it."""
        done = self.run("jobs", "resume", "--all", "--json")
        assert done.returncode == code, done.stderr
        jobs: list[dict[str, Any]] = json.loads(done.stdout)
        return jobs

    def resumed(self) -> list[Job]:
        """Resume everything that is open in this process, as a larger program would."""
        accounts = {record.account for record in self.records(open_only=True)}

        async def work() -> list[Job]:
            jobs: list[Job] = []
            for account in accounts:
                async with provider_of(account, settings=self.settings) as provider:
                    jobs += await provider.resume()
            return jobs

        return anyio.run(work)

    @property
    def settings(self) -> Settings:
        """The settings of the children, for work in this process."""
        values = {name.removeprefix("ONETAKE_").lower(): v for name, v in self._environment.items()}
        return Settings(home=self.folder, **values)  # type: ignore[arg-type]

    def records(self, *, open_only: bool = False) -> list[JobRecord]:
        """Return the jobs of the ledger."""
        ledger = Ledger(self.settings.ledger_url)
        try:
            return ledger.run_blocking(lambda c: store.listed(c, open_only=open_only))
        finally:
            ledger.close()

    def open_ledger(self) -> None:
        """Make the ledger, empty."""
        self.records()

    def jobs(self) -> list[Job]:
        """The same as callers see them."""
        return [record.job() for record in self.records()]


def until(condition: Callable[[], Any], child: subprocess.Popen[str] | None = None) -> Any:
    """Wait for something that another process does; there is no event to wait for.

    If it ends instead, or takes too long, what it said is told.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        ended = child is not None and child.poll() is not None
        value = condition()
        if value:
            return value
        if ended:
            break
        time.sleep(0.05)
    raise AssertionError(f"it did not happen: {_last_words(child)}")


def _last_words(child: subprocess.Popen[str] | None) -> str:
    if child is None:
        return "in time"
    child.kill()
    out, err = child.communicate()
    return f"exit {child.returncode}\n{out}\n{err}"
