"""Files in a body: pictures and sounds are kept, videos are recognised if they are our own.

The sandbox has no network: of a file at a foreign URL it knows nothing but the URL, draws a scene
in its place, and takes it to last 5 s, or as long as ``?seconds=`` in the URL says.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onetake.sandbox import Sandbox, SandboxTask
from onetake.sandbox.media.film import Film, frame_size, ratio_of
from onetake.sandbox.media.motion import read_motion
from onetake.sandbox.media.sound import length_of
from onetake.sandbox.media.still import Still, still_size
from onetake.sandbox.service import FRAME
from onetake_kling.sandbox.answers import invalid
from onetake_kling.sandbox.pictures import keep, picture_fault
from onetake_kling.sandbox.rules import RATIOS

FPS = 24
USUAL_SECONDS = 5.0


@dataclass(frozen=True)
class Video:
    """A video that was given.

    Attributes:
        seconds: its length.
        task: the task that made it, if it is one of the sandbox's.
        frame: file id of its last frame, or None.
    """

    seconds: float
    task: SandboxTask | None = None

    @property
    def frame(self) -> str | None:
        """File id of its last frame."""
        return (
            None if self.task is None or self.task.film is None else f"{FRAME}kling:{self.task.id}"
        )


def video(sandbox: Sandbox, *, url: Any = None, video_id: Any = None) -> Video:
    """Recognise a video by its URL or id.

    Raises:
        Refusal: neither or both, no URL, or no such video.
    """
    if bool(url) == bool(video_id):
        raise invalid("video_id and video_url cannot both be empty or both be provided")
    if video_id:
        task = by_video_id(sandbox, str(video_id))
        if task is None:
            raise invalid(f"From video not found by id: {video_id}")
        return Video(_length(task), task)
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise invalid("Video URL is invalid")
    found = re.search(r"/kling/cdn/(\d+)/", url)
    task = sandbox.store.task("kling", found[1]) if found else None
    if task is not None:
        return Video(_length(task), task)
    told = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).get("seconds", [""])[0]
    return Video(float(told) if re.fullmatch(r"\d+(\.\d+)?", told) else USUAL_SECONDS)


def by_video_id(sandbox: Sandbox, video_id: str) -> SandboxTask | None:
    """Return the task that made an output: ids of outputs differ in the last digit."""
    if not video_id.isdigit() or video_id.endswith("0"):
        return None
    return sandbox.store.task("kling", f"{video_id[:-1]}0")


def _length(task: SandboxTask) -> float:
    if task.film is None:
        return USUAL_SECONDS
    return Film.from_json(task.film).delivered_seconds


def sound(sandbox: Sandbox, *, file: Any = None, audio_id: Any = None) -> tuple[str | None, float]:
    """Keep a sound, or recognise one by its id; return its file id, if any, and its seconds.

    Raises:
        Refusal: neither or both, no such sound, or no clean base64 of one.
    """
    if bool(file) == bool(audio_id):
        raise invalid("Either audio_id or sound_file must be provided")
    if audio_id:
        task = by_video_id(sandbox, str(audio_id))
        if task is None:
            raise invalid(f"Audio not found by id: {audio_id}")
        return None, float(task.extra.get("seconds", USUAL_SECONDS))
    if str(file).startswith(("http://", "https://")):
        return None, USUAL_SECONDS
    try:
        data = base64.b64decode(str(file), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("File is not in a valid base64 format") from None
    length = length_of(data)
    if length is None:
        raise invalid("File format is not supported")
    name = hashlib.sha256(data).hexdigest()[:32]
    sandbox.store.add_file(name, data, "audio/mpeg", "sound")
    return name, length


def picture(sandbox: Sandbox, value: Any, field: str, *, required: bool = True) -> str | None:
    """Keep a picture; return its file id, or None for one at a URL.

    Raises:
        Refusal: it is missing, or neither a URL nor base64 of a picture.
    """
    if not value:
        if required:
            raise invalid(f"{field} can not be null")
        return None
    if not isinstance(value, str):
        raise invalid(f"{field} value type is invalid")
    return keep(sandbox, value)


def fault(sandbox: Sandbox, *files: str | None) -> str | None:
    """Return what is wrong with the first bad picture; it shows after acceptance."""
    own = [file for file in files if file is not None and not file.startswith(FRAME)]
    return next(filter(None, (picture_fault(sandbox, file) for file in own)), None)


def film(
    sandbox: Sandbox,
    *,
    prompt: str,
    label: str,
    resolution: str,
    seconds: float,
    ratio: str = "16:9",
    first: str | None = None,
    last: str | None = None,
    audio: bool = False,
    sound: str | None = None,
    motion: str | None = None,
) -> dict[str, Any]:
    """Return a film as it is to be drawn; a first frame decides its ratio."""
    shape = ratio_of(ratio) if ratio in RATIOS else 16 / 9
    shown = first or last
    if shown is not None:
        size = sandbox.picture_size(shown)
        shape = min(2.5, max(0.4, size[0] / size[1]))
    width, height = frame_size(resolution, shape)
    return Film(
        width=width,
        height=height,
        seconds=seconds,
        fps=FPS,
        prompt=prompt,
        label=label,
        motion=motion or read_motion(prompt),
        first=first,
        last=last,
        audio=audio or sound is not None,
        fast=sandbox.settings.media == "fast",
        sound=sound,
    ).to_json()


def one_film(media: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the only output file of most tasks."""
    return [{"name": "output.mp4", "media": media}]


def stills(
    sandbox: Sandbox,
    *,
    prompt: str,
    label: str,
    number: int,
    resolution: str = "1k",
    ratio: str | None = "16:9",
    source: str | None = None,
    shape: float | None = None,
) -> list[dict[str, Any]]:
    """Return so many pictures as they are to be drawn; without a ratio they are as the source."""
    if shape is None:
        shape = ratio_of(ratio) if ratio and ":" in ratio else 1.0
        if (ratio is None or ratio == "auto") and source is not None:
            size = sandbox.picture_size(source)
            shape = size[0] / size[1]
    width, height = still_size(resolution, shape)
    fast = sandbox.settings.media == "fast"
    return [
        {
            "name": f"{index}.png",
            "media": Still(width, height, prompt, label, source, index, fast).to_json(),
        }
        for index in range(number)
    ]
