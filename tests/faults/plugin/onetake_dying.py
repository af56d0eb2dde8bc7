"""A plugin that ends (or stops) its process at a named instant, as ``kill`` does.

``DYING_AT`` names the instant, ``DYING_BY`` the signal: KILL unless told otherwise. Instants are
events of a job, which are told once they are on disk, or what the interpreter is about to do:

    connect         before the ledger is opened
    before-rename   the downloaded file is whole, but has its temporary name
    after-rename    it has its own name, but the job's row does not say so yet
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pluggy

hookimpl = pluggy.HookimplMarker("onetake")
_INSTANT = os.environ.get("DYING_AT", "")
_SIGNAL = getattr(signal, f"SIG{os.environ.get('DYING_BY', 'KILL')}")


@hookimpl
def onetake_job_event(event: dict[str, Any]) -> None:
    """Die if this is the event."""
    if event["event"] == _INSTANT:
        _die()


def _die() -> None:
    os.kill(os.getpid(), _SIGNAL)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _INSTANT == "connect" and event == "import" and arguments[0] == "psycopg":
        _die()
    if _INSTANT == "connect" and event == "sqlite3.connect" and "ledger" in str(arguments[0]):
        _die()
    if _INSTANT == "before-rename" and event == "os.rename" and _in_media(arguments[1]):
        _die()
    if _INSTANT == "after-rename" and event == "open" and _in_media(arguments[0]):
        flags = arguments[2]
        if isinstance(flags, int) and flags & os.O_DIRECTORY:
            _die()


def _in_media(path: Any) -> bool:
    return isinstance(path, str | os.PathLike) and "/media/" in os.fspath(path)


if _INSTANT in ("connect", "before-rename", "after-rename"):
    sys.addaudithook(_audit)
