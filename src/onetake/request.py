"""What a caller asks for: one request type for every provider."""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onetake.assets import Asset, AssetSource
from onetake.errors import RequestError
from onetake.tasks import TASKS, output_of


class GenerationType(enum.StrEnum):
    """What is to be generated.

    The first three name only the kind of output and fit every model of that kind; the others
    name a task exactly. Values are plain text, so ``"image-to-video"`` works wherever
    ``GenerationType.IMAGE_TO_VIDEO`` does.
    """

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    TEXT_TO_VIDEO = "text-to-video"
    IMAGE_TO_VIDEO = "image-to-video"
    REFERENCE_TO_VIDEO = "reference-to-video"
    VIDEO_TO_VIDEO = "video-to-video"
    VIDEO_EDIT = "video-edit"
    VIDEO_EXTENSION = "video-extension"
    MOTION_CONTROL = "motion-control"
    EFFECTS = "effects"
    AVATAR = "avatar"
    LIP_SYNC = "lip-sync"
    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    OUTPAINTING = "outpainting"
    VIRTUAL_TRY_ON = "virtual-try-on"
    MULTI_VIEW = "multi-view"
    IMAGE_RECOGNITION = "image-recognition"
    TEXT_TO_AUDIO = "text-to-audio"
    VIDEO_TO_AUDIO = "video-to-audio"
    TEXT_TO_SPEECH = "text-to-speech"
    VOICE_CREATION = "voice-creation"
    ELEMENT_CREATION = "element-creation"
    FACE_DETECTION = "face-detection"

    def covers(self, task: str) -> bool:
        """Say whether a model's task (``text-to-video`` …) is of this type."""
        return self.value in (task, output_of(task))

    @property
    def is_exact(self) -> bool:
        """True for a task, false for a kind of output."""
        return self.value in TASKS


def parse_generation_type(value: GenerationType | str) -> GenerationType:
    """Accept the member, its value, or its name in any case.

    Raises:
        RequestError: it is none of them.
    """
    if isinstance(value, GenerationType):
        return value
    text = str(value).strip().lower().replace("_", "-")
    try:
        return GenerationType(text)
    except ValueError:
        allowed = ", ".join(member.value for member in GenerationType)
        raise RequestError(
            f"generation_type: {value!r} is unknown; it is one of {allowed}."
        ) from None


@dataclass(frozen=True)
class GenerationRequest:
    """One generation, in words that every provider understands.

    Attributes:
        prompt: what to show. May be empty where the model allows it.
        generation_type: inferred from the model when None, else checked against it.
        model: neutral name (``kling-v2.6-pro-text``) or the vendor's own id.
        parameters: neutral words: ``duration`` (seconds), ``aspect_ratio`` (``"16:9"``),
            ``resolution`` (``"1080p"``), ``mode``, ``audio``, ``cfg_scale``, ``camera_motion`` …
            Vendor-only fields go under the provider's name: ``{"fal": {...}}``.
        reference_assets: paths, URLs, bytes, or `onetake.Asset` with a role.
        negative_prompt: what to avoid; None leaves the vendor's default.
        key: your idempotency key. The same key with the same request is the same job, for ever.
        tags: your words for projects, clients, scenes: reports and budgets go by them. They are
            no part of what makes two requests the same.
    """

    prompt: str = ""
    generation_type: GenerationType | str | None = None
    model: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    reference_assets: Sequence[Asset | AssetSource] = field(default_factory=tuple)
    negative_prompt: str | None = None
    key: str | None = None
    tags: Sequence[str] = ()

    def __post_init__(self) -> None:
        _require(isinstance(self.prompt, str), "prompt", self.prompt, "text")
        _require(isinstance(self.model, str), "model", self.model, "a model name")
        _require(isinstance(self.parameters, Mapping), "parameters", self.parameters, "a mapping")
        text_or_none = isinstance(self.negative_prompt, str | None)
        _require(text_or_none, "negative_prompt", self.negative_prompt, "text or None")
        _require(
            self.key is None or (isinstance(self.key, str) and 0 < len(self.key) <= 200),
            "key",
            self.key,
            "1 to 200 characters, or None",
        )
        tags = (self.tags,) if isinstance(self.tags, str) else tuple(self.tags)
        tags = tuple(normal(tag) if isinstance(tag, str) else tag for tag in tags)
        _require(all(map(is_tag, tags)), "tags", tags, f"words of 1 to {TAG} characters")
        object.__setattr__(self, "tags", tags)
        if self.generation_type is not None:
            kind = parse_generation_type(self.generation_type)
            object.__setattr__(self, "generation_type", kind)
        object.__setattr__(self, "parameters", dict(self.parameters))
        object.__setattr__(self, "reference_assets", _assets(self.reference_assets))

    @property
    def assets(self) -> tuple[Asset, ...]:
        """The reference assets, each as an `Asset`."""
        return tuple(item for item in self.reference_assets if isinstance(item, Asset))


TAG = 64
"""Characters of a tag at most."""


def normal(name: str) -> str:
    """Return a name of a tag in Unicode's composed form: what looks the same is the same."""
    return unicodedata.normalize("NFC", name)


def is_tag(tag: object) -> bool:
    """Say whether something can be a tag: a short printable text."""
    return isinstance(tag, str) and 0 < len(tag) <= TAG and tag.isprintable() and tag == tag.strip()


def _assets(items: Any) -> tuple[Asset, ...]:
    if isinstance(items, str | bytes | Asset) or not hasattr(items, "__iter__"):
        items = (items,)
    return tuple(item if isinstance(item, Asset) else Asset(item) for item in items)


def _require(valid: bool, name: str, value: object, expected: str) -> None:
    if not valid:
        raise RequestError(f"{name}: expected {expected}, got {value!r:.80}.")
