"""What each model takes, by API generation.

From the vendor's capability maps of 2026-09-20.
"""

from __future__ import annotations

from dataclasses import dataclass

SHORT = tuple(range(5, 11, 5))
LONG = tuple(range(3, 16))


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model of the new API (its name stands in the path).

    Attributes:
        resolutions: of ``settings.resolution``.
        durations: seconds.
        audio: values of ``settings.audio``; empty: the field is ignored.
        always_audio: there is a sound track anyway.
        last_frame: whether ``contents`` may have one.
        last_frame_1080p: whether that calls for 1080p.
        native_1080p: whether native sound calls for 1080p.
        prompt: longest prompt.
    """

    resolutions: tuple[str, ...] = ("720p", "1080p")
    durations: tuple[int, ...] = SHORT
    audio: tuple[str, ...] = ()
    always_audio: bool = False
    last_frame: bool = True
    last_frame_1080p: bool = True
    native_1080p: bool = False
    prompt: int = 2500


NEW = {
    "kling-2.5-turbo": NewModel(),
    "kling-2.6": NewModel(audio=("native", "off"), native_1080p=True),
    "kling-3.0": NewModel(
        resolutions=("720p", "1080p", "4k"),
        durations=LONG,
        audio=("native", "off"),
        last_frame_1080p=False,
        prompt=3072,
    ),
    "kling-3.0-turbo": NewModel(durations=LONG, always_audio=True, last_frame=False, prompt=3072),
}


@dataclass(frozen=True, slots=True)
class OldModel:
    """A model of the old API (``model_name`` in the body).

    Attributes:
        tasks: ``text2video``, ``image2video``.
        modes: values of ``mode``; empty: it takes none.
        resolution: by mode.
        durations: seconds.
        tail_modes: modes that take ``image_tail``.
        sound_modes: modes that take ``sound: on``.
        cfg_scale: whether it takes one.
        discontinued: refused unless the sandbox allows such models.
    """

    modes: tuple[str, ...] = ("std", "pro")
    resolution: tuple[tuple[str, str], ...] = (("std", "720p"), ("pro", "1080p"), ("4k", "4k"))
    tasks: tuple[str, ...] = ("text2video", "image2video")
    durations: tuple[int, ...] = SHORT
    tail_modes: tuple[str, ...] = ("pro",)
    sound_modes: tuple[str, ...] = ()
    cfg_scale: bool = False
    discontinued: bool = False

    def resolution_of(self, mode: str) -> str:
        """Return the resolution class of a mode."""
        return dict(self.resolution).get(mode, "720p")


OLD = {
    "kling-v1": OldModel(
        resolution=(("std", "720p"), ("pro", "720p")),
        tail_modes=("std", "pro"),
        cfg_scale=True,
        discontinued=True,
    ),
    # switched off on 2026-09-15 by the same announcement as the master models below; those two are
    # kept alive here, because the report is second-hand and code that uses them is about
    "kling-v1-5": OldModel(tasks=("image2video",), cfg_scale=True, discontinued=True),
    "kling-v1-6": OldModel(cfg_scale=True, discontinued=True),
    "kling-v2-1": OldModel(tasks=("image2video",), discontinued=True),
    "kling-v2-master": OldModel(modes=(), resolution=(("", "720p"),), tail_modes=()),
    "kling-v2-1-master": OldModel(modes=(), resolution=(("", "1080p"),), tail_modes=()),
    "kling-v2-5-turbo": OldModel(),
    "kling-v2-6": OldModel(sound_modes=("pro",)),
    "kling-v3": OldModel(
        modes=("std", "pro", "4k"),
        durations=LONG,
        tail_modes=("std", "pro", "4k"),
        sound_modes=("std", "pro", "4k"),
    ),
}
DEFAULT_OLD = "kling-v1"
VERSIONS = {
    "kling-2.5-turbo": "kling-v2-5-turbo",
    "kling-2.6": "kling-v2-6",
    "kling-3.0": "kling-v3",
}
"""One model version has two names; its slots are counted together."""

RATIOS = ("16:9", "9:16", "1:1")
