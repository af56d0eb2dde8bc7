"""The library of voices and elements: the account's own, which tasks made, and the vendor's."""

from __future__ import annotations

import dataclasses
from typing import Any

from onetake.sandbox import Sandbox, SandboxTask
from onetake_kling.sandbox.answers import invalid
from onetake_kling.sandbox.fields import Body

PRESETS = {
    "voices": [("800000000000000101", "Calm"), ("800000000000000102", "Bright")],
    "elements": [("160", "Wizard"), ("161", "Robot")],
}
"""Ids and names of the vendor's own, as far as the sandbox has them."""


def presets(sandbox: Sandbox, kind: str) -> list[dict[str, Any]]:
    """Return the vendor's own, as tasks."""
    now = int(sandbox.now() * 1000)
    singular = kind.removesuffix("s")
    return [
        {
            "task_id": f"{number:018d}",
            "task_status": "succeed",
            "task_result": {
                kind: [
                    {
                        f"{singular}_id": int(item) if kind == "elements" else item,
                        f"{singular}_name": name,
                        "owned_by": "kling",
                    }
                ]
            },
            "created_at": now,
            "updated_at": now,
        }
        for number, (item, name) in enumerate(PRESETS[kind], start=1)
    ]


def delete(sandbox: Sandbox, kind: str, body: Body) -> dict[str, Any]:
    """Delete a voice or an element; a second time it is refused (seen live, 2026-09-20).

    Raises:
        Refusal: there is none, or it is deleted already.
    """
    singular = kind.removesuffix("s")
    wanted = str(body.get(f"{singular}_id") or "")
    task = _made(sandbox, kind, wanted)
    if task is None:
        raise invalid(f"{singular.capitalize()} id not found: {wanted}")
    if task.extra.get("deleted"):
        raise invalid(f"{singular.capitalize()} {wanted} already be deleted")
    extra = {**task.extra, "deleted": True}
    sandbox.store.change_task(dataclasses.replace(task, extra=extra))
    return {"task_id": task.id, "task_status": "succeed"}


def _made(sandbox: Sandbox, kind: str, resource_id: str) -> SandboxTask | None:
    tasks = sandbox.store.tasks("kling")
    return next((task for task in tasks if _is(task, kind, resource_id)), None)


def _is(task: SandboxTask, kind: str, resource_id: str) -> bool:
    return task.extra.get("kind") == kind and task.extra.get("resource_id") == resource_id


def check_things(sandbox: Sandbox, body: Body) -> None:
    """Refuse elements and voices that nobody made.

    Raises:
        Refusal: naming the first.
    """
    now = sandbox.now()
    contents = [item for item in body.get("contents") or () if isinstance(item, dict)]
    for kind in ("element", "voice"):
        listed = [item for item in body.get(f"{kind}_list") or () if isinstance(item, dict)]
        for item in [*listed, *(one for one in contents if one.get("type") == kind)]:
            wanted = str(item.get(f"{kind}_id", ""))
            if wanted in dict(PRESETS[f"{kind}s"]):
                continue
            task = _made(sandbox, f"{kind}s", wanted)
            if task is None or task.extra.get("deleted") or task.phase(now) != "succeeded":
                raise invalid(f"{kind.capitalize()} id not found: {wanted}")
