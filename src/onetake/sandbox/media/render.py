"""Rendering: a film becomes an MP4 file with H.264 pictures and, if asked for, AAC sound."""

from __future__ import annotations

import fractions
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
from PIL import Image

from onetake.files import temporary_name
from onetake.sandbox.media import caption, motion, scene
from onetake.sandbox.media import sound as sound_track
from onetake.sandbox.media.film import Film

FAST_FRAMES = 4
"""Frames that a fast film has."""

DRAWN_AHEAD = 3
"""Frames that are drawn before the encoder asks for them."""


def render(film: Film, path: Path, read_file: Callable[[str], bytes]) -> None:
    """Draw a film and write it; the file appears whole or not at all.

    Args:
        film: what to draw.
        path: where it goes.
        read_file: returns the bytes of a picture by its file id.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = temporary_name(path)
    try:
        with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as out:
            _write(out, film, read_file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write(out: Any, film: Film, read_file: Callable[[str], bytes]) -> None:
    count = min(FAST_FRAMES, film.frames) if film.fast else film.frames
    stream = out.add_stream("libx264", rate=film.fps)
    stream.width, stream.height, stream.pix_fmt = film.width, film.height, "yuv420p"
    stream.options = {"preset": "ultrafast", "crf": "21"}
    tick = fractions.Fraction(1, film.fps)
    stream.codec_context.time_base = tick
    sound = out.add_stream("aac", rate=sound_track.RATE, layout="mono") if film.audio else None
    spacing = (film.frames - 1) / max(1, count - 1)
    for number, frame in enumerate(_frames(film, count, read_file)):
        frame.pts = round(number * spacing)
        frame.time_base = tick
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
    if sound is not None:
        _write_sound(out, sound, film, read_file)


def _frames(film: Film, count: int, read_file: Callable[[str], bytes]) -> Iterator[av.VideoFrame]:
    """Draw frames in order, a few ahead of the encoder: Pillow leaves the other core free."""
    moments = _camera(film, read_file) if film.last is None else _passage(film, read_file)
    strips = caption.caption(film.width, film.height, film.prompt, film.label)

    def draw(number: int) -> av.VideoFrame:
        share = number / max(1, count - 1)
        picture = moments(share)
        strips.stamp(picture, share)
        frame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]
        planar: av.VideoFrame = frame.reformat(format="yuv420p")
        return planar

    ahead: deque[Future[av.VideoFrame]] = deque()
    with ThreadPoolExecutor(DRAWN_AHEAD, "onetake-frames") as pool:
        for number in range(count):
            ahead.append(pool.submit(draw, number))
            if len(ahead) > DRAWN_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _camera(film: Film, read_file: Callable[[str], bytes]) -> Callable[[float], Image.Image]:
    """One picture, seen by a moving camera."""
    picture = _picture(film, film.first, read_file)
    boxes = motion.BOXES[film.motion]
    return lambda share: _seen(film, picture, boxes(share))


def _passage(film: Film, read_file: Callable[[str], bytes]) -> Callable[[float], Image.Image]:
    """From the first picture to the last."""
    whole = motion.BOXES["static"](0.0)
    first = _seen(film, _picture(film, film.first, read_file), whole)
    last = _seen(film, _picture(film, film.last, read_file), whole)
    return lambda share: Image.blend(first, last, share * share * (3 - 2 * share))


def _picture(film: Film, file: str | None, read_file: Callable[[str], bytes]) -> Image.Image:
    if file is None:
        return scene.drawn(film.prompt, film.width, film.height, fast=film.fast)
    return scene.fitted(read_file(file), film.width, film.height)


def _seen(film: Film, picture: Image.Image, box: motion.Box) -> Image.Image:
    width, height = picture.size
    pixels = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    size = (film.width, film.height)
    how = Image.Resampling.NEAREST if film.fast else Image.Resampling.BILINEAR
    return picture.resize(size, how, box=pixels)


def _write_sound(out: Any, stream: Any, film: Film, read_file: Callable[[str], bytes]) -> None:
    """Write the caller's sound, or a soft tone, so that a missing track is heard."""
    seconds = film.delivered_seconds
    if film.sound is None:
        samples = sound_track.tone("sound", seconds)
    else:
        samples = sound_track.decoded(read_file(film.sound), seconds)
    for frame in sound_track.frames(samples):
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
