"""Workers: names under which processes own jobs, and whether such a process is still there.

A lease ends by itself, but that takes minutes. On Linux the name tells enough to see at once that
its process is gone, so that `onetake jobs resume` need not wait after a crash. Where it cannot be
seen (another machine, container or system), only the lease counts.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import secrets
from pathlib import Path

_PROC = Path("/proc")


def new_worker() -> str:
    """Return a name that no other worker has: place, process, when that started, a random part."""
    place = _place() or "elsewhere"
    return f"{place}.{os.getpid()}.{_started(os.getpid()) or 0}.{secrets.token_hex(6)}"


def is_gone(worker: str) -> bool:
    """Say whether a worker's process has certainly ended.

    A stopped process is not gone: it may go on.
    """
    place, _, rest = worker.partition(".")
    if not rest or place != _place():
        return False
    pid, started = (int(part) for part in rest.split(".")[:2])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # another user's: it exists
    now_started = _started(pid)
    return now_started is not None and now_started != started


@functools.cache
def _place() -> str | None:
    """Return what tells this system, since its start, and this container from all others."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text()
        space = (_PROC / "self/ns/pid").readlink()
    except OSError:
        return None
    told = f"{boot}{space}{platform.node()}"  # clones of a machine share all but the name
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _started(pid: int) -> int | None:
    """Return when a process started, in clock ticks; -1 for one that has ended, None if hidden."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return -1 if fields[0] in ("Z", "X") else int(fields[19])
