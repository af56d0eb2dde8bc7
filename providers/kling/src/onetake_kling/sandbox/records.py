"""Task records as the vendor writes them, in both generations. Empty members are left out."""

from __future__ import annotations

from typing import Any

from onetake.sandbox import SandboxTask
from onetake.sandbox.media.film import Film

KEPT_SECONDS = 30 * 86_400


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def video_url(task: SandboxTask, base: str) -> str:
    """Return the signed link of a task's video; it ends 30 days after the task did."""
    expires = int(task.ends_at) + KEPT_SECONDS
    return f"{base}/kling/cdn/{task.id}/output.mp4?Expires={expires}&Signature=sandbox"


def _duration(task: SandboxTask) -> str:
    assert task.film is not None
    delivered = Film.from_json(task.film).delivered_seconds
    return f"{int(delivered * 1000) / 1000:g}"


def _video(task: SandboxTask, base: str) -> dict[str, Any]:
    video = {"id": f"{int(task.id) + 1}", "url": video_url(task, base)}
    if task.extra.get("watermark"):
        video["watermark_url"] = video_url(task, base).replace("output", "watermark")
    return {**video, "duration": _duration(task)}


def new_record(task: SandboxTask, now: float, base: str) -> dict[str, Any]:
    """Return the record of ``GET /tasks``."""
    phase = task.phase(now)
    status = {"queued": "submitted", "running": "processing"}.get(phase, phase)
    record: dict[str, Any] = {"id": task.id, "status": status}
    if task.external_id:
        record["external_id"] = task.external_id
    if phase == "succeeded":
        record["outputs"] = [{"type": "video", **_video(task, base)}]
    record["message"] = task.reason if phase == "failed" else ""
    record["create_time"] = _milliseconds(task.accepted_at)
    record["update_time"] = _milliseconds(task.updated_at(now))
    if phase == "succeeded" and task.units:
        charge = {"charge_type": "unit", "amount": task.units, "package_type": task.pack}
        record["billing"] = [charge]
    elif phase == "failed":
        record["billing"] = [{"amount": "0"}]
    return record


def old_record(task: SandboxTask, now: float, base: str) -> dict[str, Any]:
    """Return the record of ``GET /v1/videos/…/<id>``."""
    phase = task.phase(now)
    words = {"queued": "submitted", "running": "processing", "succeeded": "succeed"}
    record: dict[str, Any] = {
        "task_id": task.id,
        "task_status": words.get(phase, phase),
        "task_info": {"external_task_id": task.external_id} if task.external_id else {},
        "task_result": {"videos": [_video(task, base)]} if phase == "succeeded" else {},
        "task_status_msg": task.reason if phase == "failed" else "",
    }
    if phase == "succeeded" and task.units:
        record["final_unit_deduction"] = task.units
    record["created_at"] = _milliseconds(task.accepted_at)
    record["updated_at"] = _milliseconds(task.updated_at(now))
    return record


def created(task: SandboxTask) -> dict[str, Any]:
    """Return ``data`` of the answer to a create."""
    at = _milliseconds(task.accepted_at)
    if task.extra["generation"] == "new":
        data: dict[str, Any] = {"id": task.id, "status": "submitted"}
        if task.external_id:
            data["external_id"] = task.external_id
        return {**data, "message": "", "create_time": at, "update_time": at}
    info = {"external_task_id": task.external_id} if task.external_id else {}
    return {
        "task_id": task.id,
        "task_status": "submitted",
        "task_info": info,
        "created_at": at,
        "updated_at": at,
    }
