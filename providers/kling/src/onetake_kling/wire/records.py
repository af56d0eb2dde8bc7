"""Reading Kling's task records, of both generations.

Facts: vendor pages of 2026-09-20.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from onetake.driver import Charge, RemoteFile, Snapshot, Submission, Task
from onetake.errors import ProviderUnavailable
from onetake.job import TaskStatus
from onetake_kling.errors import task_failure
from onetake_kling.wire.legacy import BY_PATH

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


def snapshot(record: Mapping[str, Any], path: str = "") -> Snapshot:
    """Read a task record of either generation; ``path`` is where the task was created.

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
    done = status is TaskStatus.SUCCEEDED
    return Snapshot(
        status=status,
        outputs=_files(record, path) if done else (),
        facts=_facts(record) if done else {},
        error=task_failure(message) if status is TaskStatus.FAILED else None,
        charge=_charge(record, path),
        raw=record,
    )


def answered(data: Mapping[str, Any], path: str) -> Snapshot:
    """Read the answer to a synchronous call, which is a result without a status."""
    return Snapshot(
        TaskStatus.SUCCEEDED,
        outputs=_files(data, path),
        facts=_facts(data),
        charge=_charge(data, path),
        raw=data,
    )


def _files(record: Mapping[str, Any], path: str) -> tuple[RemoteFile, ...]:
    made = record.get("update_time", record.get("updated_at"))
    expires = made / 1000 + KEPT_DAYS * DAY if isinstance(made, int | float) else None
    result = record.get("task_result") or {}
    items = [
        *(record.get("outputs") or ()),
        *(result.get("videos") or ()),
        *(result.get("images") or ()),
        *(result.get("series_images") or ()),
        *(result.get("audios") or ()),
        *(result.get("voices") or ()),
        *(result.get("elements") or ()),
        *(record.get("face_data") or ()),
    ]
    if path.startswith("/v1/audio/"):  # it is the sound that was wanted; the video is beside it
        items.sort(key=lambda item: not {"url_mp3", "mp3_url"} & set(item))
    return tuple(
        RemoteFile(url=url, name=name, expires_at=expires, vendor_id=_file_id(item))
        for item in items
        if item.get("is_contain", True)
        for name, url in _links(item)
    )


LINKS = (
    ("", "url"),
    ("1", "url_1"),
    ("2", "url_2"),
    ("3", "url_3"),
    ("mp3", "url_mp3"),
    ("wav", "url_wav"),
    ("mp3", "mp3_url"),
    ("wav", "wav_url"),
    ("trial", "trial_url"),
    ("face", "face_image"),
    ("watermark", "watermark_url"),
)
"""Members that hold links, in both generations, and what each file is."""


def _links(item: Mapping[str, Any]) -> Iterator[tuple[str | None, str]]:
    for name, member in LINKS:
        if item.get(member):
            yield name or None, item[member]
    front = (item.get("element_image_list") or {}).get("frontal_image")
    shown = [ref.get("url") for ref in item.get("references") or () if ref.get("type") == "image"]
    for url in [front, *shown[:1]]:
        if isinstance(url, str) and url.startswith("http"):
            yield "frontal", url


def _file_id(item: Mapping[str, Any]) -> str | None:
    found = item.get("id") or item.get("voice_id") or item.get("element_id")
    return None if found is None else str(found)


def _facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what later requests need: ids of voices and elements, faces, what was recognised."""
    result = record.get("task_result") or {}
    outputs = record.get("outputs") or ()
    facts: dict[str, Any] = {}
    if record.get("session_id"):
        facts["session_id"] = record["session_id"]
        facts["faces"] = list(record.get("face_data") or ())
    for kind in ("voice", "element"):
        made = [*(result.get(f"{kind}s") or ()), *(o for o in outputs if o.get("type") == kind)]
        if made:
            facts[f"{kind}_id"] = _file_id(made[0])
            facts["name"] = made[0].get(f"{kind}_name") or made[0].get("name")
    seen = [item for item in result.get("images") or () if "is_contain" in item]
    if seen:
        facts["found"] = {item["type"]: bool(item["is_contain"]) for item in seen}
    return facts


def _charge(record: Mapping[str, Any], path: str) -> Charge | None:
    """Read what was deducted: ``billing[]``, or the legacy ``final_…_deduction`` fields."""
    if record.get("billing"):
        return _billed(record["billing"])
    if record.get("final_unit_deduction"):
        endpoint = BY_PATH.get(path)
        pack = "video" if endpoint is None else endpoint.pack
        return Charge(units=Decimal(str(record["final_unit_deduction"])), pack=pack)
    cash = record.get("final_balance_deduction") or {}
    if cash.get("quota"):
        return Charge(amount=Decimal(str(cash["quota"])), pack="balance")
    return None


def _billed(rows: Sequence[Mapping[str, Any]]) -> Charge | None:
    """Add ``billing[]`` up; None for units and cash together: the books say what that was."""
    cash = [row for row in rows if row.get("charge_type") == "cash"]
    total = sum((Decimal(str(row.get("amount", "0"))) for row in rows), Decimal(0))
    if not cash:
        return Charge(units=total, pack=rows[0].get("package_type"))
    if len(cash) < len(rows) or len({row.get("currency") for row in cash}) > 1:
        return None
    return Charge(amount=total, currency=cash[0].get("currency"), pack=cash[0].get("cash_type"))
