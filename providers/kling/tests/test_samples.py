"""Bodies as the vendor's pages show them, compared byte for byte.

Of each sample our own id stands where the page has an empty or made-up one, and members that the
page shows empty are left out; both sides are then written as canonical JSON (sorted keys).
Origins: vendor pages as mirrored by a third party on 2026-09-20 (marked E), and the Chinese pages
of 2026-02-03 (marked C).
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from onetake import Asset, GenerationRequest
from onetake.driver import PreparedAsset
from onetake.engine.bodies import encode, stored_form
from onetake.fitting import fit
from onetake.plugins import catalog
from onetake_kling.wire import submitting

GIRL = (
    "A girl sat on the train, looking out the window with a melancholic expression, "
    "her head swaying with the train."
)
PIC = "https://p2-kling.klingai.com/kcdn/cdn-kcdn112452/kling-tob-release_note/image_25.png"
OMNI_PIC = "https://p2-kling.klingai.com/kcdn/cdn-kcdn112452/kling-tob-release_note/image_7.1.png"
OMNI_VIDEO = "https://p2-kling.klingai.com/kcdn/cdn-kcdn112452/kling-tob-release_note/video_7.1.mp4"
DANCE = "https://v4-kling.kechuangai.com/kcdn/cdn-kcdn112452/kling-qa-test/dance_10s.mp4"
QA = "https://p1-kling.klingai.com/kcdn/cdn-kcdn112452/kling-qa-test"
BACK = "https://xxx/callback"
NEW_OPTIONS = {"callback_url": BACK, "external_task_id": "our-id"}


def files(**roles: Any) -> list[Asset]:
    """Return files by role; a list is several."""
    return [
        Asset(source, role=role)
        for role, found in roles.items()
        for source in (found if isinstance(found, list) else [found])
    ]


SAMPLES: list[tuple[str, GenerationRequest, str, dict[str, Any], dict[str, Any]]] = [
    (
        "E kling-omni-3.0-i2v",
        GenerationRequest(
            GIRL, None, "kling-v3-pro-image",
            {"duration": 10, "audio": True, "elements": ["163"], "callback_url": BACK,
             "watermark": True},
            files(first_frame=PIC, last_frame=PIC),
        ),
        "/image-to-video/kling-3.0",
        {
            "contents": [
                {"type": "prompt", "text": GIRL},
                {"type": "first_frame", "url": PIC},
                {"type": "last_frame", "url": PIC},
                {"type": "element", "element_id": "163", "id": "element_1"},
            ],
            "settings": {"resolution": "1080p", "duration": 10, "audio": "native"},
            "options": {**NEW_OPTIONS, "watermark_info": {"enabled": True}},
        },
        {},
    ),
    (
        "E kling-omni-3.0-ovg, first frame and reference",
        GenerationRequest(
            "x", None, "kling-o3-pro-image", {"duration": 5, "audio": True, "callback_url": BACK},
            files(first_frame=OMNI_PIC, last_frame=OMNI_PIC),
        ),
        "/omni-video/kling-3.0-omni",
        {
            "contents": [
                {"type": "prompt", "text": "x"},
                {"type": "first_frame", "url": OMNI_PIC, "id": "image_1"},
                {"type": "last_frame", "url": OMNI_PIC, "id": "image_2"},
            ],
            "settings": {"resolution": "1080p", "duration": 5, "audio": "native"},
            "options": NEW_OPTIONS,
        },
        {},
    ),
    (
        "E kling-omni-3.0-ovg, base video",
        GenerationRequest(
            "x", None, "kling-o3-pro-edit", {"keep_original_sound": True, "callback_url": BACK},
            files(video=OMNI_VIDEO),
        ),
        "/omni-video/kling-3.0-omni",
        {
            "contents": [
                {"type": "prompt", "text": "x"},
                {"type": "base_video", "url": OMNI_VIDEO, "id": "video_1"},
            ],
            "settings": {"resolution": "1080p", "audio": "original", "multi_shot": False},
            "options": NEW_OPTIONS,
        },
        {},
    ),
    (
        "E kling-o1-video",
        GenerationRequest(
            GIRL, None, "kling-o1-pro-reference",
            {"duration": 3, "audio": False, "callback_url": BACK, "aspect_ratio": "16:9"},
            files(reference=PIC),
        ),
        "/omni-video/kling-o1",
        {
            "contents": [
                {"type": "prompt", "text": GIRL},
                {"type": "refer_image", "url": PIC, "id": "image_1"},
            ],
            "settings": {"resolution": "1080p", "aspect_ratio": "16:9", "duration": 3},
            "options": NEW_OPTIONS,
        },
        {},
    ),
    (
        "E kling-motion-control-3.0",
        GenerationRequest(
            "The girl is wearing a loose gray T-shirt and denim shorts", None,
            "kling-v3-pro-motion",
            {"orientation": "video", "keep_original_sound": True, "callback_url": BACK},
            files(image=f"{QA}/35d77e27300cf5e8995704cd858d759c.png", video=DANCE),
        ),
        "/motion-control/kling-3.0",
        {
            "contents": [
                {"type": "prompt",
                 "text": "The girl is wearing a loose gray T-shirt and denim shorts"},
                {"type": "image", "url": f"{QA}/35d77e27300cf5e8995704cd858d759c.png"},
                {"type": "video", "url": DANCE},
            ],
            "settings": {
                "character_orientation": "video", "resolution": "1080p", "audio": "original",
            },
            "options": NEW_OPTIONS,
        },
        {},
    ),
    (
        "E kling-2.6-i2v with a voice (named voice_1, where the page names it 1)",
        GenerationRequest(
            GIRL.removesuffix(".") + ", @voice_1 whispers softly.", None, "kling-v2.6-pro-image",
            {"audio": True, "duration": 5, "voices": ["891495440020668439"], "callback_url": BACK,
             "watermark": True},
            files(first_frame=PIC),
        ),
        "/image-to-video/kling-2.6",
        {
            "contents": [
                {"type": "prompt",
                 "text": GIRL.removesuffix(".") + ", @voice_1 whispers softly."},
                {"type": "first_frame", "url": PIC},
                {"type": "voice", "voice_id": "891495440020668439", "id": "voice_1"},
            ],
            "settings": {"audio": "native", "resolution": "1080p", "duration": 5},
            "options": {**NEW_OPTIONS, "watermark_info": {"enabled": True}},
        },
        {},
    ),
    (
        "E the shot grammar of 3.0",
        GenerationRequest(
            "", None, "kling-v3-pro-text",
            {"shots": [{"prompt": "a lake", "duration": 2}, {"prompt": "a bird", "duration": 3}]},
        ),
        "/text-to-video/kling-3.0",
        {
            "prompt": "shot 1, 2, a lake; shot 2, 3, a bird;",
            "settings": {"resolution": "1080p", "duration": 5, "multi_shot": True},
            "options": {"external_task_id": "our-id"},
        },
        {},
    ),
    (
        "E kling-avatar",
        GenerationRequest(
            "While talking, excitedly shaking head", None, "kling-avatar-std", {},
            files(image=f"{QA}/pink_boy.png", audio=f"{QA}/go-to-world.mp3"),
        ),
        "/v1/videos/avatar/image2video",
        {
            "image": f"{QA}/pink_boy.png",
            "sound_file": f"{QA}/go-to-world.mp3",
            "prompt": "While talking, excitedly shaking head",
            "mode": "std",
            "external_task_id": "our-id",
        },
        {},
    ),
    (
        "E kling-lip-sync",
        GenerationRequest(
            "", None, "kling-lipsync",
            {"insert_at": 1, "volume": 2, "original_volume": 2, "sound_seconds": 3},
            files(video=OMNI_VIDEO, audio=f"{QA}/go-to-world.mp3"),
        ),
        "/v1/videos/advanced-lip-sync",
        {
            "session_id": "850508686686064678",
            "face_choose": [
                {
                    "face_id": "0",
                    "sound_file": f"{QA}/go-to-world.mp3",
                    "sound_insert_time": 1000,
                    "sound_start_time": 0,
                    "sound_end_time": 3000,
                    "sound_volume": 2,
                    "original_audio_volume": 2,
                }
            ],
            "external_task_id": "our-id",
        },
        {
            "faces": {
                "session_id": "850508686686064678",
                "faces": [{"face_id": "0", "start_time": 0, "end_time": 4000}],
            }
        },
    ),
    (
        "E kling-effects, one picture",
        GenerationRequest(
            "", None, "kling-effects", {"effect": "color_mixing"},
            files(image=f"{QA}/color_mixing.jpeg"),
        ),
        "/v1/videos/effects",
        {
            "effect_scene": "color_mixing",
            "input": {"image": f"{QA}/color_mixing.jpeg"},
            "external_task_id": "our-id",
        },
        {},
    ),
    (
        "E kling-effects, two pictures",
        GenerationRequest(
            "", None, "kling-effects-dual", {"effect": "hug_pro"},
            files(reference=["https://example.com/image1.jpg", "https://example.com/image2.jpg"]),
        ),
        "/v1/videos/effects",
        {
            "effect_scene": "hug_pro",
            "input": {
                "images": ["https://example.com/image1.jpg", "https://example.com/image2.jpg"]
            },
            "external_task_id": "our-id",
        },
        {},
    ),
    (
        "E kling-multi-element-video-editing",
        GenerationRequest(
            "Delete the chick from @video_1", None, "kling-multi-elements-std",
            {"edit": "removal", "duration": 5}, files(video=OMNI_VIDEO),
        ),
        "/v1/videos/multi-elements",
        {
            "session_id": "847570360458960960",
            "edit_mode": "removal",
            "prompt": "Delete the chick from <<<video_1>>>",
            "mode": "std",
            "duration": "5",
            "external_task_id": "our-id",
        },
        {"arranged": {"session_id": "847570360458960960"}},
    ),
    (
        "E kling-image-2.1-generation",
        GenerationRequest(
            "Generate a Pixar-style puppy", None, "kling-image-v2.1-image", {"n": 2},
            files(image=f"{QA}/dog.png"),
        ),
        "/v1/images/generations",
        {
            "model_name": "kling-v2-1",
            "prompt": "Generate a Pixar-style puppy",
            "image": f"{QA}/dog.png",
            "n": 2,
            "external_task_id": "our-id",
        },
        {},
    ),
    (
        "E kling-image-omni-3.0, a series",
        GenerationRequest(
            "A cover for each subject <<element_1>> in the style of <<image_1>>", None,
            "kling-image-o3-image",
            {"elements": ["160", "161"], "resolution": "2k", "series": "2", "aspect_ratio": "auto"},
            files(reference=["https://example.com/1.png", "https://example.com/2.png"]),
        ),
        "/v1/images/omni-image",
        {
            "model_name": "kling-v3-omni",
            "prompt": "A cover for each subject <<<element_1>>> in the style of <<<image_1>>>",
            "element_list": [{"element_id": 160}, {"element_id": 161}],
            "image_list": [
                {"image": "https://example.com/1.png"}, {"image": "https://example.com/2.png"},
            ],
            "resolution": "2k",
            "result_type": "series",
            "series_amount": 2,
            "aspect_ratio": "auto",
            "external_task_id": "our-id",
        },
        {},
    ),
    (
        "E kling-image-2.1-multi-image-to-image",
        GenerationRequest(
            "Wearing a flowing red dress on the grassland, in Ghibli style.", None,
            "kling-image-v2.1-multi", {"n": 2, "aspect_ratio": "9:16"},
            files(
                reference=[f"{QA}/multi-1.png", f"{QA}/multi-2.png"],
                scene=f"{QA}/background.jpeg",
                style=f"{QA}/16x9_jipuli.png",
            ),
        ),
        "/v1/images/multi-image2image",
        {
            "model_name": "kling-v2-1",
            "prompt": "Wearing a flowing red dress on the grassland, in Ghibli style.",
            "subject_image_list": [
                {"subject_image": f"{QA}/multi-1.png"}, {"subject_image": f"{QA}/multi-2.png"},
            ],
            "scene_image": f"{QA}/background.jpeg",
            "style_image": f"{QA}/16x9_jipuli.png",
            "n": 2,
            "aspect_ratio": "9:16",
            "external_task_id": "our-id",
        },
        {},
    ),
    (
        "E kling-image-common-outpainting",
        GenerationRequest(
            "", None, "kling-expand",
            {"expand": {"up": 0.1495, "down": 0.1495, "left": 0.6547, "right": 0.6547}, "n": 2},
            files(image=f"{QA}/dog.png"),
        ),
        "/v1/images/editing/expand",
        {
            "up_expansion_ratio": 0.1495,
            "down_expansion_ratio": 0.1495,
            "left_expansion_ratio": 0.6547,
            "right_expansion_ratio": 0.6547,
            "image": f"{QA}/dog.png",
            "n": 2,
            "external_task_id": "our-id",
        },
        {},
    ),
    (
        "E kling-text-to-audio",
        GenerationRequest(
            "Fireworks sound during Chinese New Year celebration", None, "kling-sound",
            {"duration": 3},
        ),
        "/v1/audio/text-to-audio",
        {
            "prompt": "Fireworks sound during Chinese New Year celebration",
            "duration": 3,
            "external_task_id": "our-id",
        },
        {},
    ),
    (
        "E kling-video-to-audio",
        GenerationRequest("", None, "kling-video-sound", {}, files(video=f"{QA}/20fps-7s.mov")),
        "/v1/audio/video-to-audio",
        {"video_url": f"{QA}/20fps-7s.mov", "external_task_id": "our-id"},
        {},
    ),
    (
        "E kling-text-to-speech",
        GenerationRequest(
            "Throughout my time in college, several memorable event left a significant impact on "
            "my life", None, "kling-tts",
            {"voice": "oversea_male1", "language": "en", "speed": 1},
        ),
        "/v1/audio/tts",
        {
            "text": "Throughout my time in college, several memorable event left a significant "
            "impact on my life",
            "voice_id": "oversea_male1",
            "voice_language": "en",
            "voice_speed": 1,
        },
        {},
    ),
    (
        "E kling-omni-3.0-voice-mgt",
        GenerationRequest(
            "", None, "kling-voice", {"name": "Custom Voice"}, files(audio=f"{QA}/out.mp3")
        ),
        "/v1/general/custom-voices",
        {
            "voice_url": f"{QA}/out.mp3", "voice_name": "Custom Voice",
            "external_task_id": "our-id",
        },
        {},
    ),
    (
        "E kling-omni-3.0-element-mgt",
        GenerationRequest(
            "", None, "kling-element",
            {"name": "xxx", "description": "xxx", "tags": ["o_102"], "callback_url": BACK},
            files(
                frontal="https://example.com/front.png",
                reference=["https://example.com/1.png", "https://example.com/2.png"],
            ),
        ),
        "/v1/general/advanced-custom-elements",
        {
            "element_name": "xxx",
            "element_description": "xxx",
            "reference_type": "image_refer",
            "element_image_list": {
                "frontal_image": "https://example.com/front.png",
                "refer_images": [
                    {"image_url": "https://example.com/1.png"},
                    {"image_url": "https://example.com/2.png"},
                ],
            },
            "tag_list": [{"tag_id": "o_102"}],
            "callback_url": BACK,
            "external_task_id": "our-id",
        },
        {},
    ),
    (
        "E kling-img-recog",
        GenerationRequest("", None, "kling-recognize", {}, files(image=f"{QA}/multi-1.png")),
        "/v1/videos/image-recognize",
        {"image": f"{QA}/multi-1.png"},
        {},
    ),
    (
        "E kling-face-recog",
        GenerationRequest(
            "", None, "kling-face-detection", {}, files(video=f"{QA}/kling20260206mp4.mp4")
        ),
        "/v1/videos/identify-face",
        {"video_url": f"{QA}/kling20260206mp4.mp4"},
        {},
    ),
    (
        "E kling-image-common-subject-completion",
        GenerationRequest("", None, "kling-multi-view", {}, files(image=f"{QA}/multi-1.png")),
        "/v1/general/ai-multi-shot",
        {"element_frontal_image": f"{QA}/multi-1.png", "external_task_id": "our-id"},
        {},
    ),
    (
        "Chinese page virtual-try-on, after 2026-09-15",
        GenerationRequest(
            "", None, "kling-tryon-v3",
            {"keep_face": True, "keep_pose": True, "keep_background": True, "watermark": False,
             "callback_url": "https://example.com/callback"},
            files(
                garment="https://cdn.example.com/product.jpg",
                person="https://cdn.example.com/person.jpg",
            ),
        ),
        "/solutions/virtual_try_on",
        {
            "contents": [
                {"type": "product_image", "url": "https://cdn.example.com/product.jpg"},
                {"type": "person_image", "url": "https://cdn.example.com/person.jpg"},
            ],
            "settings": {"keep_face": True, "keep_pose": True, "keep_background": True},
            "options": {
                "callback_url": "https://example.com/callback",
                "external_task_id": "our-id",
                "watermark": {"enabled": False},
            },
        },
        {},
    ),
    (
        "C image2video-v3, several shots (2026-02; by a negative prompt on the old API)",
        GenerationRequest(
            "", None, "kling-v3-pro-image",
            {"audio": True, "shots": [
                {"prompt": "Two friends talking under a streetlight", "duration": 2},
                {"prompt": "A runner sprinting through a forest", "duration": 3},
            ]},
            files(first_frame="https://example.com/a.png"),
            negative_prompt="fog",
        ),
        "/v1/videos/image2video",
        {
            "model_name": "kling-v3",
            "image": "https://example.com/a.png",
            "prompt": "",
            "negative_prompt": "fog",
            "multi_shot": True,
            "shot_type": "customize",
            "multi_prompt": [
                {"index": 1, "prompt": "Two friends talking under a streetlight", "duration": "2"},
                {"index": 2, "prompt": "A runner sprinting through a forest", "duration": "3"},
            ],
            "duration": "5",
            "mode": "pro",
            "sound": "on",
            "external_task_id": "our-id",
        },
        {},
    ),
    (
        "C multi-image2video",
        GenerationRequest(
            "x", None, "kling-v1.6-std-elements", {"duration": 5},
            files(reference=["https://example.com/1.png", "https://example.com/2.png"]),
        ),
        "/v1/videos/multi-image2video",
        {
            "model_name": "kling-v1-6",
            "image_list": [
                {"image": "https://example.com/1.png"}, {"image": "https://example.com/2.png"},
            ],
            "prompt": "x",
            "duration": "5",
            "mode": "std",
            "external_task_id": "our-id",
        },
        {},
    ),
]  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample[0] for sample in SAMPLES])
def test_bodies_are_the_documented_ones(sample: Any) -> None:
    """Path and body."""
    _, request, path, body, facts = sample
    fitted = dataclasses.replace(fit(request, catalog("kling")), facts=facts)
    assets = [PreparedAsset(item, item.url or "") for item in fitted.assets]
    sent = submitting.submission(fitted, "our-id", assets, has_api_key=True)
    assert sent.path == path
    written = json.loads(encode(stored_form(sent.body), lambda name: b""))
    assert canonical(written) == canonical(body)


def canonical(value: Any) -> bytes:
    """Write JSON in the one form that is compared."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def test_camera_and_masks_of_the_old_models() -> None:
    """By the tables of the pages of 2026-02-03: one axis, pixels from the bottom left."""
    request = GenerationRequest(
        "x", None, "kling-v1.5-pro-image", {"camera_motion": "pan_left"}, files(image=PIC)
    )
    sent = submitting.submission(_fitted(request), "our-id", _ready(request), has_api_key=True)
    assert sent.body["camera_control"] == {
        "type": "simple",
        "config": {"horizontal": 0, "vertical": 0, "pan": -5, "tilt": 0, "roll": 0, "zoom": 0},
    }
    paths = {"trajectories": [[[279, 219], [417, 65]]]}
    masked = GenerationRequest(
        "x", None, "kling-v1.5-pro-image", paths, files(image=PIC, mask=PIC, static_mask=PIC)
    )
    sent = submitting.submission(_fitted(masked), "our-id", _ready(masked), has_api_key=True)
    assert sent.body["static_mask"] == PIC
    points = [{"x": 279, "y": 219}, {"x": 417, "y": 65}]
    assert sent.body["dynamic_masks"] == [{"mask": PIC, "trajectories": points}]


def _fitted(request: GenerationRequest) -> Any:
    return fit(request, catalog("kling"))


def _ready(request: GenerationRequest) -> list[PreparedAsset]:
    return [PreparedAsset(item, item.url or "") for item in _fitted(request).assets]
