"""Bodies of the old API: per endpoint its path and its fields, in the order of the vendor's pages.

Facts: vendor pages of 2026-09-20; of text2video, image2video, omni-video, motion-control, extend
and multi-image2video as of 2026-02-03.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onetake_kling.wire import lip_sync
from onetake_kling.wire import readers as read
from onetake_kling.wire.camera import camera_control
from onetake_kling.wire.readers import Reader
from onetake_kling.wire.sheet import Sheet


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


_SHOTS: dict[str, Reader] = {
    "multi_shot": read.several(True),
    "shot_type": read.several("customize"),
    "multi_prompt": read.takes,
}
_VIDEO = {
    "prompt": read.prompt,
    "negative_prompt": read.negative,
    **_SHOTS,
    "element_list": read.things("element", read.number),
    "voice_list": read.things("voice"),
    "duration": read.given("duration", str),
    "mode": read.mode,
    "sound": read.given("audio", read.switch("on", "off")),
    "cfg_scale": read.given("cfg_scale"),
    "camera_control": camera_control,
    "aspect_ratio": read.given("aspect_ratio"),
}
_SOURCE = {"video_id": read.id_of("video"), "video_url": read.sent("video")}
_SOUND = {"audio_id": read.id_of("audio"), "sound_file": read.sent("audio")}

ENDPOINTS: Mapping[str, Endpoint] = {
    "text-to-video": Endpoint("/v1/videos/text2video", {"model_name": read.model, **_VIDEO}),
    "image-to-video": Endpoint(
        "/v1/videos/image2video",
        {
            "model_name": read.model,
            "image": read.sent("first_frame"),
            "image_tail": read.sent("last_frame"),
            **_VIDEO,
            "static_mask": read.sent("static_mask"),
            "dynamic_masks": read.masks,
        },
    ),
    "multi-image2video": Endpoint(
        "/v1/videos/multi-image2video",
        {"model_name": read.model, "image_list": read.each("reference", "image"), **_VIDEO},
    ),
    "omni-video": Endpoint(
        "/v1/videos/omni-video",
        {
            "model_name": read.model,
            "prompt": read.prompt,
            **_SHOTS,
            "image_list": read.omni_pictures,
            "element_list": read.things("element", read.number),
            "video_list": read.omni_video,
            "mode": read.mode,
            "sound": read.given("audio", read.switch("on", "off")),
            "aspect_ratio": read.omni_ratio,
            "duration": read.given("duration", str),
        },
    ),
    "motion-control": Endpoint(
        "/v1/videos/motion-control",
        {
            "model_name": read.model,
            "prompt": read.prompt_if_any,
            "image_url": read.sent("reference"),
            "video_url": read.sent("video"),
            "element_list": read.things("element", read.number),
            "keep_original_sound": read.given("keep_original_sound", read.switch("yes", "no")),
            "character_orientation": read.given("orientation"),
            "mode": read.mode,
        },
    ),
    "avatar": Endpoint(
        "/v1/videos/avatar/image2video",
        {
            "image": read.sent("reference"),
            **_SOUND,
            "prompt": read.prompt_if_any,
            "mode": read.mode,
        },
    ),
    "identify-face": Endpoint("/v1/videos/identify-face", _SOURCE, common=False, synchronous=True),
    "lip-sync": Endpoint(
        "/v1/videos/advanced-lip-sync",
        {"session_id": read.fact("faces", "session_id"), "face_choose": lip_sync.face_choose},
    ),
    "video-extend": Endpoint(
        "/v1/videos/video-extend",
        {
            "video_id": read.extended,
            "prompt": read.prompt_if_any,
            "negative_prompt": read.negative,
            "cfg_scale": read.given("cfg_scale"),
        },
    ),
    "multi-elements": Endpoint(
        "/v1/videos/multi-elements",
        {
            "session_id": read.fact("arranged", "session_id"),
            "edit_mode": read.given("edit"),
            "image_list": read.edit_pictures,
            "prompt": read.prompt,
            "negative_prompt": read.negative,
            "mode": read.mode,
            "duration": read.given("duration", str),
        },
    ),
    "effects": Endpoint(
        "/v1/videos/effects", {"effect_scene": read.given("effect"), "input": read.effect_input}
    ),
    "generations": Endpoint(
        "/v1/images/generations",
        {
            "model_name": read.model,
            "prompt": read.prompt,
            "negative_prompt": read.negative,
            "image": read.sent("reference"),
            "image_reference": read.given("image_reference"),
            "image_fidelity": read.given("image_fidelity"),
            "human_fidelity": read.given("human_fidelity"),
            "element_list": read.things("element", read.number),
            "resolution": read.given("resolution"),
            "n": read.given("n"),
            "aspect_ratio": read.given("aspect_ratio"),
        },
        pack="image",
    ),
    "omni-image": Endpoint(
        "/v1/images/omni-image",
        {
            "model_name": read.model,
            "prompt": read.prompt,
            "element_list": read.things("element", read.number),
            "image_list": read.each("reference", "image"),
            "resolution": read.given("resolution"),
            "n": read.given("n"),
            "result_type": read.given("series", lambda _: "series"),
            "series_amount": read.series,
            "aspect_ratio": read.given("aspect_ratio"),
        },
        pack="image",
    ),
    "multi-image2image": Endpoint(
        "/v1/images/multi-image2image",
        {
            "model_name": read.model,
            "prompt": read.prompt_if_any,
            "subject_image_list": read.each("reference", "subject_image"),
            "scene_image": read.sent("scene"),
            "style_image": read.sent("style"),
            "n": read.given("n"),
            "aspect_ratio": read.given("aspect_ratio"),
        },
        pack="image",
    ),
    "expand": Endpoint(
        "/v1/images/editing/expand",
        {
            "up_expansion_ratio": read.expansion("up"),
            "down_expansion_ratio": read.expansion("down"),
            "left_expansion_ratio": read.expansion("left"),
            "right_expansion_ratio": read.expansion("right"),
            "prompt": read.prompt_if_any,
            "image": read.sent("reference"),
            "n": read.given("n"),
        },
        pack="image",
    ),
    "try-on": Endpoint(
        "/v1/images/kolors-virtual-try-on",
        {
            "model_name": read.model,
            "human_image": read.sent("person"),
            "cloth_image": read.sent("garment"),
        },
        pack="try-on",
    ),
    "ai-multi-shot": Endpoint(
        "/v1/general/ai-multi-shot", {"element_frontal_image": read.sent("reference")}, pack="image"
    ),
    "image-recognize": Endpoint(
        "/v1/videos/image-recognize",
        {"image": read.sent("reference")},
        common=False,
        synchronous=True,
    ),
    "text-to-audio": Endpoint(
        "/v1/audio/text-to-audio", {"prompt": read.prompt, "duration": read.given("duration")}
    ),
    "video-to-audio": Endpoint(
        "/v1/audio/video-to-audio",
        {
            **_SOURCE,
            "sound_effect_prompt": read.prompt_if_any,
            "bgm_prompt": read.given("music"),
            "asmr_mode": read.given("asmr"),
        },
    ),
    "tts": Endpoint(
        "/v1/audio/tts",
        {
            "text": lambda sheet: sheet.request.prompt,
            "voice_id": read.given("voice"),
            "voice_language": lambda sheet: sheet.request.value("language"),
            "voice_speed": read.given("speed"),
        },
        common=False,
        synchronous=True,
    ),
    "custom-voices": Endpoint(
        "/v1/general/custom-voices",
        {
            "video_id": lambda sheet: sheet.vendor_id("video"),
            "voice_url": read.voice_sample,
            "voice_name": read.given("name"),
        },
    ),
    "elements": Endpoint(
        "/v1/general/advanced-custom-elements",
        {
            "element_name": read.given("name"),
            "element_description": read.given("description"),
            "reference_type": lambda sheet: (
                "image_refer" if sheet.first("frontal") is not None else "video_refer"
            ),
            "element_image_list": read.element_pictures,
            "element_video_list": read.element_video,
            "element_voice_id": read.given("voice"),
            "tag_list": read.given("tags", lambda tags: [{"tag_id": tag} for tag in tags]),
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
    for name, reader in endpoint.fields.items():
        value = reader(sheet)
        if value is not None:
            written[name] = value
    if endpoint.common:
        if sheet.given("watermark") is not None:
            written["watermark_info"] = {"enabled": sheet.given("watermark")}
        if sheet.given("callback_url") is not None:
            written["callback_url"] = sheet.given("callback_url")
        written["external_task_id"] = sheet.job_id
    return written
