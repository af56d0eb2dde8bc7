"""What each model takes, by API generation.

From the vendor's capability maps of 2026-09-20, and of 2026-02-03 for the old models.
"""

from __future__ import annotations

from dataclasses import dataclass

SHORT = tuple(range(5, 11, 5))
LONG = tuple(range(3, 16))
MEDIUM = tuple(range(3, 11))


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model of the new API (its name stands in the path).

    Attributes:
        families: first parts of its paths.
        resolutions: of ``settings.resolution``.
        durations: seconds.
        audio: values of ``settings.audio``; empty: the field is ignored.
        always_audio: there is a sound track anyway.
        last_frame: whether ``contents`` may have one.
        last_frame_1080p: whether that calls for 1080p.
        native_1080p: whether native sound calls for 1080p.
        prompt: longest prompt.
        things: most elements and voices in ``contents``.
        shots: whether it reads the shot grammar.
    """

    families: tuple[str, ...] = ("text-to-video", "image-to-video")
    resolutions: tuple[str, ...] = ("720p", "1080p")
    durations: tuple[int, ...] = SHORT
    audio: tuple[str, ...] = ()
    always_audio: bool = False
    last_frame: bool = True
    last_frame_1080p: bool = True
    native_1080p: bool = False
    prompt: int = 2500
    things: tuple[tuple[str, int], ...] = ()
    shots: bool = False


NEW = {
    "kling-2.5-turbo": NewModel(),
    "kling-2.6": NewModel(
        families=("text-to-video", "image-to-video", "motion-control"),
        audio=("native", "off"),
        native_1080p=True,
        things=(("voice", 2),),
    ),
    "kling-3.0": NewModel(
        families=("text-to-video", "image-to-video", "motion-control"),
        resolutions=("720p", "1080p", "4k"),
        durations=LONG,
        audio=("native", "off"),
        last_frame_1080p=False,
        prompt=3072,
        things=(("element", 3),),
        shots=True,
    ),
    "kling-3.0-turbo": NewModel(
        durations=LONG, always_audio=True, last_frame=False, prompt=3072, shots=True
    ),
    "kling-3.0-omni": NewModel(
        families=("omni-video",),
        resolutions=("720p", "1080p", "4k"),
        durations=LONG,
        audio=("native", "original", "off"),
        last_frame_1080p=False,
        prompt=3072,
        things=(("element", 7),),
        shots=True,
    ),
    "kling-o1": NewModel(
        families=("omni-video",),
        durations=MEDIUM,
        audio=("original", "off"),
        last_frame_1080p=False,
        things=(("element", 7),),
    ),
}


@dataclass(frozen=True, slots=True)
class OldModel:
    """A model of the old API (``model_name`` in the body).

    Attributes:
        tasks: ``text2video``, ``image2video``, ``multi-image2video``.
        modes: values of ``mode``; empty: it takes none.
        resolution: by mode.
        durations: seconds.
        tail_modes: modes that take ``image_tail``.
        sound_modes: modes that take ``sound: on``.
        camera: task and mode in which it takes ``camera_control``, of 5 s.
        brush: modes that take masks, of 5 s.
        multi_shot: whether it takes several shots.
        voices: whether it takes voices.
        elements: most elements.
        discontinued: refused unless the sandbox allows such models.
    """

    modes: tuple[str, ...] = ("std", "pro")
    resolution: tuple[tuple[str, str], ...] = (("std", "720p"), ("pro", "1080p"), ("4k", "4k"))
    tasks: tuple[str, ...] = ("text2video", "image2video")
    durations: tuple[int, ...] = SHORT
    tail_modes: tuple[str, ...] = ("pro",)
    sound_modes: tuple[str, ...] = ()
    camera: tuple[str, str] | None = None
    brush: tuple[str, ...] = ()
    multi_shot: bool = False
    voices: bool = False
    elements: int = 0
    discontinued: bool = False

    def resolution_of(self, mode: str) -> str:
        """Return the resolution class of a mode."""
        return dict(self.resolution).get(mode, "720p")


OLD = {
    "kling-v1": OldModel(
        resolution=(("std", "720p"), ("pro", "720p")),
        tail_modes=("std", "pro"),
        camera=("text2video", "std"),
        brush=("std", "pro"),
        discontinued=True,
    ),
    # third parties report that all from here to v2-1-master were switched off on 2026-09-15; they
    # are kept alive here, because the reports are second-hand and code that uses them is about
    "kling-v1-5": OldModel(tasks=("image2video",), camera=("image2video", "pro"), brush=("pro",)),
    "kling-v1-6": OldModel(tasks=("text2video", "image2video", "multi-image2video")),
    "kling-v2-1": OldModel(tasks=("image2video",)),
    "kling-v2-master": OldModel(modes=(), resolution=(("", "720p"),), tail_modes=()),
    "kling-v2-1-master": OldModel(modes=(), resolution=(("", "1080p"),), tail_modes=()),
    "kling-v2-5-turbo": OldModel(),
    "kling-v2-6": OldModel(sound_modes=("pro",), voices=True),
    "kling-v3": OldModel(
        modes=("std", "pro", "4k"),
        durations=LONG,
        tail_modes=("std", "pro", "4k"),
        sound_modes=("std", "pro", "4k"),
        multi_shot=True,
        elements=3,
    ),
}
DEFAULT_OLD = "kling-v1"
VERSIONS = {
    "kling-2.5-turbo": "kling-v2-5-turbo",
    "kling-2.6": "kling-v2-6",
    "kling-3.0": "kling-v3",
    "kling-3.0-omni": "kling-v3-omni",
    "kling-o1": "kling-video-o1",
}
"""One model version has two names; its slots are counted together."""

RESOLUTIONS = ("480p", "720p", "1080p", "4k")
"""Values that ``settings.resolution`` may have at all; each model takes some (seen 2026-09-28)."""

SOUNDS = ("native", "off", "original")
"""The same of ``settings.audio`` (seen 2026-09-19)."""

ELSEWHERE = frozenset(
    (*OLD, "kling-v3-omni", "kling-video-o1", "kling-v2", "kling-v2-new", "kling-image-o1")
)
"""Names that the vendor knows on some path of the old API."""

NEW_ONLY = frozenset(("kling-v3-turbo", "kling-o1"))
"""Names that it knows, but not on the old API (measured 2026-09)."""

RATIOS = ("16:9", "9:16", "1:1")
