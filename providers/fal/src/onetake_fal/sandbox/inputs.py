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
from collections.abc import Mapping
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


def read(sandbox: Sandbox, endpoint: str, body: Mapping[str, Any]) -> Given:
    """Read every field of the endpoint whose name says that it holds the URL of a file."""
    given = Given()
    fields = schema.endpoints()[endpoint]["input_schema"]
    for name in (name for name in fields if name in body):
        value = body[name]
        if name.endswith("_url") and isinstance(value, str) and value:
            _read(sandbox, given, name, value, ("body", name))
        elif name.endswith("_urls") and isinstance(value, list):
            for number, url in enumerate(value):
                if isinstance(url, str):
                    _read(sandbox, given, name, url, ("body", name, number))
    return given


def _read(
    sandbox: Sandbox, given: Given, name: str, url: str, where: tuple[str | int, ...]
) -> None:
    own = sandbox.own_file(url, OWN_FILES)
    task = _RESULT.search(url)
    if task is not None and sandbox.store.task("fal", task[1]) is not None:
        _read_result(sandbox, given, name, task[1])
    elif own is None and not url.startswith("data:"):
        if not re.match(r"https?://", url) or "/fal/cdn/files/" in url:
            message = "Failed to download the file."
            given.wrong.append(_bad(where, message, "file_download_error", url))
        elif "image" not in name:
            given.seconds.setdefault(name, told_seconds(url))
    elif "video" in name or "audio" in name or "voice" in name:
        _read_stream(sandbox, given, name, url, own, where)
    else:
        _read_picture(sandbox, given, name, url, own, where)


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


def _read_picture(
    sandbox: Sandbox,
    given: Given,
    name: str,
    url: str,
    own: str | None,
    where: tuple[str | int, ...],
) -> None:
    try:
        data = _data(sandbox, url, own)
        with Image.open(io.BytesIO(data)) as picture:
            picture.verify()
            width, height = picture.size
    except (OSError, ValueError, SyntaxError, binascii.Error):
        given.wrong.append(_bad(where, "Failed to load the image.", "image_load_error", url))
        return
    if min(width, height) < SMALLEST_SIDE:
        context = {"min_height": SMALLEST_SIDE, "min_width": SMALLEST_SIDE}
        small = _bad(where, "Image too small.", "image_too_small", url)
        given.wrong.append({**small, "ctx": context})
        return
    given.pictures.setdefault(name, sandbox.keep_picture(data))


def _read_stream(
    sandbox: Sandbox,
    given: Given,
    name: str,
    url: str,
    own: str | None,
    where: tuple[str | int, ...],
) -> None:
    try:
        data = _data(sandbox, url, own)
        with av.open(io.BytesIO(data), "r") as container:
            seconds = (container.duration or 0) / av.time_base
            moving = bool(container.streams.video)
    except (av.error.FFmpegError, OSError, ValueError, binascii.Error):
        kind = "video" if "video" in name else "audio"
        message = f"Unsupported {kind} format"
        given.wrong.append(_bad(where, message, f"unsupported_{kind}_format", url))
        return
    given.seconds.setdefault(name, seconds)
    if moving:
        given.frames.setdefault(name, _frame(sandbox, data))
    elif own is not None:
        given.sounds.setdefault(name, own)


def _frame(sandbox: Sandbox, data: bytes) -> str:
    """Keep a picture of an uploaded video."""
    found = sandbox.store.file(sandbox.keep_picture(data, "video"))
    assert found is not None
    return sandbox.keep_picture(last_frame(found[0]), "frame.png")


def _bad(where: tuple[str | int, ...], message: str, kind: str, url: str) -> schema.Problem:
    found = schema.problem(where, message, kind, url[:200])
    return {**found, "url": f"https://docs.fal.ai/errors/#{kind}"}
