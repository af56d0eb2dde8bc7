"""What fal's endpoints deliver: files and facts in a result, whatever each calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import httpx

from onetake.driver import Charge, RemoteFile, Snapshot
from onetake.errors import ProviderUnavailable
from onetake.job import TaskStatus

Kind = TypeVar("Kind", str, int)


def waiting(status: Mapping[str, Any]) -> Snapshot:
    """Read the state of a request that is not completed.

    Raises:
        ProviderUnavailable: a word that is not known; it never reads as "running".
    """
    word = status.get("status")
    if word == "IN_QUEUE":
        return Snapshot(TaskStatus.QUEUED, position=status.get("queue_position"), raw=status)
    if word == "IN_PROGRESS":
        return Snapshot(TaskStatus.RUNNING, raw=status)
    raise ProviderUnavailable(
        f"fal: the status {word!r} is not known to this version of onetake-fal.",
        provider="fal",
        task_state="exists",
        billed="unknown",
        retryable=False,
    )


def log_lines(logs: Any) -> list[str]:
    """Return the lines of a log, whatever form an endpoint gives them."""
    if not isinstance(logs, list):
        return []
    return [str(line.get("message", "") if isinstance(line, Mapping) else line) for line in logs]


VOICE = "voice_id"
FACTS = (VOICE, "seed", "duration")
"""Fields of a result that are no files but worth keeping: ids for later requests, and figures."""


def succeeded(response: httpx.Response, endpoint: str) -> Snapshot:
    """Read the result of a request that succeeded, with the units that fal says were billed."""
    payload = response.json()
    named = payload if isinstance(payload, dict) else {"result": payload}
    wanted = endpoint.rpartition("-to-")[2]  # what was asked for comes before what lies beside it
    files = sorted(
        outputs(payload), key=lambda file: not (file.media_type or "").startswith(wanted)
    )
    facts = {name: named[name] for name in FACTS if named.get(name) is not None}
    if not files and VOICE not in facts:
        facts["result"] = named  # a text, a judgement, a list: it is the result itself
    return Snapshot(
        TaskStatus.SUCCEEDED,
        outputs=tuple(files),
        charge=_charge(response),
        facts=facts,
        raw=named,
    )


def _charge(response: httpx.Response) -> Charge | None:
    units = response.headers.get("x-fal-billable-units")
    if units is None:
        return None
    try:
        return Charge(units=Decimal(units))
    except InvalidOperation:
        return None


def outputs(payload: Any) -> tuple[RemoteFile, ...]:
    """Find the files in a result: pictures, videos, sounds, models, archives.

    A file is an object with a URL; an endpoint may also give bare URLs. The same file named
    twice is one.
    """
    found: dict[str, RemoteFile] = {}
    for file in _files(payload, ""):
        found.setdefault(file.url, file)
    return tuple(found.values())


def _files(value: Any, name: str) -> Iterator[RemoteFile]:
    if isinstance(value, Mapping):
        url = value.get("url")
        if _is_url(url):
            yield RemoteFile(
                url=str(url),
                media_type=_if(str, value.get("content_type")),
                name=_if(str, value.get("file_name")),
                bytes=_if(int, value.get("file_size")),
            )
            return
        for key, item in value.items():
            yield from _files(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _files(item, name)
    elif _is_url(value) and name.endswith(("url", "urls")):
        yield RemoteFile(url=str(value))


def _if(kind: type[Kind], value: Any) -> Kind | None:
    """Return a value if it is of a kind: odd words beside a file must not hide the file."""
    return value if isinstance(value, kind) and not isinstance(value, bool) else None


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))
