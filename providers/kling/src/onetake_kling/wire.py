"""Our words ↔ Kling's JSON, in both API generations. Pure: no network, no clock.

new     ``POST /text-to-video/<model>``, ``/image-to-video/<model>``; ``GET /tasks``
legacy  ``POST /v1/videos/text2video``, ``/v1/videos/image2video``; ``GET <path>/<id>``

Facts: vendor pages as of 2026-09-20 (`docs/providers/kling.md` lists them).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from onetake.driver import Charge, PreparedAsset, RemoteFile, Snapshot, Submission, Task
from onetake.errors import AssetError, AuthenticationError, ProviderUnavailable, RequestError
from onetake.fitting import FittedRequest
from onetake.job import TaskStatus
from onetake_kling.errors import task_failure

LEGACY_PATHS = {
    "text-to-video": "/v1/videos/text2video",
    "image-to-video": "/v1/videos/image2video",
}
VERSIONS = {
    "kling-2.5-turbo": "kling-v2-5-turbo",
    "kling-2.6": "kling-v2-6",
    "kling-3.0": "kling-v3",
    "kling-3.0-turbo": "kling-3.0-turbo",
}
"""One model version has two names; the vendor counts its slots together."""

LEGACY_PROMPT = 2500
LEGACY_IMAGE_BYTES = 10_000_000
DAY = 86_400
KEPT_DAYS = 30
"""The vendor purges results this many days after they were made."""

STATUSES = {
    "submitted": TaskStatus.QUEUED,
    "processing": TaskStatus.RUNNING,
    "succeed": TaskStatus.SUCCEEDED,
    "succeeded": TaskStatus.SUCCEEDED,
    "failed": TaskStatus.FAILED,
}


def submission(
    request: FittedRequest,
    job_id: str,
    assets: Sequence[PreparedAsset],
    *,
    has_api_key: bool,
) -> Submission:
    """Write a request for the newest API that can express it with these credentials."""
    route = choose_route(request, has_api_key)
    values = {item.asset.role: item.value for item in assets}
    if route == "new":
        path = f"/{request.card.task}/{request.card.wire['new']}"
        body = _new_body(request, job_id, values)
    else:
        _check_legacy(request)
        path = LEGACY_PATHS[request.card.task]
        body = _legacy_body(request, job_id, values)
    return Submission(
        path=path, body=_merged(body, request.vendor), route=route, external_id=job_id
    )


def choose_route(request: FittedRequest, has_api_key: bool) -> str:
    """Return ``new`` or ``legacy``.

    Raises:
        AuthenticationError: only an API key would do.
        RequestError: only the legacy API could say it, and the model is not there.
    """
    wire = request.card.wire
    if not has_api_key:
        if "legacy" in wire:
            return "legacy"
        raise AuthenticationError(
            f"{request.card.name} exists only on Kling's new API, which takes an API key, "
            "not an access key with a secret.",
            provider="kling",
            hint="Make one at https://kling.ai/dev/api-key and set KLING_API_KEY.",
        )
    wishes = [name for name in ("negative_prompt",) if getattr(request, name)]
    if "new" in wire and not wishes:
        return "new"
    if "legacy" in wire:
        return "legacy"
    raise RequestError(
        f"{', '.join(wishes)}: Kling's new API has no such field, and {request.card.name} "
        "is not on the old one.",
        provider="kling",
    )


def _check_legacy(request: FittedRequest) -> None:
    if len(request.prompt) > LEGACY_PROMPT:
        raise RequestError(
            f"prompt: {len(request.prompt)} characters; Kling's old API takes {LEGACY_PROMPT}.",
            provider="kling",
        )
    for asset in request.assets:
        if asset.data is not None and len(asset.data) > LEGACY_IMAGE_BYTES:
            raise AssetError(
                f"{asset.role}: {asset.name} has {len(asset.data):,} bytes; Kling's old API "
                f"takes {LEGACY_IMAGE_BYTES:,}.",
                provider="kling",
            )


def _new_body(request: FittedRequest, job_id: str, values: Mapping[Any, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if request.card.task == "text-to-video":
        body["prompt"] = request.prompt
    else:
        body["contents"] = _contents(request, values)
    body["settings"] = _new_settings(request)
    options: dict[str, Any] = {"external_task_id": job_id}
    if "callback_url" in request.parameters:
        options["callback_url"] = request.parameters["callback_url"]
    if "watermark" in request.parameters:
        options["watermark_info"] = {"enabled": request.parameters["watermark"]}
    body["options"] = options
    return body


def _contents(request: FittedRequest, values: Mapping[Any, Any]) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = []
    if request.prompt.strip():
        contents.append({"type": "prompt", "text": request.prompt})
    for role in ("first_frame", "last_frame"):
        if role in values:
            contents.append({"type": role, "url": values[role]})
    return contents


def _new_settings(request: FittedRequest) -> dict[str, Any]:
    settings: dict[str, Any] = {"resolution": request.card.resolution}
    if "aspect_ratio" in request.parameters:
        settings["aspect_ratio"] = request.parameters["aspect_ratio"]
    if "duration" in request.parameters:
        settings["duration"] = request.parameters["duration"]
    if "audio" in request.parameters:
        settings["audio"] = "native" if request.parameters["audio"] else "off"
    return settings


def _legacy_body(request: FittedRequest, job_id: str, values: Mapping[Any, Any]) -> dict[str, Any]:
    given = request.parameters
    body: dict[str, Any] = {"model_name": request.card.wire["legacy"]}
    for role, field in (("first_frame", "image"), ("last_frame", "image_tail")):
        if role in values:
            body[field] = values[role]
    body["prompt"] = request.prompt
    if request.negative_prompt:
        body["negative_prompt"] = request.negative_prompt
    if "duration" in given:
        body["duration"] = str(given["duration"])
    if "mode" in request.card.wire:
        body["mode"] = request.card.wire["mode"]
    if "audio" in given:
        body["sound"] = "on" if given["audio"] else "off"
    if "aspect_ratio" in given:
        body["aspect_ratio"] = given["aspect_ratio"]
    if "watermark" in given:
        body["watermark_info"] = {"enabled": given["watermark"]}
    if "callback_url" in given:
        body["callback_url"] = given["callback_url"]
    body["external_task_id"] = job_id
    return body


def _merged(body: dict[str, Any], vendor: Mapping[str, Any]) -> dict[str, Any]:
    """Add the caller's own fields; objects are merged, everything else is replaced.

    Raises:
        RequestError: a field would replace our id, by which a lost job is found again.
    """
    options = vendor.get("options")
    if "external_task_id" in vendor or (
        isinstance(options, Mapping) and "external_task_id" in options
    ):
        raise RequestError(
            "kling.external_task_id: onetake sends its own job id there, so that no job is lost "
            "or paid twice.",
            provider="kling",
            hint="Use `key` for an id of your own.",
        )
    for name, value in vendor.items():
        if isinstance(value, Mapping) and isinstance(body.get(name), dict):
            body[name] = {**body[name], **value}
        else:
            body[name] = value
    return body


def found_task(records: Any, job_id: str, sent: Submission) -> Task | None:
    """Read the task that carries our id from the answer to a look-up; never another one."""
    for record in records if isinstance(records, list) else [records]:
        if isinstance(record, Mapping):
            info = record.get("task_info") or {}
            if job_id in (record.get("external_id"), info.get("external_task_id")):
                return created_task(record, sent)
    return None


def created_task(data: Any, sent: Submission) -> Task | None:
    """Read the task from the answer to a create; None if there is no id."""
    if not isinstance(data, Mapping):
        return None
    task_id = data.get("id") or data.get("task_id")
    if not isinstance(task_id, str) or not task_id:
        return None
    return Task(id=task_id, route=sent.route, path=sent.path)


def called_task(body: bytes) -> str | None:
    """Read the task id from a callback; both generations send the bare record."""
    try:
        record = json.loads(body)
    except ValueError:
        return None
    if not isinstance(record, Mapping):
        return None
    task_id = record.get("id") or record.get("task_id")
    return task_id if isinstance(task_id, str) else None


def snapshot(record: Mapping[str, Any]) -> Snapshot:
    """Read a task record of either generation.

    Raises:
        ProviderUnavailable: the status is a word that is not documented.
    """
    word = record.get("status", record.get("task_status"))
    status = STATUSES.get(str(word))
    if status is None:
        raise ProviderUnavailable(
            f"kling: the task {record.get('id', record.get('task_id'))} has the status {word!r}, "
            "which this version of onetake-kling does not know.",
            provider="kling",
            task_state="exists",
            billed="unknown",
            retryable=False,
        )
    message = str(record.get("message", record.get("task_status_msg", "")) or "")
    return Snapshot(
        status=status,
        outputs=_outputs(record) if status is TaskStatus.SUCCEEDED else (),
        error=task_failure(message) if status is TaskStatus.FAILED else None,
        charge=_charge(record),
        raw=record,
    )


def _outputs(record: Mapping[str, Any]) -> tuple[RemoteFile, ...]:
    made = record.get("update_time", record.get("updated_at"))
    expires = made / 1000 + KEPT_DAYS * DAY if isinstance(made, int | float) else None
    result = record.get("task_result") or {}
    items = [*(record.get("outputs") or ()), *(result.get("videos") or ())]
    return tuple(
        RemoteFile(
            url=item["url"],
            media_type="video/mp4" if item.get("type", "video") == "video" else None,
            expires_at=expires,
            vendor_id=item.get("id"),
        )
        for item in items
        if item.get("url")
    )


def _charge(record: Mapping[str, Any]) -> Charge | None:
    """Read what was deducted: ``billing[]``, or the legacy ``final_…_deduction`` fields."""
    units = Decimal(0)
    for row in record.get("billing") or ():
        if row.get("charge_type") == "cash":
            return Charge(
                amount=Decimal(str(row["amount"])),
                currency=row.get("currency"),
                pack=row.get("cash_type"),
            )
        units += Decimal(str(row.get("amount", "0")))
    if record.get("billing"):
        return Charge(units=units, pack=(record["billing"][0] or {}).get("package_type"))
    if record.get("final_unit_deduction"):
        return Charge(units=Decimal(str(record["final_unit_deduction"])), pack="video")
    return None


def bucket(sent: Submission) -> str:
    """Return the concurrency bucket of a submission: the vendor counts by model version."""
    return VERSIONS.get(sent.path.rpartition("/")[2], str(sent.body.get("model_name", "")))
