"""What an endpoint makes: films, pictures, sounds, a voice, a solid; and how long it is."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onetake.sandbox import Sandbox
from onetake.sandbox.media.film import Film, frame_size, ratio_of
from onetake.sandbox.media.motion import read_motion
from onetake.sandbox.media.sound import Sound
from onetake.sandbox.media.still import Still, still_size
from onetake_fal.sandbox import schema
from onetake_fal.sandbox.inputs import Given

FPS = 24
FIRST = ("start_image_url", "image_url", "image_urls", "input_image_urls")
LAST = ("tail_image_url", "end_image_url")
SPEECH_PER_SECOND = 12.0
"""Characters of a text that are spoken in a second."""

SQUARES = {
    "square_hd": 1.0,
    "square": 1.0,
    "portrait_4_3": 3 / 4,
    "portrait_16_9": 9 / 16,
    "landscape_4_3": 4 / 3,
    "landscape_16_9": 16 / 9,
}


@dataclass(frozen=True)
class Work:
    """What one request makes.

    Attributes:
        files: each with its ``name``, ``type`` and ``media`` (None: a solid), by field of the
            result; a list field has several.
        facts: fields of the result that are no files.
        seconds: length of what is made or was given; what the bill counts.
    """

    files: Mapping[str, list[dict[str, Any]]]
    facts: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True)
class Maker:
    """Makes the outputs of one request."""

    sandbox: Sandbox
    endpoint: str
    body: Mapping[str, Any]
    given: Given

    def work(self) -> Work:
        """Return what is made, by the fields of the endpoint's result."""
        fields = schema.endpoints()[self.endpoint].get("output_schema") or {}
        makers = {
            "video": self._film,
            "audio": self._sound,
            "images": self._stills,
            "image": self._still,
            "model_mesh": self._solid,
        }
        files = {name: makers[name]() for name in fields if name in makers}
        return Work(files, self._facts(fields), self.seconds)

    @property
    def seconds(self) -> float:
        """Length: of the given sound or video, of the shots, else the duration asked for."""
        task = str(schema.endpoints()[self.endpoint]["task"])
        role = _TIMED_BY.get(task)
        if role is not None:
            return self.given.seconds.get(role, 5.0)
        if task == "text-to-speech":
            return max(1.0, round(len(str(self.body.get("text", ""))) / SPEECH_PER_SECOND, 1))
        if shots := self._shots():
            return float(sum(int(shot.get("duration") or 5) for shot in shots))
        asked = schema.value(self.endpoint, self.body, "duration")
        if asked is None:
            asked = schema.value(self.endpoint, self.body, "seconds")
        return float(asked or self.given.seconds.get("video_url", 5.0))

    def _value(self, name: str) -> Any:
        return schema.value(self.endpoint, self.body, name)

    def _shots(self) -> list[Mapping[str, Any]]:
        given = self.body.get("multi_prompt") or []
        return [shot for shot in given if isinstance(shot, Mapping)]

    def _prompt(self) -> str:
        words = [self.body.get("prompt"), self.body.get("text")]
        words += [shot.get("prompt") for shot in self._shots()[:1]]
        return str(next(filter(None, words), ""))

    def _first(self, names: tuple[str, ...]) -> str | None:
        found = (self.given.pictures.get(name) for name in names)
        return next((file for file in found if file is not None), None)

    def _ratio(self, shown: str | None) -> float:
        """A given picture decides, then the ratio asked for."""
        asked = self._value("aspect_ratio")
        if shown is not None and (asked in (None, "auto") or "start_image_url" in self.body):
            return min(2.5, max(0.4, self._ratio_of(shown)))
        return ratio_of(asked) if isinstance(asked, str) and ":" in asked else 16 / 9

    def _ratio_of(self, picture: str) -> float:
        width, height = self.sandbox.picture_size(picture)
        return width / height

    @property
    def _fast(self) -> bool:
        return self.sandbox.settings.media == "fast"

    def _film(self) -> list[dict[str, Any]]:
        shown = self._first(FIRST) or self.given.frames.get("video_url")
        width, height = frame_size(schema.resolution(self.endpoint, self.body), self._ratio(shown))
        prompt = self._prompt()
        sound = self.given.sounds.get("audio_url")
        audio = self._value("generate_audio") or schema.always_audio(self.endpoint)
        film = Film(
            width=width,
            height=height,
            seconds=self.seconds,
            fps=FPS,
            prompt=prompt,
            label=self.endpoint,
            motion=read_motion(prompt),
            first=shown,
            last=self._first(LAST),
            audio=bool(audio) or sound is not None or "audio_url" in self.body,
            fast=self._fast,
            sound=sound,
        )
        return [{"name": "output.mp4", "type": "video/mp4", "media": film.to_json()}]

    def _sound(self) -> list[dict[str, Any]]:
        sound = Sound(self.seconds, self._prompt() or self.endpoint)
        return [{"name": "output.mp3", "type": "audio/mpeg", "media": sound.to_json()}]

    def _stills(self) -> list[dict[str, Any]]:
        number = int(self._value("num_images") or 1)
        if self.body.get("result_type") == "series":
            number = int(self.body.get("series_amount") or 2)
        width, height = self._size()
        form = self._value("output_format") or "png"
        drawn = Still(
            width,
            height,
            self._prompt(),
            self.endpoint,
            self._first(FIRST),
            fast=self._fast,
            form=form,
        )
        stills = [dataclasses.replace(drawn, number=index) for index in range(number)]
        return [_picture(str(still.number), still) for still in stills]

    def _size(self) -> tuple[int, int]:
        size = self._value("image_size")
        if isinstance(size, Mapping):
            return int(size.get("width", 1024)), int(size.get("height", 1024))
        shape = SQUARES.get(str(size)) or self._still_ratio()
        return still_size(str(self._value("resolution") or "1k").lower(), shape)

    def _still_ratio(self) -> float:
        """The ratio asked for decides, then a given picture."""
        asked = self._value("aspect_ratio")
        if isinstance(asked, str) and ":" in asked:
            return ratio_of(asked)
        first = self._first(FIRST)
        return 1.0 if first is None else self._ratio_of(first)

    def _still(self) -> list[dict[str, Any]]:
        person = self.given.pictures.get("human_image_url")
        ratio = 3 / 4 if person is None else self._ratio_of(person)
        width, height = still_size("1k", ratio)
        return [
            _picture("output", Still(width, height, "", self.endpoint, person, fast=self._fast))
        ]

    def _solid(self) -> list[dict[str, Any]]:
        return [{"name": "model.glb", "type": "model/gltf-binary", "media": None}]

    def _facts(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        known = {
            "voice_id": hashlib.sha256(json.dumps(self.body).encode()).hexdigest()[:16],
            "duration": self.seconds,
            "seed": int(self.body.get("seed") or 42),
            "prompt": self._prompt(),
            "timings": {"inference": 1.0},
            "has_nsfw_concepts": [False] * int(self._value("num_images") or 1),
        }
        return {name: known[name] for name in fields if name in known}


def _picture(stem: str, still: Still) -> dict[str, Any]:
    return {
        "name": f"{stem}.{still.form}",
        "type": f"image/{still.form}",
        "media": still.to_json(),
    }


_TIMED_BY: Mapping[str, str] = {
    "ai-avatar": "audio_url",
    "lipsync-audio-to-video": "video_url",
    "lipsync-text-to-video": "video_url",
    "motion-control": "video_url",
    "video-to-video-edit": "video_url",
    "video-to-audio": "video_url",
}
"""Tasks whose result is as long as a file that was given."""


def solid() -> bytes:
    """Return a triangle as a GLB file: a result that is neither picture, film nor sound."""
    points = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    scene = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [
            {
                "bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3",
                "min": [0, 0, 0], "max": [1, 1, 0],
            }
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(points)}],
        "buffers": [{"byteLength": len(points)}],
    }  # fmt: skip
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text
    body += struct.pack("<I4s", len(points), b"BIN\0") + points
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body
