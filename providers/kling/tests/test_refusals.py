"""Invalid combinations: the dialect refuses each as the vendor does, the driver before any POST.

Each row: the model and request that a caller would write, and the body that another client would
send for it. Rules: vendor pages and recorded answers; see the reference in the docs.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from onetake import Asset, GenerationRequest, RequestError
from onetake.driver import PreparedAsset
from onetake.fitting import fit
from onetake.plugins import catalog
from onetake.testing import SandboxServer
from onetake_kling.wire import submitting

from .requests_of import PICTURE

KEY = {"Authorization": "Bearer sandbox"}
PIC = "https://example.com/p.jpg"
CLIP = "https://example.com/c.mp4?seconds=5"
FRAME = {"type": "first_frame", "url": PIC}
I2V = "/v1/videos/image2video"
T2V = "/v1/videos/text2video"
OMNI = "/omni-video/kling-3.0-omni"
SHOTS = [{"prompt": "a", "duration": 2}, {"prompt": "b", "duration": 2}]


def contents(*items: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Return a body of the new API."""
    return {"contents": [{"type": "prompt", "text": "x"}, *items], "settings": settings}


def files(**roles: Any) -> list[Asset]:
    """Return files by role; a list is several."""
    return [
        Asset(source, role=role)
        for role, found in roles.items()
        for source in (found if isinstance(found, list) else [found])
    ]


ROWS: list[tuple[str, str, dict[str, Any], list[Asset], str, dict[str, Any]]] = [
    (
        "2.6 with sound at 720p",
        "kling-v2.6-std-text", {"audio": True}, [],
        "/text-to-video/kling-2.6",
        {"prompt": "x", "settings": {"audio": "native", "resolution": "720p"}},
    ),
    (
        "2.6 last frame with sound",
        "kling-v2.6-pro-image", {"audio": True}, files(first_frame=PIC, last_frame=PIC),
        "/image-to-video/kling-2.6",
        contents(
            FRAME, {"type": "last_frame", "url": PIC}, audio="native", resolution="1080p"
        ),
    ),
    (
        "turbo has no last frame",
        "kling-v3-turbo-pro-image", {}, files(first_frame=PIC, last_frame=PIC),
        "/image-to-video/kling-3.0-turbo",
        contents(FRAME, {"type": "last_frame", "url": PIC}),
    ),
    (
        "seven seconds of 2.6",
        "kling-v2.6-pro-text", {"duration": 7}, [],
        "/text-to-video/kling-2.6", {"prompt": "x", "settings": {"duration": 7}},
    ),
    (
        "21:9",
        "kling-v3-pro-text", {"aspect_ratio": "21:9"}, [],
        "/text-to-video/kling-3.0", {"prompt": "x", "settings": {"aspect_ratio": "21:9"}},
    ),
    (
        "4k of 2.6",
        "kling-v2.6", {"mode": "4k"}, [],
        "/text-to-video/kling-2.6", {"prompt": "x", "settings": {"resolution": "4k"}},
    ),
    (
        "a voice without sound",
        "kling-v2.6-pro-image", {"voices": ["800000000000000101"]}, files(first_frame=PIC),
        "/image-to-video/kling-2.6",
        contents(
            FRAME, {"type": "voice", "voice_id": "800000000000000101"}, resolution="1080p"
        ),
    ),
    (
        "three voices",
        "kling-v2.6-pro-image", {"voices": ["1", "2", "3"], "audio": True},
        files(first_frame=PIC),
        "/image-to-video/kling-2.6",
        contents(
            FRAME,
            *({"type": "voice", "voice_id": str(n)} for n in range(3)),
            resolution="1080p",
            audio="native",
        ),
    ),
    (
        "four elements beside a frame",
        "kling-v3-pro-image", {"elements": ["160", "161", "160", "161"]},
        files(first_frame=PIC),
        "/image-to-video/kling-3.0",
        contents(FRAME, *({"type": "element", "element_id": "160"} for _ in range(4))),
    ),
    (
        "shots that are longer than the whole",
        "kling-v3-pro-text", {"shots": SHOTS, "duration": 5}, [],
        "/text-to-video/kling-3.0",
        {"prompt": "shot 1, 2, a; shot 2, 2, b;", "settings": {"duration": 5}},
    ),
    (
        "seven shots",
        "kling-v3-pro-text", {"shots": SHOTS * 3 + SHOTS[:1]}, [],
        "/text-to-video/kling-3.0",
        {
            "prompt": " ".join(f"shot {n}, 2, a;" for n in range(1, 8)),
            "settings": {"duration": 14},
        },
    ),
    (
        "eight references",
        "kling-o3-pro-reference", {}, files(reference=[PIC] * 8),
        OMNI,
        contents(*({"type": "refer_image", "url": PIC} for _ in range(8)), aspect_ratio="1:1"),
    ),
    (
        "five references beside a video",
        "kling-o3-pro-edit", {}, files(video=CLIP, reference=[PIC] * 5),
        OMNI,
        contents(
            {"type": "base_video", "url": CLIP},
            *({"type": "refer_image", "url": PIC} for _ in range(5)),
        ),
    ),
    (
        "two videos",
        "kling-o3-pro-edit", {}, files(video=[CLIP, CLIP]),
        OMNI,
        contents({"type": "base_video", "url": CLIP}, {"type": "feature_video", "url": CLIP}),
    ),
    (
        "sound of its own over a given video",
        "kling-o3-pro-video-reference", {"audio": True}, files(video=CLIP),
        OMNI,
        contents(
            {"type": "feature_video", "url": CLIP}, audio="native", aspect_ratio="16:9"
        ),
    ),
    (
        "an omni last frame alone",
        "kling-o3-pro-image", {}, files(last_frame=PIC),
        OMNI, contents({"type": "last_frame", "url": PIC}, aspect_ratio="16:9"),
    ),
    (
        "seven seconds of O1 from words",
        "kling-o1-pro-text", {"duration": 7}, [],
        "/omni-video/kling-o1",
        contents(duration=7, aspect_ratio="16:9", resolution="1080p"),
    ),
    (
        "motion without an orientation",
        "kling-v3-pro-motion", {}, files(image=PIC, video=CLIP),
        "/motion-control/kling-3.0",
        contents({"type": "image", "url": PIC}, {"type": "video", "url": CLIP}),
    ),
    (
        "motion of two characters",
        "kling-v3-pro-motion", {"orientation": "video", "elements": ["160", "161"]},
        files(image=PIC, video=CLIP),
        "/motion-control/kling-3.0",
        contents(
            {"type": "image", "url": PIC},
            {"type": "video", "url": CLIP},
            *({"type": "element", "element_id": n} for n in ("160", "161", "160", "161")),
            character_orientation="video",
        ),
    ),
    (
        "cfg_scale of 5",
        "kling-v1.6-std-text", {"cfg_scale": 5}, [],
        T2V, {"model_name": "kling-v1-6", "prompt": "x", "cfg_scale": 5},
    ),
    (
        "a camera on 1.6",
        "kling-v1.6-std-text", {"camera_control": {"type": "down_back"}}, [],
        T2V,
        {"model_name": "kling-v1-6", "prompt": "x", "camera_control": {"type": "down_back"}},
    ),
    (
        "two axes",
        "kling-v1.5-pro-image",
        {"camera_control": {"type": "simple", "config": {"pan": 5, "zoom": 5}}},
        files(first_frame=PIC),
        I2V,
        {
            "model_name": "kling-v1-5", "mode": "pro", "image": PIC,
            "camera_control": {"type": "simple", "config": {"pan": 5, "zoom": 5}},
        },
    ),
    (
        "a fixed type on 1.5",
        "kling-v1.5-pro-image", {"camera_control": {"type": "forward_up"}},
        files(first_frame=PIC),
        I2V,
        {
            "model_name": "kling-v1-5", "mode": "pro", "image": PIC,
            "camera_control": {"type": "forward_up"},
        },
    ),
    (
        "a last frame and a camera",
        "kling-v1.5-pro-image",
        {"camera_control": {"type": "simple", "config": {"pan": 5}}},
        files(first_frame=PIC, last_frame=PIC),
        I2V,
        {
            "model_name": "kling-v1-5", "mode": "pro", "image": PIC, "image_tail": PIC,
            "camera_control": {"type": "simple", "config": {"pan": 5}},
        },
    ),
    (
        "masks of ten seconds",
        "kling-v1.5-pro-image", {"duration": 10},
        files(first_frame=PIC, static_mask=PIC),
        I2V,
        {
            "model_name": "kling-v1-5", "mode": "pro", "image": PIC, "static_mask": PIC,
            "duration": "10",
        },
    ),
    (
        "a trajectory of one point",
        "kling-v1.5-pro-image", {"trajectories": [[[1, 1]]]},
        files(first_frame=PIC, mask=PIC),
        I2V,
        {
            "model_name": "kling-v1-5", "mode": "pro", "image": PIC,
            "dynamic_masks": [{"mask": PIC, "trajectories": [{"x": 1, "y": 1}]}],
        },
    ),
    (
        "a last frame on 2.6 std",
        "kling-v2.6-std-image", {}, files(first_frame=PIC, last_frame=PIC),
        I2V,
        {"model_name": "kling-v2-6", "mode": "std", "image": PIC, "image_tail": PIC, "prompt": "x"},
    ),
    (
        "several shots on 2.6",
        "kling-v2.6-pro-text", {"shots": SHOTS}, [],
        T2V,
        {
            "model_name": "kling-v2-6", "mode": "pro", "prompt": "x",
            "multi_shot": True, "shot_type": "customize",
        },
    ),
    (
        "an effect that does not exist",
        "kling-effects", {"effect": "slow_motion"}, files(image=PIC),
        "/v1/videos/effects", {"effect_scene": "slow_motion", "input": {"image": PIC}},
    ),
    (
        "an effect for two with one picture",
        "kling-effects-dual", {"effect": "hug_pro"}, files(image=PIC),
        "/v1/videos/effects", {"effect_scene": "hug_pro", "input": {"image": PIC}},
    ),
    (
        "four times the area",
        "kling-expand", {"expand": {"up": 1, "left": 1}}, files(image=PIC),
        "/v1/images/editing/expand",
        {
            "image": PIC, "up_expansion_ratio": 1, "down_expansion_ratio": 0,
            "left_expansion_ratio": 1, "right_expansion_ratio": 0,
        },
    ),
    (
        "ten pictures",
        "kling-image-v3-text", {"n": 10}, [],
        "/v1/images/generations", {"model_name": "kling-v3", "prompt": "x", "n": 10},
    ),
    (
        "4k of image v3",
        "kling-image-v3-text", {"resolution": "4k"}, [],
        "/v1/images/generations", {"model_name": "kling-v3", "prompt": "x", "resolution": "4k"},
    ),
    (
        "a negative prompt beside a picture",
        "kling-image-v2.1-image", {"negative_prompt": "fog"}, files(image=PIC),
        "/v1/images/generations",
        {"model_name": "kling-v2-1", "prompt": "x", "image": PIC, "negative_prompt": "fog"},
    ),
    (
        "a series of O1",
        "kling-image-o1-text", {"series": "3"}, [],
        "/v1/images/omni-image",
        {"model_name": "kling-image-o1", "prompt": "x", "result_type": "series"},
    ),
    (
        "five subjects",
        "kling-image-v2.1-multi", {}, files(reference=[PIC] * 5),
        "/v1/images/multi-image2image",
        {"subject_image_list": [{"subject_image": PIC}] * 5},
    ),
    (
        "a sound of two seconds",
        "kling-sound", {"duration": 2}, [],
        "/v1/audio/text-to-audio", {"prompt": "x", "duration": 2},
    ),
    (
        "an element without its front",
        "kling-element", {"name": "a", "description": "b"}, files(reference=PIC),
        "/v1/general/advanced-custom-elements",
        {
            "element_name": "a", "element_description": "b", "reference_type": "image_refer",
            "element_image_list": {"refer_images": [{"image_url": PIC}]},
        },
    ),
    (
        "a voice from two sources",
        "kling-voice", {"name": "a"}, files(audio="https://example.com/v.mp3", video=CLIP),
        "/v1/general/custom-voices",
        {"voice_name": "a", "voice_url": CLIP, "video_id": "1"},
    ),
    (
        "a name of 21 characters",
        "kling-voice", {"name": "a" * 21}, files(audio="https://example.com/v.mp3"),
        "/v1/general/custom-voices", {"voice_name": "a" * 21, "voice_url": CLIP},
    ),
    (
        "speech without a voice",
        "kling-tts", {}, [],
        "/v1/audio/tts", {"text": "x", "voice_language": "en"},
    ),
]  # fmt: skip


def translated(request: GenerationRequest) -> None:
    """Do all that is done before anything is sent."""
    fitted = fit(request, catalog("kling"))
    ready = [PreparedAsset(item, item.url or "") for item in fitted.assets]
    submitting.submission(fitted, "our-id", ready, has_api_key=True)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_refused_here_first(row: Any, server: SandboxServer) -> None:
    """By fitting or translating, which do no I/O; and by the dialect, for other clients."""
    _, model, parameters, assets, path, body = row
    with pytest.raises(RequestError) as caught:
        translated(GenerationRequest("x", None, model, parameters, assets))
    assert caught.value.task_state == "not_created"
    answer = httpx.post(f"{server.url}/kling{path}", json=body, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (400, 1201), answer.text
    assert server.charges() == []


def test_elements_that_nobody_made_are_not_found(server: SandboxServer) -> None:
    """Only the vendor can know that: it refuses, and nothing is charged."""
    body = {
        "model_name": "kling-v3", "mode": "pro", "image": PIC, "prompt": "x",
        "element_list": [{"element_id": 315187972322559}],
    }  # fmt: skip
    answer = httpx.post(f"{server.url}/kling{I2V}", json=body, headers=KEY)
    assert answer.json()["message"] == "Element id not found: 315187972322559"
    assert server.charges() == []


def test_unknown_members_are_ignored(server: SandboxServer) -> None:
    """Three third parties saw that, 2026-08 and 2026-09."""
    body = {"prompt": "x", "zzz_nope": 1, "settings": {"mode": "pro", "fps": 30}}
    answer = httpx.post(f"{server.url}/kling/text-to-video/kling-3.0", json=body, headers=KEY)
    assert answer.json()["code"] == 0


def test_a_picture_that_is_too_small_is_refused_before_it_is_sent() -> None:
    """The vendor would fail the task later."""
    from onetake.testing.suite import sample_picture

    small = Asset(sample_picture(299, 400), role="first_frame")
    with pytest.raises(RequestError, match="300 on each side"):
        fit(GenerationRequest("x", None, "kling-v3-pro-image", {}, [small]), catalog("kling"))
    assert len(PICTURE) > 100


def test_what_has_no_effect_is_refused_here_alone(server: SandboxServer) -> None:
    """The pages say that it takes effect only with a subject; nobody saw the vendor refuse it."""
    request = GenerationRequest(
        "x", None, "kling-image-v2.1-image", {"human_fidelity": 0.5}, files(image=PIC)
    )
    with pytest.raises(RequestError, match="image_reference"):
        translated(request)
    body = {"model_name": "kling-v2-1", "prompt": "x", "image": PIC, "human_fidelity": 0.5}
    answer = httpx.post(f"{server.url}/kling/v1/images/generations", json=body, headers=KEY)
    assert answer.json()["code"] == 0


def test_the_old_lip_sync_is_still_answered(server: SandboxServer) -> None:
    """Its refusals as recorded 2026-09-28; a good body makes a film."""
    path = f"{server.url}/kling/v1/videos/lip-sync"
    good = {
        "mode": "text2video", "video_url": CLIP, "text": "hi", "voice_id": "genshin_vindi2",
        "voice_language": "en",
    }  # fmt: skip
    bad = [
        ({"mode": "x"}, "input.mode value 'x' is invalid, allowed values: text2video, audio2video"),
        ({"video_url": ""}, "video_id or video_url is required"),
        ({"mode": "audio2video"}, "Audio type is null"),
        ({"text": ""}, "text is required"),
        ({"voice_id": ""}, "Voice id not found"),
    ]
    for change, message in bad:
        answer = httpx.post(path, json={"input": {**good, **change}}, headers=KEY)
        assert answer.json()["message"] == message
    answer = httpx.post(path, json={"input": good}, headers=KEY)
    task = answer.json()["data"]["task_id"]
    found = httpx.get(f"{path}/{task}", headers=KEY).json()["data"]
    assert found["task_result"]["videos"][0]["url"]
