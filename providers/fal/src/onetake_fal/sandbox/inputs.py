"""Files in an input: what was uploaded here is read, the sandbox's own results are recognised.

The sandbox has no network: a file at a foreign URL is taken on trust. A foreign video or sound
lasts 5 s, or as long as ``?seconds=`` in its URL says.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import av
from PIL import Image

from onetake.sandbox import Sandbox
from onetake.sandbox.media.film import Film
from onetake.sandbox.service import FRAME, last_frame
from onetake_fal.sandbox import schema

OWN_FILES = "/files/"
SMALLEST_SIDE = 300
USUAL_SECONDS = 5.0
_RESULT = re.compile(r"/fal/media/([0-9a-f-]{36})/")


@dataclass
class Given:
    """What the files of an input are.

    Attributes:
        pictures: field to file id, for pictures that were read.
        seconds: field to length, for videos and sounds.
        frames: field to file id of a picture of the video.
        sounds: field to file id of the sound.
        wrong: what is wrong, in fal's form.
    """

    pictures: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    frames: dict[str, str] = field(default_factory=dict)
    sounds: dict[str, str] = field(default_factory=dict)
    wrong: list[schema.Problem] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    """A file in an input.

    Attributes:
        name: the field.
        url: what it holds.
        where: the way to it, for messages.
    """

    name: str
    url: str
    where: tuple[str | int, ...]

    def bad(self, message: str, kind: str) -> schema.Problem:
        """Return what is wrong with it, in fal's form."""
        found = schema.problem(self.where, message, kind, self.url[:200])
        return {**found, "url": f"https://docs.fal.ai/errors/#{kind}"}


def read(sandbox: Sandbox, endpoint: str, body: Mapping[str, Any]) -> Given:
    """Read every field of the endpoint whose name says that it holds the URL of a file."""
    given = Given()
    for file in _files(schema.endpoints()[endpoint]["input_schema"], body):
        _read(sandbox, given, file)
    return given


def _files(fields: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[_File]:
    for name in (name for name in fields if name in body):
        value = body[name]
        if name.endswith("_url") and isinstance(value, str) and value:
            yield _File(name, value, ("body", name))
        elif name.endswith("_urls") and isinstance(value, list):
            for number, url in enumerate(value):
                if isinstance(url, str):
                    yield _File(name, url, ("body", name, number))


def _read(sandbox: Sandbox, given: Given, file: _File) -> None:
    own = sandbox.own_file(file.url, OWN_FILES)
    task = _RESULT.search(file.url)
    if task is not None and sandbox.store.task("fal", task[1]) is not None:
        _read_result(sandbox, given, file.name, task[1])
    elif own is None and not file.url.startswith("data:"):
        _take_on_trust(given, file)
    elif any(word in file.name for word in ("video", "audio", "voice")):
        _read_stream(sandbox, given, file, own)
    else:
        _read_picture(sandbox, given, file, own)


def _take_on_trust(given: Given, file: _File) -> None:
    if not re.match(r"https?://", file.url) or "/fal/cdn/files/" in file.url:
        given.wrong.append(file.bad("Failed to download the file.", "file_download_error"))
    elif "image" not in file.name:
        given.seconds.setdefault(file.name, told_seconds(file.url))


def told_seconds(url: str) -> float:
    """Return how long a foreign file lasts."""
    told = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).get("seconds", [""])[0]
    return float(told) if re.fullmatch(r"\d+(\.\d+)?", told) else USUAL_SECONDS


def _read_result(sandbox: Sandbox, given: Given, name: str, task_id: str) -> None:
    task = sandbox.store.task("fal", task_id)
    assert task is not None
    if task.film is not None:
        given.seconds[name] = Film.from_json(task.film).delivered_seconds
        given.frames[name] = f"{FRAME}fal:{task_id}"


def _data(sandbox: Sandbox, url: str, own: str | None) -> bytes:
    if own is not None:
        return sandbox.store.read_file(own)
    return base64.b64decode(url.partition(",")[2], validate=True)


def _read_picture(sandbox: Sandbox, given: Given, file: _File, own: str | None) -> None:
    try:
        data = _data(sandbox, file.url, own)
        with Image.open(io.BytesIO(data)) as picture:
            picture.verify()
            width, height = picture.size
    except (OSError, ValueError, SyntaxError, binascii.Error):
        given.wrong.append(file.bad("Failed to load the image.", "image_load_error"))
        return
    if min(width, height) < SMALLEST_SIDE:
        context = {"min_height": SMALLEST_SIDE, "min_width": SMALLEST_SIDE}
        given.wrong.append({**file.bad("Image too small.", "image_too_small"), "ctx": context})
        return
    given.pictures.setdefault(file.name, sandbox.keep_picture(data))


def _read_stream(sandbox: Sandbox, given: Given, file: _File, own: str | None) -> None:
    try:
        data = _data(sandbox, file.url, own)
        with av.open(io.BytesIO(data), "r") as container:
            seconds = (container.duration or 0) / av.time_base
            moving = bool(container.streams.video)
    except (av.error.FFmpegError, OSError, ValueError, binascii.Error):
        kind = "video" if "video" in file.name else "audio"
        given.wrong.append(file.bad(f"Unsupported {kind} format", f"unsupported_{kind}_format"))
        return
    given.seconds.setdefault(file.name, seconds)
    if moving:
        given.frames.setdefault(file.name, _frame(sandbox, data))
    elif own is not None:
        given.sounds.setdefault(file.name, own)


def _frame(sandbox: Sandbox, data: bytes) -> str:
    """Keep a picture of an uploaded video."""
    found = sandbox.store.file(sandbox.keep_picture(data, "video"))
    assert found is not None
    return sandbox.keep_picture(last_frame(found[0]), "frame.png")
