"""Measuring a delivered file: its facts come from the file, not from the vendor."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onetake.assets import sniff
from onetake.errors import DeliveryError

SUFFIXES = {
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/mp4": ".m4a",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured.

    Attributes:
        media_type: from the content, else as the vendor said.
        width: pixels, or None.
        height: pixels, or None.
        duration: seconds, or None.
    """

    media_type: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None

    @property
    def suffix(self) -> str:
        """File name ending for the media type."""
        return SUFFIXES.get(self.media_type, ".bin")


def measure(path: Path, said: str | None) -> Facts:
    """Open a file and measure it.

    Args:
        path: the downloaded file.
        said: media type that the vendor gave, for kinds that are not recognised.

    Raises:
        DeliveryError: it cannot be opened as what it is: cut short, or an error page.
    """
    with path.open("rb") as file:
        media_type = sniff(file.read(32)) or said or "application/octet-stream"
    try:
        if media_type.startswith("image/"):
            return _picture(path, media_type)
        if media_type.startswith(("video/", "audio/")):
            return _stream(path, media_type)
    except DeliveryError:
        raise
    except Exception as error:
        raise DeliveryError(
            f"{path.name}: the delivered file is not a whole {media_type}: {error}."
        ) from error
    if media_type.startswith(("text/", "application/json", "application/xml")):
        raise DeliveryError(f"{path.name}: the vendor delivered {media_type}, not media.")
    return Facts(media_type)


def _picture(path: Path, media_type: str) -> Facts:
    from PIL import Image

    with Image.open(path) as picture:
        picture.load()
        return Facts(media_type, *picture.size)


def _check_whole(path: Path, container: Any) -> None:
    """Count packets: a file whose index comes first opens well even if its end is missing."""
    packets: Counter[int] = Counter()
    for packet in container.demux():
        packets[packet.stream.index] += packet.size > 0
    for stream in container.streams:
        if stream.frames and packets[stream.index] < stream.frames:
            raise DeliveryError(
                f"{path.name}: the delivered file is not a whole one: {packets[stream.index]} of "
                f"{stream.frames} packets of its {stream.type} are there."
            )


def _stream(path: Path, media_type: str) -> Facts:
    import av

    with av.open(str(path)) as container:
        _check_whole(path, container)
        duration = None if container.duration is None else container.duration / av.time_base
        if not container.streams.video:
            return Facts(media_type, duration=duration)
        video = container.streams.video[0]
        if video.duration is not None and video.time_base is not None:
            duration = float(video.duration * video.time_base)
        return Facts(media_type, video.width, video.height, duration)
