"""What fal's endpoints deliver: files and facts in a result, whatever each calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx

from onetake.driver import Charge, RemoteFile, Snapshot
from onetake.job import TaskStatus

FACTS = ("voice_id", "seed", "duration")
"""Fields of a result that are no files but worth keeping: ids for later requests, and figures."""


def succeeded(response: httpx.Response, endpoint: str) -> Snapshot:
    """Read the result of a request that succeeded, with the units that fal says were billed."""
    payload = response.json()
    named = payload if isinstance(payload, dict) else {"result": payload}
    wanted = endpoint.rpartition("-to-")[2]  # what was asked for comes before what lies beside it
    files = sorted(
        outputs(payload), key=lambda file: not (file.media_type or "").startswith(wanted)
    )
    return Snapshot(
        TaskStatus.SUCCEEDED,
        outputs=tuple(files),
        charge=_charge(response),
        facts={name: named[name] for name in FACTS if named.get(name) is not None},
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
                media_type=value.get("content_type"),
                name=value.get("file_name"),
                bytes=value.get("file_size"),
            )
            return
        for key, item in value.items():
            yield from _files(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _files(item, name)
    elif _is_url(value) and name.endswith(("url", "urls")):
        yield RemoteFile(url=str(value))


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))
