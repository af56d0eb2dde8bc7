"""Voices and elements: listing and deleting them. Making one is a job like any other.

Facts: vendor pages of 2026-09-20; both paths for deleting elements act on one store (seen live,
2026-09-20).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from onetake.driver import Resource

Read = Callable[[str, Mapping[str, str]], Awaitable[Any]]
PAGE = 500
_PATHS = {
    "voice": ("/v1/general/custom-voices", "/v1/general/presets-voices"),
    "element": ("/v1/general/advanced-custom-elements", "/v1/general/advanced-presets-elements"),
}
_DELETIONS = {
    "voice": "/v1/general/delete-voices",
    "element": "/v1/general/delete-advanced-elements",
}


async def listed(read: Read, kind: str, *, preset: bool) -> Sequence[Resource]:
    """Return the account's own, or the vendor's; those that were deleted are left out."""
    path, page, found = _PATHS[kind][preset], 1, []
    while True:
        tasks = await read(path, {"pageNum": str(page), "pageSize": str(PAGE)}) or []
        found += [item for task in tasks for item in _of_task(kind, task)]
        if len(tasks) < PAGE:
            return found
        page += 1


def _of_task(kind: str, task: Mapping[str, Any]) -> list[Resource]:
    made = (task.get("task_result") or {}).get(f"{kind}s") or ()
    return [
        Resource(
            kind=kind,
            id=str(item[f"{kind}_id"]),
            name=str(item.get(f"{kind}_name", "")),
            owner="kling" if item.get("owned_by") == "kling" else "own",
            url=item.get("trial_url"),
            detail=dict(item),
        )
        for item in made
        if item.get("status") != "deleted"
    ]


def deletion(kind: str, resource_id: str) -> tuple[str, dict[str, str]]:
    """Return path and body of the call that deletes one."""
    return _DELETIONS[kind], {f"{kind}_id": resource_id}
