"""Sounds: a soft tone that swells, at a pitch that follows from the words."""

from __future__ import annotations

import array
import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av

from onetake.files import temporary_name

RATE = 44_100
_CHUNK = 1152
"""Samples per frame of MP3."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound to be made. Two equal ones are made once.

    Attributes:
        seconds: length.
        words: decide its pitch.
        form: ``mp3`` or ``wav``.
        source: file id of the sound that it is made of, or None.
    """

    seconds: float
    words: str
    form: Literal["mp3", "wav"] = "mp3"
    source: str | None = None

    @property
    def id(self) -> str:
        """Name of the file, from everything that decides its samples."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"kind": "sound", **dataclasses.asdict(self)}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Sound:
        """Rebuild what `to_json` wrote."""
        return Sound(**{key: value for key, value in record.items() if key != "kind"})


def make(sound: Sound, path: Path, read_file: Callable[[str], bytes]) -> None:
    """Make a sound and write it; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = temporary_name(path)
    try:
        with av.open(str(part), "w", format=sound.form) as out:
            stream = out.add_stream(
                "mp3" if sound.form == "mp3" else "pcm_s16le", rate=RATE, layout="mono"
            )
            for frame in frames(tone(sound.words, sound.seconds)):
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def tone(words: str, seconds: float) -> array.array[int]:
    """Return the samples of a tone that swells; one second is computed, and repeated."""
    pitch = 180 + int.from_bytes(hashlib.sha256(words.encode()).digest()[:1], "big")
    second = array.array("h", (_sample(number, pitch) for number in range(RATE)))
    total = max(1, round(seconds * RATE))
    whole = second * (total // RATE + 1)
    return whole[:total]


def _sample(number: int, pitch: int) -> int:
    time = number / RATE
    swell = 0.5 - 0.5 * math.cos(2 * math.pi * time)
    return int(4000 * swell * math.sin(2 * math.pi * pitch * time))


def frames(samples: array.array[int]) -> Iterator[av.AudioFrame]:
    """Return samples as frames."""
    for start in range(0, len(samples), _CHUNK):
        some = samples[start : start + _CHUNK]
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(some))
        frame.sample_rate = RATE
        frame.pts = start
        frame.planes[0].update(some.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        yield frame


def decoded(data: bytes, seconds: float) -> array.array[int]:
    """Return the samples of somebody's sound, cut or filled up with silence to a length."""
    import io

    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    samples = array.array("h")
    with av.open(io.BytesIO(data), "r") as source:
        for frame in source.decode(audio=0):
            for piece in resampler.resample(frame):
                samples.frombytes(bytes(piece.planes[0])[: piece.samples * 2])
    wanted = round(seconds * RATE)
    samples.extend([0] * max(0, wanted - len(samples)))
    return samples[:wanted]


def length_of(data: bytes) -> float | None:
    """Return the seconds of a sound or video, or None if it cannot be read."""
    import io

    try:
        with av.open(io.BytesIO(data), "r") as source:
            return None if source.duration is None else source.duration / av.time_base
    except (av.error.FFmpegError, ValueError):
        return None
