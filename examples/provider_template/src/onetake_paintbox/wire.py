"""Our words ↔ Paintbox's JSON. Pure: no network, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from onetake.driver import Charge, RemoteFile, Snapshot, Submission
from onetake.errors import ProviderUnavailable
from onetake.fitting import FittedRequest
from onetake.job import TaskStatus
from onetake_paintbox.errors import task_failure

PATH = "/v1/films"
STATES = {
    "waiting": TaskStatus.QUEUED,
    "painting": TaskStatus.RUNNING,
    "done": TaskStatus.SUCCEEDED,
    "failed": TaskStatus.FAILED,
}


def submission(request: FittedRequest, job_id: str) -> Submission:
    """Write a request."""
    body: dict[str, Any] = {
        "model": request.card.vendor_id,
        "prompt": request.prompt,
        "client_id": job_id,
    }
    if "duration" in request.parameters:
        body["seconds"] = request.parameters["duration"]
    if "aspect_ratio" in request.parameters:
        body["shape"] = request.parameters["aspect_ratio"]
    return Submission(path=PATH, body={**body, **request.vendor}, external_id=job_id)


def snapshot(record: Mapping[str, Any]) -> Snapshot:
    """Read a film record. An unknown word raises; it never reads as "running"."""
    status = STATES.get(record["state"])
    if status is None:
        raise ProviderUnavailable(
            f"paintbox: the state {record['state']!r} is not known here.",
            provider="paintbox",
            retryable=False,
        )
    if status is TaskStatus.FAILED:
        return Snapshot(status, error=task_failure(record["code"], record["reason"]))
    if status is TaskStatus.SUCCEEDED:
        charge = Charge(amount=Decimal(record["cost"]), currency="USD")
        return Snapshot(status, outputs=(RemoteFile(record["file"], "video/mp4"),), charge=charge)
    return Snapshot(status)
