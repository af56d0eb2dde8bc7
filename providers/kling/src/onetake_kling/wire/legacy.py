"""Bodies of the old API: per endpoint its path and its fields, in the order of the vendor's pages.

Facts: vendor pages of 2026-09-20; of text2video, image2video, omni-video, motion-control, extend
and multi-image2video as of 2026-02-03.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from onetake.errors import UnsupportedParameter
from onetake.mentions import in_brackets
from onetake_kling.wire import lip_sync, shots
from onetake_kling.wire.camera import camera_control
from onetake_kling.wire.sheet import Sheet

Reader = Callable[[Sheet], Any]
"""Reads a field's value off a request; None leaves the field out."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One create call.

    Attributes:
        path: of the POST; the task is asked for under the same.
        fields: name to reader.
        common: whether it takes our id and a callback.
        synchronous: whether its answer is the result.
        pack: which pack pays.
    """

    path: str
    fields: Mapping[str, Reader]
    common: bool = True
    synchronous: bool = False
    pack: str = "video"


def _model(sheet: Sheet) -> Any:
    return sheet.wire["legacy"]


def _mode(sheet: Sheet) -> Any:
    return sheet.wire.get("mode")


def _prompt(sheet: Sheet) -> Any:
    return in_brackets(sheet.request.prompt)


def _prompt_if_any(sheet: Sheet) -> Any:
    return in_brackets(sheet.request.prompt) or None


def _negative(sheet: Sheet) -> Any:
    return sheet.request.negative_prompt or None


def _given(name: str, write: Callable[[Any], Any] = lambda value: value) -> Reader:
    def read(sheet: Sheet) -> Any:
        value = sheet.given(name)
        return None if value is None else write(value)

    return read


def _sent(role: str) -> Reader:
    return lambda sheet: sheet.sent(role)


def _id(role: str) -> Reader:
    return lambda sheet: sheet.vendor_id(role)


def _each(role: str, key: str) -> Reader:
    return lambda sheet: [{key: item.value} for item in sheet.all(role)] or None


def _things(kind: str, write: Callable[[str], Any] = str) -> Reader:
    def read(sheet: Sheet) -> Any:
        ids = sheet.given(f"{kind}s")
        return None if ids is None else [{f"{kind}_id": write(item)} for item in ids]

    return read


def _number(text: str) -> Any:
    """Elements are numbers in the old API, and text in the new one."""
    return int(text) if text.isdigit() else text


def _fact(step: str, name: str) -> Reader:
    return lambda sheet: sheet.fact(step, name)


def _switch(yes: str, no: str) -> Callable[[Any], str]:
    return lambda value: yes if value else no


def _takes(sheet: Sheet) -> Any:
    found = shots.checked(sheet)
    return None if found is None else shots.as_fields(found)


def _several(value: Any) -> Reader:
    return lambda sheet: None if sheet.given("shots") is None else value


def _masks(sheet: Sheet) -> Any:
    masks, paths = sheet.all("mask"), sheet.given("trajectories")
    if not masks:
        return None
    if not isinstance(paths, list) or len(paths) != len(masks):
        raise UnsupportedParameter(
            f"trajectories: one is needed for each of the {len(masks)} masks.", provider="kling"
        )
    return [
        {"mask": mask.value, "trajectories": _trajectory(number, points)}
        for number, (mask, points) in enumerate(zip(masks, paths, strict=True), start=1)
    ]


def _trajectory(number: int, points: Any) -> list[dict[str, int]]:
    pairs = [
        (point["x"], point["y"]) if isinstance(point, Mapping) else tuple(point) for point in points
    ]
    whole = all(len(pair) == 2 and all(isinstance(value, int) for value in pair) for pair in pairs)
    if not whole or not 2 <= len(pairs) <= 77:
        raise UnsupportedParameter(
            f"trajectories: the one of mask {number} is not a list of 2 to 77 pairs of pixels.",
            provider="kling",
        )
    return [{"x": x, "y": y} for x, y in pairs]


def _omni_pictures(sheet: Sheet) -> Any:
    kinds = {"first_frame": "first_frame", "last_frame": "end_frame", "reference": None}
    items = [
        {"image_url": item.value, **({"type": kind} if kind else {})}
        for role, kind in kinds.items()
        for item in sheet.all(role)
    ]
    return items or None


def _omni_video(sheet: Sheet) -> Any:
    if sheet.first("video") is None:
        return None
    item = {"video_url": sheet.sent("video"), "refer_type": sheet.wire["video"]}
    if sheet.given("keep_original_sound") is not None:
        item["keep_original_sound"] = "yes" if sheet.given("keep_original_sound") else "no"
    return [item]


def _omni_ratio(sheet: Sheet) -> Any:
    """Needed where there is neither a first frame nor a video that is edited (2026-02-10)."""
    if sheet.first("first_frame") is not None or sheet.wire.get("video") == "base":
        return None
    return sheet.given("aspect_ratio") or "16:9"


def _effect_input(sheet: Sheet) -> Any:
    pictures = [item.value for item in sheet.all("reference")]
    return {"image": pictures[0]} if len(pictures) == 1 else {"images": pictures}


def _expansion(side: str) -> Reader:
    def read(sheet: Sheet) -> Any:
        wanted = sheet.given("expand")
        unknown = sorted(set(wanted) - {"up", "down", "left", "right"})
        numbers = {name: wanted.get(name, 0) for name in ("up", "down", "left", "right")}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2:
                raise _expand_refusal(f"{name} is {value!r}, not a number from 0 to 2.")
        area = (1 + numbers["up"] + numbers["down"]) * (1 + numbers["left"] + numbers["right"])
        if unknown or area > 3:
            raise _expand_refusal(
                f"{', '.join(unknown)} is no side." if unknown else f"{area:.2f} times the area."
            )
        return numbers[side]

    return read


def _expand_refusal(why: str) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"expand: {why} It takes up, down, left and right, and three times the area at most.",
        provider="kling",
    )


def _series(sheet: Sheet) -> Any:
    amount = sheet.given("series")
    return None if amount is None else amount if amount == "auto" else int(amount)


def _edit_pictures(sheet: Sheet) -> Any:
    edit, pictures = sheet.given("edit"), sheet.all("reference")
    most = {"addition": (1, 2), "swap": (1, 1), "removal": (0, 0)}[edit]
    if not most[0] <= len(pictures) <= most[1]:
        words = "no picture" if most == (0, 0) else f"{most[0]} to {most[1]} pictures"
        raise UnsupportedParameter(
            f"reference: edit={edit} takes {words}, not {len(pictures)}.", provider="kling"
        )
    return [{"image": item.value} for item in pictures] or None


def _extended(sheet: Sheet) -> Any:
    if sheet.given("extend_duration") is not None:
        sheet.notes.append("extend_duration: the vendor adds 4 to 5 s, and takes no number.")
    return sheet.vendor_id("video")


def _element_pictures(sheet: Sheet) -> Any:
    if sheet.first("frontal") is None:
        return None
    others = [{"image_url": item.value} for item in sheet.all("reference")]
    return {"frontal_image": sheet.sent("frontal"), "refer_images": others}


def _element_video(sheet: Sheet) -> Any:
    found = sheet.sent("video")
    return None if found is None else {"refer_videos": [{"video_url": found}]}


def _voice_sample(sheet: Sheet) -> Any:
    return sheet.sent("audio") or sheet.sent("video")


_SHOTS: dict[str, Reader] = {
    "multi_shot": _several(True),
    "shot_type": _several("customize"),
    "multi_prompt": _takes,
}
_VIDEO = {
    "prompt": _prompt,
    "negative_prompt": _negative,
    **_SHOTS,
    "element_list": _things("element", _number),
    "voice_list": _things("voice"),
    "duration": _given("duration", str),
    "mode": _mode,
    "sound": _given("audio", _switch("on", "off")),
    "cfg_scale": _given("cfg_scale"),
    "camera_control": camera_control,
    "aspect_ratio": _given("aspect_ratio"),
}
_SOURCE = {"video_id": _id("video"), "video_url": _sent("video")}
_SOUND = {"audio_id": _id("audio"), "sound_file": _sent("audio")}

ENDPOINTS: Mapping[str, Endpoint] = {
    "text-to-video": Endpoint("/v1/videos/text2video", {"model_name": _model, **_VIDEO}),
    "image-to-video": Endpoint(
        "/v1/videos/image2video",
        {
            "model_name": _model,
            "image": _sent("first_frame"),
            "image_tail": _sent("last_frame"),
            **_VIDEO,
            "static_mask": _sent("static_mask"),
            "dynamic_masks": _masks,
        },
    ),
    "multi-image2video": Endpoint(
        "/v1/videos/multi-image2video",
        {"model_name": _model, "image_list": _each("reference", "image"), **_VIDEO},
    ),
    "omni-video": Endpoint(
        "/v1/videos/omni-video",
        {
            "model_name": _model,
            "prompt": _prompt,
            **_SHOTS,
            "image_list": _omni_pictures,
            "element_list": _things("element", _number),
            "video_list": _omni_video,
            "mode": _mode,
            "sound": _given("audio", _switch("on", "off")),
            "aspect_ratio": _omni_ratio,
            "duration": _given("duration", str),
        },
    ),
    "motion-control": Endpoint(
        "/v1/videos/motion-control",
        {
            "model_name": _model,
            "prompt": _prompt_if_any,
            "image_url": _sent("reference"),
            "video_url": _sent("video"),
            "element_list": _things("element", _number),
            "keep_original_sound": _given("keep_original_sound", _switch("yes", "no")),
            "character_orientation": _given("orientation"),
            "mode": _mode,
        },
    ),
    "avatar": Endpoint(
        "/v1/videos/avatar/image2video",
        {"image": _sent("reference"), **_SOUND, "prompt": _prompt_if_any, "mode": _mode},
    ),
    "identify-face": Endpoint("/v1/videos/identify-face", _SOURCE, common=False, synchronous=True),
    "lip-sync": Endpoint(
        "/v1/videos/advanced-lip-sync",
        {"session_id": _fact("faces", "session_id"), "face_choose": lip_sync.face_choose},
    ),
    "video-extend": Endpoint(
        "/v1/videos/video-extend",
        {
            "video_id": _extended,
            "prompt": _prompt_if_any,
            "negative_prompt": _negative,
            "cfg_scale": _given("cfg_scale"),
        },
    ),
    "multi-elements": Endpoint(
        "/v1/videos/multi-elements",
        {
            "session_id": _fact("arranged", "session_id"),
            "edit_mode": _given("edit"),
            "image_list": _edit_pictures,
            "prompt": _prompt,
            "negative_prompt": _negative,
            "mode": _mode,
            "duration": _given("duration", str),
        },
    ),
    "effects": Endpoint(
        "/v1/videos/effects", {"effect_scene": _given("effect"), "input": _effect_input}
    ),
    "generations": Endpoint(
        "/v1/images/generations",
        {
            "model_name": _model,
            "prompt": _prompt,
            "negative_prompt": _negative,
            "image": _sent("reference"),
            "image_reference": _given("image_reference"),
            "image_fidelity": _given("image_fidelity"),
            "human_fidelity": _given("human_fidelity"),
            "element_list": _things("element", _number),
            "resolution": _given("resolution"),
            "n": _given("n"),
            "aspect_ratio": _given("aspect_ratio"),
        },
        pack="image",
    ),
    "omni-image": Endpoint(
        "/v1/images/omni-image",
        {
            "model_name": _model,
            "prompt": _prompt,
            "element_list": _things("element", _number),
            "image_list": _each("reference", "image"),
            "resolution": _given("resolution"),
            "n": _given("n"),
            "result_type": _given("series", lambda _: "series"),
            "series_amount": _series,
            "aspect_ratio": _given("aspect_ratio"),
        },
        pack="image",
    ),
    "multi-image2image": Endpoint(
        "/v1/images/multi-image2image",
        {
            "model_name": _model,
            "prompt": _prompt_if_any,
            "subject_image_list": _each("reference", "subject_image"),
            "scene_image": _sent("scene"),
            "style_image": _sent("style"),
            "n": _given("n"),
            "aspect_ratio": _given("aspect_ratio"),
        },
        pack="image",
    ),
    "expand": Endpoint(
        "/v1/images/editing/expand",
        {
            "up_expansion_ratio": _expansion("up"),
            "down_expansion_ratio": _expansion("down"),
            "left_expansion_ratio": _expansion("left"),
            "right_expansion_ratio": _expansion("right"),
            "prompt": _prompt_if_any,
            "image": _sent("reference"),
            "n": _given("n"),
        },
        pack="image",
    ),
    "try-on": Endpoint(
        "/v1/images/kolors-virtual-try-on",
        {"model_name": _model, "human_image": _sent("person"), "cloth_image": _sent("garment")},
        pack="try-on",
    ),
    "ai-multi-shot": Endpoint(
        "/v1/general/ai-multi-shot", {"element_frontal_image": _sent("reference")}, pack="image"
    ),
    "image-recognize": Endpoint(
        "/v1/videos/image-recognize",
        {"image": _sent("reference")},
        common=False,
        synchronous=True,
    ),
    "text-to-audio": Endpoint(
        "/v1/audio/text-to-audio", {"prompt": _prompt, "duration": _given("duration")}
    ),
    "video-to-audio": Endpoint(
        "/v1/audio/video-to-audio",
        {
            **_SOURCE,
            "sound_effect_prompt": _prompt_if_any,
            "bgm_prompt": _given("music"),
            "asmr_mode": _given("asmr"),
        },
    ),
    "tts": Endpoint(
        "/v1/audio/tts",
        {
            "text": lambda sheet: sheet.request.prompt,
            "voice_id": _given("voice"),
            "voice_language": lambda sheet: sheet.request.value("language"),
            "voice_speed": _given("speed"),
        },
        common=False,
        synchronous=True,
    ),
    "custom-voices": Endpoint(
        "/v1/general/custom-voices",
        {
            "video_id": lambda sheet: sheet.vendor_id("video"),
            "voice_url": _voice_sample,
            "voice_name": _given("name"),
        },
    ),
    "elements": Endpoint(
        "/v1/general/advanced-custom-elements",
        {
            "element_name": _given("name"),
            "element_description": _given("description"),
            "reference_type": lambda sheet: (
                "image_refer" if sheet.first("frontal") is not None else "video_refer"
            ),
            "element_image_list": _element_pictures,
            "element_video_list": _element_video,
            "element_voice_id": _given("voice"),
            "tag_list": _given("tags", lambda tags: [{"tag_id": tag} for tag in tags]),
        },
    ),
}
"""Every create call of the old API, by the name that cards give it; the task is the default."""

BY_PATH: Mapping[str, Endpoint] = {endpoint.path: endpoint for endpoint in ENDPOINTS.values()}


def endpoint_of(sheet: Sheet) -> Endpoint:
    """Return the endpoint that a card's model has."""
    return ENDPOINTS[sheet.wire.get("endpoint", sheet.request.card.task)]


def body(sheet: Sheet) -> dict[str, Any]:
    """Return the whole body; fields without a value are left out."""
    endpoint = endpoint_of(sheet)
    written: dict[str, Any] = {}
    for name, read in endpoint.fields.items():
        value = read(sheet)
        if value is not None:
            written[name] = value
    if endpoint.common:
        if sheet.given("watermark") is not None:
            written["watermark_info"] = {"enabled": sheet.given("watermark")}
        if sheet.given("callback_url") is not None:
            written["callback_url"] = sheet.given("callback_url")
        written["external_task_id"] = sheet.job_id
    return written
