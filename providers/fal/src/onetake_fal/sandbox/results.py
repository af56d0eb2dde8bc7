"""Results: the body that an endpoint gives back, with its files at URLs of this server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread

from onetake.files import write_atomic
from onetake.sandbox import Sandbox, SandboxTask
from onetake_fal.sandbox.works import solid


async def result(sandbox: Sandbox, task: SandboxTask, base: str) -> dict[str, Any]:
    """Return the body of a request that succeeded: bare JSON of the model, as recorded."""
    return await anyio.to_thread.run_sync(made, sandbox, task, base)


def made(sandbox: Sandbox, task: SandboxTask, base: str, *, sized: bool = True) -> dict[str, Any]:
    """Return the same from a thread that may wait; without sizes no file need be there."""

    def told(number: int) -> dict[str, Any]:
        size = {"file_size": path_of(sandbox, task.files[number]).stat().st_size} if sized else {}
        return {**_told(task, number, base), **size}

    body: dict[str, Any] = {}
    for name, numbers in task.extra["shape"].items():
        several = isinstance(numbers, list)
        body[name] = [told(number) for number in numbers] if several else told(numbers)
    return {**body, **task.extra["facts"]}


def _told(task: SandboxTask, number: int, base: str) -> dict[str, Any]:
    file = task.files[number]
    told = {
        "url": f"{base}/fal/media/{task.id}/{file['name']}",
        "content_type": file["type"],
        "file_name": file["name"],
    }
    media = file["media"]
    if file["type"].startswith("image/"):
        told |= {"width": media["width"], "height": media["height"]}
    return told


def file_of(task: SandboxTask, name: str) -> Mapping[str, Any] | None:
    """Return a result's file by its name."""
    return next((file for file in task.files if file["name"] == name), None)


def path_of(sandbox: Sandbox, file: Mapping[str, Any]) -> Path:
    """Return a result's file on disk, making it if it is not there yet."""
    if file["media"] is None:
        return _solid_in(sandbox.store.folder / "films" / file["name"])
    return sandbox.made(file["media"])


def _solid_in(path: Path) -> Path:
    if not path.exists():
        write_atomic(path, solid())
    return path
