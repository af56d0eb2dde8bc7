"""`Sandbox`: the state and services that all dialects share."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
import threading
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
from PIL import Image, ImageOps

from onetake.assets import sniff
from onetake.clock import Clock, SystemClock
from onetake.sandbox.faults import Faults
from onetake.sandbox.media.film import Film
from onetake.sandbox.store import SandboxStore
from onetake.sandbox.tasks import SandboxTask


@dataclass(frozen=True)
class SandboxSettings:
    """How a sandbox behaves where the vendors leave it open.

    Attributes:
        seconds_per_job: from acceptance to the end of a task.
        media: ``full`` draws every frame, ``fast`` a few.
        concurrency: slots per bucket where a vendor counts them.
        allow_discontinued: accept models that the vendor has switched off.
        validate: when fal's dialect refuses bad input: ``result`` as observed, or ``submit``.
        units: balance of each of Kling's packs, in its units.
        folder: where the state lives; a temporary folder when None.
    """

    seconds_per_job: float = 2.0
    media: Literal["full", "fast"] = "full"
    concurrency: int = 5
    allow_discontinued: bool = False
    validate: Literal["result", "submit"] = "result"
    units: float = 100_000.0
    folder: Path | None = None


class Sandbox:
    """One sandbox: what it remembers, its time, its faults and its films."""

    def __init__(self, settings: SandboxSettings | None = None, clock: Clock | None = None) -> None:
        self.settings = settings or SandboxSettings()
        self.clock = clock or SystemClock()
        self._temporary = None
        folder = self.settings.folder
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="onetake-sandbox-")
            folder = Path(self._temporary.name)
        self.store = SandboxStore(folder)
        self.faults = Faults()
        self._render_lock = threading.Lock()
        self._rendering: dict[str, threading.Lock] = {}

    def now(self) -> float:
        """Return the sandbox's time in seconds; ``advance`` moves it ahead."""
        return self.clock.now() + float(self.store.value("advanced", 0.0))

    def advance(self, seconds: float) -> None:
        """Move the sandbox's time ahead."""
        self.store.set_value("advanced", float(self.store.value("advanced", 0.0)) + seconds)

    def accept(self, task: SandboxTask) -> SandboxTask:
        """Take on a task, from now on it is charged.

        Raises:
            DuplicateExternalId: its external id is taken.
        """
        if self.faults.take_flag("fail_task", task.provider, task.endpoint):
            task = dataclasses.replace(task, outcome="failed", reason="failed by a fault")
        self.store.add_task(task)
        return task

    def keep_picture(self, data: bytes, name: str = "picture") -> str:
        """Keep a file by its content; return its id."""
        file_id = hashlib.sha256(data).hexdigest()[:32]
        self.store.add_file(file_id, data, sniff(data) or "application/octet-stream", name)
        return file_id

    def picture_size(self, file_id: str) -> tuple[int, int]:
        """Return width and height of a kept picture as it is seen, upright."""
        with Image.open(self.store.folder / "files" / file_id) as picture:
            return ImageOps.exif_transpose(picture).size

    def own_file(self, url: str, marker: str) -> str | None:
        """Return the file id in a URL of this sandbox's own storage, or None."""
        path = urllib.parse.urlsplit(url).path
        _, found, rest = path.partition(marker)
        file_id = rest.partition("/")[0]
        return file_id if found and self.store.file(file_id) else None

    def film_path(self, film: Film) -> Path:
        """Return where a film is, or will be."""
        return self.store.folder / "films" / f"{film.id}.mp4"

    async def film(self, record: Any) -> Path:
        """Return a film's file, drawing it if it is not there yet."""
        film = Film.from_json(record)
        path = self.film_path(film)
        if not path.exists():
            await anyio.to_thread.run_sync(self._draw, film, path)
        return path

    def _draw(self, film: Film, path: Path) -> None:
        from onetake.sandbox.media.render import render

        with self._render_lock:
            lock = self._rendering.setdefault(film.id, threading.Lock())
        with lock:
            if not path.exists():
                render(film, path, self.store.read_file)

    def close(self) -> None:
        """Close the state; a temporary one is deleted."""
        self.store.close()
        if self._temporary is not None:
            self._temporary.cleanup()
