"""Task records as the vendor writes them, in both generations. Empty members are left out."""

from __future__ import annotations

from typing import Any

from onetake.sandbox import SandboxTask
from onetake.sandbox.media.film import Film

KEPT_SECONDS = 30 * 86_400
WORDS_NEW = {"queued": "submitted", "running": "processing"}
WORDS_OLD = {**WORDS_NEW, "succeeded": "succeed"}


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def file_url(task: SandboxTask, name: str, base: str) -> str:
    """Return the signed link of a task's file; it ends 30 days after the task did."""
    expires = int(task.ends_at) + KEPT_SECONDS
    return f"{base}/kling/cdn/{task.id}/{name}?Expires={expires}&Signature=sandbox"


def media_of(task: SandboxTask, name: str) -> Any:
    """Return the media of a task's file, or None; a copy with watermark looks the same."""
    plain = name.replace("watermark-", "")
    return next((item["media"] for item in task.files if item["name"] == plain), None)


def _id(task: SandboxTask, number: int = 0) -> str:
    return f"{task.id[:-1]}{number % 9 + 1}"


def _seconds(text: float) -> str:
    return f"{int(text * 1000) / 1000:g}"


def _links(task: SandboxTask, name: str, base: str) -> dict[str, str]:
    links = {"url": file_url(task, name, base)}
    if task.extra.get("watermark"):
        links["watermark_url"] = file_url(task, f"watermark-{name}", base)
    return links


def _videos(task: SandboxTask, base: str) -> list[dict[str, Any]]:
    films = [item for item in task.files if item["media"].get("kind") == "film"]
    videos = []
    for number, item in enumerate(films):
        video = {"id": _id(task, number), **_links(task, item["name"], base)}
        if task.extra.get("session_id"):
            video["session_id"] = task.extra["session_id"]
        if not task.extra.get("untimed"):
            video["duration"] = _seconds(Film.from_json(item["media"]).delivered_seconds)
        videos.append(video)
    return videos


def _audio(task: SandboxTask) -> tuple[str, str]:
    """Return the id and the length of a task's sound."""
    return _id(task, len(_videos(task, ""))), _seconds(task.extra.get("seconds", 0.0))


# ── old API ──


def _old_result(task: SandboxTask, base: str) -> dict[str, Any]:
    kind, extra = task.extra["kind"], task.extra
    if kind == "images" and extra.get("views"):
        return {"images": [_views(task, row, base) for row in range(3)]}
    if kind == "images":
        images = [
            {"index": index, **_links(task, item["name"], base)}
            for index, item in enumerate(task.files)
        ]
        if extra.get("result_type") == "series":
            return {"result_type": "series", "series_images": images}
        told = {"result_type": "single"} if extra.get("result_type") else {}
        return {**told, "images": images}
    if kind == "audios":
        sound, length = _audio(task)
        urls = {f"url_{form}": file_url(task, f"output.{form}", base) for form in ("mp3", "wav")}
        audio = {"id": sound, **urls, "duration_mp3": length, "duration_wav": length}
        videos = _videos(task, base)
        return {**({"videos": videos} if videos else {}), "audios": [audio]}
    if kind == "speech":
        sound, length = _audio(task)
        url = file_url(task, "output.mp3", base)
        return {"audios": [{"id": sound, "url": url, "duration": length}]}
    if kind in ("voices", "elements"):
        return {kind: [_resource(task, base)]}
    return {"videos": _videos(task, base)}


def _views(task: SandboxTask, row: int, base: str) -> dict[str, Any]:
    names = [item["name"] for item in task.files[3 * row : 3 * row + 3]]
    links = {f"url_{n}": file_url(task, name, base) for n, name in enumerate(names, start=1)}
    return {"index": row, **links}


def _resource(task: SandboxTask, base: str) -> dict[str, Any]:
    """A voice or an element; the id of an element is a number here."""
    extra = task.extra
    state = {"owned_by": "sandbox"}
    if extra["kind"] == "voices":
        trial = file_url(task, "trial.mp3", base)
        return {
            "voice_id": extra["resource_id"],
            "voice_name": extra["name"],
            "trial_url": trial,
            **state,
        }
    return {
        "element_id": int(extra["resource_id"]),
        "element_name": extra["name"],
        "element_description": extra["description"],
        "reference_type": extra["reference_type"],
        "element_image_list": {"frontal_image": file_url(task, "0.png", base)},
        **state,
        "status": "deleted" if extra.get("deleted") else "succeed",
    }


def old_record(task: SandboxTask, now: float, base: str) -> dict[str, Any]:
    """Return the record of ``GET /v1/videos/…/<id>``."""
    phase = task.phase(now)
    info: dict[str, Any] = {}
    if task.external_id:
        info["external_task_id"] = task.external_id
    if task.extra.get("parent"):
        info["parent_video"] = task.extra["parent"]
    record: dict[str, Any] = {
        "task_id": task.id,
        "task_status": WORDS_OLD.get(phase, phase),
        "task_info": info,
        "task_result": _old_result(task, base) if phase == "succeeded" else {},
        "task_status_msg": task.reason if phase == "failed" else "",
    }
    if task.extra.get("watermark") is not None:
        record["watermark_info"] = {"enabled": bool(task.extra["watermark"])}
    if phase == "succeeded" and task.units:
        record["final_unit_deduction"] = task.units
    record["created_at"] = _milliseconds(task.accepted_at)
    record["updated_at"] = _milliseconds(task.updated_at(now))
    return record


# ── new API ──


def _outputs(task: SandboxTask, base: str) -> list[dict[str, Any]]:
    kind = task.extra["kind"]
    if kind == "images":
        grouped = task.extra.get("result_type") == "series"
        group = {"group_id": task.id} if grouped else {}
        return [
            {"type": "image", **_links(task, item["name"], base), **group} for item in task.files
        ]
    if kind in ("audios", "speech"):
        sound, length = _audio(task)
        audio: dict[str, Any] = {"type": "audio", "id": sound}
        for item in task.files:
            form = item["name"].rpartition(".")[2]
            if form in ("mp3", "wav"):
                audio[f"{form}_url"] = file_url(task, item["name"], base)
                audio[f"{form}_duration"] = length
        return [*({"type": "video", **video} for video in _videos(task, base)), audio]
    if kind in ("voices", "elements"):
        return [_new_resource(task, base)]
    return [{"type": "video", **video} for video in _videos(task, base)]


def _new_resource(task: SandboxTask, base: str) -> dict[str, Any]:
    extra = task.extra
    record = {"id": extra["resource_id"], "name": extra["name"], "owned_by": "sandbox"}
    state = "deleted" if extra.get("deleted") else "succeeded"
    if extra["kind"] == "voices":
        return {
            "type": "voice",
            **record,
            "url": file_url(task, "trial.mp3", base),
            "status": state,
        }
    front = {"type": "image", "role": "frontal", "url": file_url(task, "0.png", base)}
    return {
        "type": "element",
        **record,
        "description": extra["description"],
        "element_type": "multi_image_elements",
        "references": [front],
        "status": state,
    }


def new_record(task: SandboxTask, now: float, base: str) -> dict[str, Any]:
    """Return the record of ``GET /tasks``, and of ``GET /solutions``."""
    phase = task.phase(now)
    status = WORDS_NEW.get(phase, phase)
    if task.extra["generation"] == "solution" and status == "succeeded":
        status = "succeed"  # the page of the virtual try-on spells it so
    record: dict[str, Any] = {"id": task.id, "status": status}
    if task.external_id:
        record["external_id"] = task.external_id
    if phase == "succeeded":
        record["outputs"] = _outputs(task, base)
    record["message"] = task.reason if phase == "failed" else ""
    record["create_time"] = _milliseconds(task.accepted_at)
    record["update_time"] = _milliseconds(task.updated_at(now))
    if phase == "succeeded" and task.units:
        charge = {"charge_type": "unit", "amount": task.units, "package_type": task.pack}
        record["billing"] = [charge]
    elif phase == "failed":
        record["billing"] = [{"amount": "0"}]
    return record


def created(task: SandboxTask) -> dict[str, Any]:
    """Return ``data`` of the answer to a create."""
    at = _milliseconds(task.accepted_at)
    if task.extra["generation"] != "old":
        name = "task_id" if task.extra["generation"] == "solution" else "id"
        data: dict[str, Any] = {name: task.id, "status": "submitted"}
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


def called(task: SandboxTask, now: float, base: str) -> dict[str, Any]:
    """Return the body of a callback: the bare record, in the form of the generation."""
    old = task.extra["generation"] == "old"
    return old_record(task, now, base) if old else new_record(task, now, base)
