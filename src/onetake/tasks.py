"""Tasks: what models do, and which kind of thing comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Output = Literal["video", "image", "audio", "voice", "element", "data"]

TASKS: Mapping[str, Output] = {
    "text-to-video": "video",
    "image-to-video": "video",
    "reference-to-video": "video",
    "video-to-video": "video",
    "video-edit": "video",
    "video-extension": "video",
    "motion-control": "video",
    "effects": "video",
    "avatar": "video",
    "lip-sync": "video",
    "text-to-image": "image",
    "image-to-image": "image",
    "outpainting": "image",
    "virtual-try-on": "image",
    "multi-view": "image",
    "image-recognition": "image",
    "text-to-audio": "audio",
    "video-to-audio": "audio",
    "text-to-speech": "audio",
    "voice-creation": "voice",
    "element-creation": "element",
    "face-detection": "data",
}
"""Task to its output. A voice and an element are things to be used in later requests; data are
facts about an input."""


def output_of(task: str) -> str:
    """Return the kind of output of a task; of one that is not listed, by its last word."""
    return TASKS.get(task) or task.rpartition("-to-")[2]
