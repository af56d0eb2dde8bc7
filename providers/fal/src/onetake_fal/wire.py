"""Our words ↔ the JSON of fal's endpoints. Pure: no network, no clock.

Endpoints differ in field names and types; each model card's ``wire`` says how:
``first_frame`` and ``last_frame`` name the picture fields, ``audio`` the switch, and
``duration = "string"`` its type.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from onetake.driver import LostSubmission, PreparedAsset, RemoteFile, Submission, Task
from onetake.fitting import FittedRequest

_UNKNOWN_FIELDS = {"first_frame": "image_url", "last_frame": "tail_image_url"}
"""Field names for files of endpoints outside the catalog: the commonest ones."""


def submission(request: FittedRequest, job_id: str, assets: Sequence[PreparedAsset]) -> Submission:
    """Write a request for one endpoint."""
    wire = request.card.wire
    body: dict[str, Any] = {}
    if request.prompt.strip():
        body["prompt"] = request.prompt
    for item in assets:
        role = str(item.asset.role)
        body[wire.get(role) or _UNKNOWN_FIELDS.get(role, role)] = item.value
    parameters = dict(request.parameters)
    callback = parameters.pop("callback_url", None)
    for name, value in parameters.items():
        body[str(wire.get(name, name)) if name == "audio" else name] = _typed(name, value, wire)
    if request.negative_prompt is not None:
        body["negative_prompt"] = request.negative_prompt
    body.update(request.vendor)
    query = {} if callback is None else {"fal_webhook": str(callback)}
    return Submission(
        path=request.card.vendor_id, body=body, route=app_of(request.card.vendor_id), query=query
    )


def _typed(name: str, value: Any, wire: Mapping[str, Any]) -> Any:
    if name == "duration" and wire.get("duration") == "string":
        return str(value)
    return value


def app_of(endpoint: str) -> str:
    """Return what status, result and cancel URLs are built from: owner and app."""
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in ("workflows", "comfy") else 2])


def outputs(payload: Any) -> tuple[RemoteFile, ...]:
    """Find the files in a result, whatever the endpoint calls them."""
    return tuple(_files(payload))


LISTING_URL = "https://api.fal.ai/v1/models/requests/by-endpoint"
CLOCK_SKEW = 120.0
"""Seconds by which this machine's clock and fal's may differ."""


def listing_query(lost: LostSubmission, cursor: str | None) -> dict[str, str]:
    """Return the query for requests of an endpoint from a submission on.

    The list's window is by end time, so only its start says anything about a lost request.
    """
    query = {
        "endpoint_id": lost.submission.path,
        "start": _iso(lost.sent_at - CLOCK_SKEW),
        "expand": "payloads",
        "limit": "100",
    }
    return query if cursor is None else {**query, "cursor": cursor}


def matching(listed: Sequence[Mapping[str, Any]], lost: LostSubmission) -> list[Task]:
    """Return the requests that were sent at that time with exactly that JSON."""
    body = json.loads(lost.body)
    first = lost.sent_at - CLOCK_SKEW
    last = lost.sent_at + lost.took_at_most + CLOCK_SKEW
    found: dict[str, Task] = {}
    for item in listed:
        sent = _seconds(item.get("sent_at"))
        if item.get("json_input") == body and sent is not None and first <= sent <= last:
            request_id = str(item["request_id"])
            found[request_id] = Task(request_id, lost.submission.route, lost.submission.path)
    return list(found.values())


def _iso(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _seconds(text: Any) -> float | None:
    try:
        moment = datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()


def called_request(body: bytes) -> str | None:
    """Return the request id that a webhook's body names."""
    try:
        event = json.loads(body)
    except ValueError:
        return None
    request_id = event.get("request_id") if isinstance(event, Mapping) else None
    return request_id if isinstance(request_id, str) and request_id else None


def _files(value: Any) -> Iterator[RemoteFile]:
    if isinstance(value, Mapping):
        url = value.get("url")
        if isinstance(url, str) and url.startswith(("http://", "https://")):
            yield RemoteFile(
                url=url,
                media_type=value.get("content_type"),
                name=value.get("file_name"),
                bytes=value.get("file_size"),
            )
            return
        for item in value.values():
            yield from _files(item)
    elif isinstance(value, list):
        for item in value:
            yield from _files(item)
