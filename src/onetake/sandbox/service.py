"""`Sandbox`: the state and services that all dialects share."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
from PIL import Image, ImageOps

from onetake.assets import sniff
from onetake.clock import Clock, SystemClock
from onetake.sandbox.courier import Courier
from onetake.sandbox.faults import Faults
from onetake.sandbox.media import sound, still
from onetake.sandbox.media.film import Film
from onetake.sandbox.media.sound import Sound
from onetake.sandbox.media.still import Still
from onetake.sandbox.store import SandboxStore
from onetake.sandbox.tasks import SandboxTask

FRAME = "frame:"
"""Beginning of the file id of a film's last frame."""

_WORKS: dict[str, Any] = {"film": Film, "still": Still, "sound": Sound}


def _suffix(work: Film | Still | Sound) -> str:
    return "mp4" if isinstance(work, Film) else work.form


def last_frame(path: Path) -> bytes:
    """Return the last picture of a film, as a PNG."""
    import io

    import av

    with av.open(str(path), "r") as film:
        frame = None
        for frame in film.decode(video=0):  # noqa: B007 - the last one is wanted
            pass
    assert frame is not None
    buffer = io.BytesIO()
    picture: Any = frame.to_image()  # type: ignore[no-untyped-call]
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@dataclass(frozen=True)
class SandboxSettings:
    """How a sandbox behaves where the vendors leave it open.

    Attributes:
        seconds_per_job: from acceptance to the end of a task.
        media: ``full`` draws every frame, ``fast`` a few.
        concurrency: slots per bucket where a vendor counts them.
        allow_discontinued: accept models that the vendor has switched off.
        validate: when fal's dialect refuses bad input: ``result`` as observed, or ``submit``.
        strict_paths: fal's dialect answers 405 where a request is asked for below a model's path,
            or at ``/response``.
        units: balance of each of Kling's packs, in its units.
        webhook_secret: signs Kling's callbacks (``whsec_…``); None: they are not signed.
        folder: where the state lives; a temporary folder when None.
    """

    seconds_per_job: float = 2.0
    media: Literal["full", "fast"] = "full"
    concurrency: int = 5
    allow_discontinued: bool = False
    validate: Literal["result", "submit"] = "result"
    strict_paths: bool = False
    units: float = 100_000.0
    webhook_secret: str | None = field(default=None, repr=False)
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
        self.courier = Courier(self.now, lambda name, provider: self._flag(name, provider))
        self._render_lock = threading.Lock()
        self._rendering: dict[str, threading.Lock] = {}

    def now(self) -> float:
        """Return the sandbox's time in seconds; ``advance`` moves it ahead."""
        return self.clock.now() + float(self.store.value("advanced", 0.0))

    def advance(self, seconds: float) -> None:
        """Move the sandbox's time ahead."""
        self.store.set_value("advanced", float(self.store.value("advanced", 0.0)) + seconds)

    def _flag(self, name: str, provider: str) -> bool:
        return self.faults.take_flag(name, provider, "")

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
        if file_id.startswith(FRAME):
            provider, _, task_id = file_id.removeprefix(FRAME).partition(":")
            task = self.store.task(provider, task_id)
            assert task is not None
            film = Film.from_json(task.film or {})
            return film.width, film.height
        with Image.open(self.store.folder / "files" / file_id) as picture:
            return ImageOps.exif_transpose(picture).size

    def own_file(self, url: str, marker: str) -> str | None:
        """Return the file id in a URL of this sandbox's own storage, or None."""
        path = urllib.parse.urlsplit(url).path
        _, found, rest = path.partition(marker)
        file_id = rest.partition("/")[0]
        return file_id if found and self.store.file(file_id) else None

    async def film(self, record: Any) -> Path:
        """Return the file of a film, still or sound, making it if it is not there yet."""
        return await anyio.to_thread.run_sync(self.made, record)

    def made(self, record: Mapping[str, Any]) -> Path:
        """Return the same from a thread that may wait."""
        work = _WORKS[record.get("kind", "film")].from_json(record)
        path = self.store.folder / "films" / f"{work.id}.{_suffix(work)}"
        if not path.exists():
            with self._render_lock:
                lock = self._rendering.setdefault(work.id, threading.Lock())
            with lock:
                if not path.exists():
                    self._make(work, path)
        return path

    def _make(self, work: Film | Still | Sound, path: Path) -> None:
        if isinstance(work, Still):
            still.draw(work, path, self.input_bytes)
        elif isinstance(work, Sound):
            sound.make(work, path, self.input_bytes)
        else:
            from onetake.sandbox.media.render import render

            render(work, path, self.input_bytes)

    def input_bytes(self, file_id: str) -> bytes:
        """Return a kept file, or the last frame of a task's film (``frame:<provider>:<task>``)."""
        if not file_id.startswith(FRAME):
            return self.store.read_file(file_id)
        provider, _, task_id = file_id.removeprefix(FRAME).partition(":")
        task = self.store.task(provider, task_id)
        assert task is not None
        assert task.film is not None
        return last_frame(self.made(task.film))

    def close(self) -> None:
        """Close the state; a temporary one is deleted."""
        self.courier.stop()
        self.store.close()
        if self._temporary is not None:
            self._temporary.cleanup()
