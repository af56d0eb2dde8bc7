"""Requests that users already write: each works, is translated with a note, or is refused.

The rows are those of the project's acceptance list for fal; what stands left is what people write.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from onetake import Asset, GenerationRequest, RequestError, UnknownModel, UnsupportedParameter
from onetake.driver import PreparedAsset
from onetake.errors import AssetError
from onetake.fitting import FittedRequest, fit
from onetake.plugins import catalog
from onetake.testing.suite import sample_picture
from onetake_fal import wire

URL = "https://example.com/p.jpg"
CLIP = "https://example.com/clip.mp4"
SPEECH = "https://example.com/speech.mp3"
FAL = catalog("fal")
ROOT = "fal-ai/kling-video"


def fitted(model: str, parameters: Any = None, assets: Any = (), **fields: Any) -> FittedRequest:
    """Fit a request."""
    prompt = fields.pop("prompt", "a lake")
    return fit(GenerationRequest(prompt, None, model, parameters or {}, assets, **fields), FAL)


def body(request: FittedRequest) -> dict[str, Any]:
    """Return what would be sent."""
    ready = [
        PreparedAsset(item, item.url or f"https://v3.fal.media/{number}")
        for number, item in enumerate(request.assets)
    ]
    return dict(wire.submission(request, "our-id", ready).body)


MODELS: list[tuple[str, list[Any], str]] = [
    ("kling-v1-text", [], f"{ROOT}/v1/standard/text-to-video"),
    ("kling-v1-image", [URL], f"{ROOT}/v1/standard/image-to-video"),
    ("kling-v1.5-pro-text", [], f"{ROOT}/v1.5/pro/text-to-video"),
    ("kling-v1.6-text", [], f"{ROOT}/v1.6/standard/text-to-video"),
    ("kling-v1.6-pro-image", [URL], f"{ROOT}/v1.6/pro/image-to-video"),
    ("kling-v2-text", [], f"{ROOT}/v2/master/text-to-video"),
    ("kling-v2-image", [URL], f"{ROOT}/v2/master/image-to-video"),
    ("kling-v2.1-text", [], f"{ROOT}/v2.1/master/text-to-video"),
    ("kling-v2.1-pro-image", [URL], f"{ROOT}/v2.1/pro/image-to-video"),
    ("kling-v2.1-master-text", [], f"{ROOT}/v2.1/master/text-to-video"),
    ("kling-v2.1-master-image", [URL], f"{ROOT}/v2.1/master/image-to-video"),
    ("kling-v2.5-turbo-text", [], f"{ROOT}/v2.5-turbo/pro/text-to-video"),
    ("kling-v2.5-turbo-image", [URL], f"{ROOT}/v2.5-turbo/standard/image-to-video"),
    ("kling-v2.6-text", [], f"{ROOT}/v2.6/pro/text-to-video"),
    ("kling-v3-text", [], f"{ROOT}/v3/standard/text-to-video"),
    ("kling-v3-4k-image", [URL], f"{ROOT}/v3/4k/image-to-video"),
    ("kling-v3-turbo-text", [], f"{ROOT}/v3/turbo/standard/text-to-video"),
    ("kling-o1-image", [URL], f"{ROOT}/o1/standard/image-to-video"),
    ("kling-o3-text", [], f"{ROOT}/o3/standard/text-to-video"),
    ("kling-omni", [], f"{ROOT}/o3/standard/text-to-video"),
    ("kling-omni", [Asset(URL, role="reference")], f"{ROOT}/o3/standard/reference-to-video"),
    ("kling-v4", [], "kling/v4/text-to-video"),
    (f"{ROOT}/v2/master/image-to-video", [URL], f"{ROOT}/v2/master/image-to-video"),
    ("kling-v2-6", [], f"{ROOT}/v2.6/pro/text-to-video"),
    ("kling-v2-1-master", [], f"{ROOT}/v2.1/master/text-to-video"),
    ("kling-3.0-turbo", [URL], f"{ROOT}/v3/turbo/standard/image-to-video"),
    ("kling-elements", [URL, URL], f"{ROOT}/v1.6/standard/elements"),
    ("kling-lipsync", [CLIP, SPEECH], f"{ROOT}/lipsync/audio-to-video"),
    ("kling-tryon", [URL, URL], "fal-ai/kling/v1-5/kolors-virtual-try-on"),
    ("kolors-v2-pro", [], "fal-ai/kling-image/v3/text-to-image"),
    ("kolors", [], "fal-ai/kolors"),
    ("kolors", [URL], "fal-ai/kolors/image-to-image"),
    ("fal-ai/flux/dev", [], "fal-ai/flux/dev"),
]


@pytest.mark.parametrize(("name", "files", "means"), MODELS)
def test_model_names(name: str, files: list[Any], means: str) -> None:
    """The nearest endpoint of that generation, tier and task."""
    request = fitted(name, assets=files)
    assert request.card.vendor_id == means
    if len(FAL.find(name)) > 1:
        assert any(f"{name} was read as" in note for note in request.notes)


def test_what_exists_nowhere_names_its_neighbours() -> None:
    """v2.1 pro from text."""
    with pytest.raises(UnknownModel) as caught:
        fitted("kling-v2.1-pro-text")
    assert "kling-v2.1-master-text" in str(caught.value.hint)


def test_a_foreign_id_is_passed_on_with_a_note() -> None:
    """Without its schema it is not checked."""
    request = fitted("fal-ai/flux/dev", {"steps": 4})
    assert any("without checks" in note for note in request.notes)
    assert body(request) == {"prompt": "a lake", "steps": 4}


def test_what_nobody_knows_is_sent_as_it_was_written() -> None:
    """Names, values and lists; two files for one field are refused, not dropped."""
    written = {"image_urls": [URL, URL], "generate_audio": "on", "num_images": 2, "size": "2K"}
    assert body(fitted("owner/app", written)) == {"prompt": "a lake", **written}
    named = [Asset(URL, role="image_url"), Asset(URL, role="end_image_url")]
    sent = body(fitted("owner/app", assets=named))
    assert (sent["image_url"], sent["end_image_url"]) == (URL, URL)
    assert body(fitted("owner/app", assets=[CLIP]))["video_url"] == CLIP
    with pytest.raises(RequestError, match="two files for one field"):
        body(fitted("owner/app", assets=[URL, URL]))


def test_kolors_takes_its_own_words_for_sizes() -> None:
    """As every guide writes them."""
    for size in ("landscape_16_9", {"width": 800, "height": 600}):
        assert body(fitted("kolors-text", {"image_size": size}))["image_size"] == size


def test_effects_and_extending() -> None:
    """Effects work by the scene's name; extending is the official API's alone."""
    request = fitted("kling-effects", {"effect": "hug"}, [URL, URL], prompt="")
    assert body(request) == {"input_image_urls": [URL, URL], "effect_scene": "hug"}
    with pytest.raises(UnknownModel):
        fitted("kling-extend", assets=[CLIP])


@pytest.mark.parametrize("written", [5, "5", 5.0, "5s"])
def test_durations_in_the_type_that_the_endpoint_wants(written: Any) -> None:
    """Text up to v3, an integer on v4."""
    assert body(fitted("kling-v3-pro-text", {"duration": written}))["duration"] == "5"
    assert body(fitted("kling-v4-text", {"duration": written}))["duration"] == 5


SENT: list[tuple[str, dict[str, Any], list[Any], dict[str, Any]]] = [
    ("kling-v2-master-text", {"aspect_ratio": "9:16"}, [], {"aspect_ratio": "9:16"}),
    ("kling-v2-master-text", {"cfg_scale": 0.7}, [], {"cfg_scale": 0.7}),
    ("kling-v2-master-text", {"negative_prompt": "blur"}, [], {"negative_prompt": "blur"}),
    ("kling-v2.6-pro-text", {"audio": "off"}, [], {"generate_audio": False}),
    ("kling-v3-pro-text", {"sound": True}, [], {"generate_audio": True}),
    ("kling-v2-master-image", {"image": URL}, [], {"image_url": URL}),
    ("kling-v2-master-image", {"image_url": URL}, [], {"image_url": URL}),
    ("kling-v2.6-pro-image", {"image": URL, "image_tail": URL}, [], {
        "start_image_url": URL, "end_image_url": URL,
    }),
    ("kling-v2.5-turbo-pro-image", {"tail_image_url": URL}, [URL], {
        "image_url": URL, "tail_image_url": URL,
    }),
    ("kling-v3-pro-image", {"start_image_url": URL, "end_image_url": URL}, [], {
        "start_image_url": URL, "end_image_url": URL,
    }),
    ("kling-o3-pro-image", {}, [URL], {"image_url": URL}),
    ("kling-image-o3-text", {"aspect_ratio": "21:9", "resolution": "4K", "n": 2}, [], {
        "aspect_ratio": "21:9", "resolution": "4K", "num_images": 2,
    }),
    ("kling-image-o3-text", {"series": 4}, [], {"result_type": "series", "series_amount": 4}),
    ("kolors-text", {"aspect_ratio": "16:9"}, [], {"image_size": "landscape_16_9"}),
    ("kolors-text", {"width": 800, "height": 600}, [], {
        "image_size": {"width": 800, "height": 600},
    }),
    ("kling-tryon", {"human_image": URL, "cloth_image": URL}, [], {
        "human_image_url": URL, "garment_image_url": URL,
    }),
    ("kling-lipsync-text", {"text": "Hello.", "voice": "uk_boy1", "speed": 1.2}, [CLIP], {
        "video_url": CLIP, "text": "Hello.", "voice_id": "uk_boy1", "voice_speed": 1.2,
    }),
    ("kling-v3-std-motion", {"character_orientation": "image"}, [URL, CLIP], {
        "image_url": URL, "video_url": CLIP, "character_orientation": "image",
    }),
    ("kling-avatar-std", {}, [URL, SPEECH], {"image_url": URL, "audio_url": SPEECH}),
    ("kling-o3-std-edit", {"keep_original_sound": False}, [CLIP], {
        "video_url": CLIP, "keep_audio": False,
    }),
    ("kling-v3-pro-text", {"shots": [
        {"prompt": "one", "duration": 3}, {"prompt": "two", "duration": "4s"},
    ]}, [], {
        "multi_prompt": [
            {"prompt": "one", "duration": "3"}, {"prompt": "two", "duration": "4"},
        ],
        "duration": "7",
    }),
    ("kling-v1-std-text", {"camera_motion": "down_back"}, [], {"camera_control": "down_back"}),
    ("kling-v1-std-text", {"camera_control": {"type": "forward_up"}}, [], {
        "camera_control": "forward_up",
    }),
    ("kling-v1-std-text", {"camera_control": {"type": "simple", "config": {"zoom": 5}}}, [], {
        "advanced_camera_control": {"movement_type": "zoom", "movement_value": 5},
    }),
    ("kling-v2-master-text", {"fal": {"seed": 3}}, [], {"seed": 3}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "parameters", "files", "wanted"), SENT)
def test_what_is_sent(
    model: str, parameters: dict[str, Any], files: list[Any], wanted: dict[str, Any]
) -> None:
    """Our words become the endpoint's fields, and nothing else is sent."""
    sent = body(fitted(model, parameters, files))
    assert {name: sent.get(name) for name in wanted} == wanted
    assert set(sent) - set(wanted) <= {"prompt"}


def test_the_vendors_default_negative_prompt_is_left_to_it() -> None:
    """It is not sent when it is not given."""
    assert "negative_prompt" not in body(fitted("kling-v2-master-text"))


@pytest.mark.parametrize("mode", ["std", "standard", "pro", "professional", "4k"])
def test_modes_choose_the_endpoint(mode: str) -> None:
    """In any of their spellings."""
    tier = {"standard": "std", "professional": "pro"}.get(mode, mode)
    assert fitted("kling-v3-text", {"mode": mode}).card.tier == tier


REFUSED: list[tuple[str, dict[str, Any], list[Any], str]] = [
    ("kling-v2-master-text", {"duration": 7}, [], "5, 10"),
    ("kling-v2-master-text", {"duration": "soon"}, [], "duration"),
    ("kling-v2-master-text", {"aspect_ratio": "21:9"}, [], "16:9, 9:16, 1:1"),
    ("kling-v2-master-text", {"cfg_scale": 2}, [], "0 to 1"),
    ("kling-o1-std-image", {"cfg_scale": 0.5}, [URL], "cfg_scale"),
    ("kling-v3-turbo-std-text", {"audio": False}, [], "audio"),
    ("kling-v1-std-text", {"camera_control": {
        "type": "simple", "config": {"zoom": 5, "pan": 3},
    }}, [], "camera_control"),
    ("kling-v2-master-text", {"camera_control": {"type": "down_back"}}, [], "camera_control"),
    ("kling-v2-master-text", {"camera_motion": "sideways"}, [], "sideways"),
    ("kling-effects", {"effect": "slow_motion"}, [URL], "effect"),
    ("kling-effects", {"effect": "hug", "intensity": 3}, [URL], "intensity"),
    ("kling-v2-master-image", {"aspect_ratio": "1:1"}, [sample_picture(640, 360)], "aspect_ratio"),
    ("kling-v3-pro-text", {"shots": [
        {"prompt": "one", "duration": 2.5}, {"prompt": "two", "duration": 2.5},
    ]}, [], "entry 1"),
    ("kling-v1-std-text", {"camera_control": {"type": "simple", "config": ["zoom"]}}, [], "camera"),
    ("kling-v1-std-text", {"camera_control": {
        "type": "simple", "config": {"zoom": "abc"},
    }}, [], "camera_control"),
    ("kling-v3-std-text", {"elements": ["123"]}, [], "elements"),
    ("kling-v2-master-image", {}, [URL, URL], "no place"),
    ("kling-voice", {}, [], "audio"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "parameters", "files", "why"), REFUSED)
def test_what_is_refused(
    model: str, parameters: dict[str, Any], files: list[Any], why: str
) -> None:
    """Before anything is sent, naming what is possible."""
    with pytest.raises((RequestError, UnsupportedParameter, AssetError), match=why):
        body(fitted(model, parameters, files))


def test_other_camera_motions_are_said_in_the_prompt() -> None:
    """With a note; auto says nothing."""
    for model in ("kling-v2-master-text", "kling-v1-std-text"):
        request = fitted(model, {"camera_motion": "zoom_in"})
        assert body(request) == {"prompt": "a lake. The camera slowly zooms in."}
        assert any("said in the prompt" in note for note in request.notes)
        assert body(fitted(model, {"camera_motion": "auto"})) == {"prompt": "a lake"}


def test_styles_and_pixels_are_translated_with_a_note() -> None:
    """Pictures of models that have neither."""
    parameters = {"width": 1920, "height": 1080, "style": "fantasy_art"}
    request = fitted("kling-image-v3-text", parameters)
    sent = body(request)
    assert sent["prompt"] == "a lake. In the style of fantasy art."
    assert (sent["aspect_ratio"], sent["resolution"]) == ("16:9", "2K")
    assert len(request.notes) == 2


def test_a_callback_goes_into_the_query() -> None:
    """fal takes one URL."""
    request = fitted("kling-v2-master-text", {"callback_url": "https://example.com/done"})
    assert wire.submission(request, "our-id", []).query == {
        "fal_webhook": "https://example.com/done"
    }


def test_elements_are_given_as_pictures() -> None:
    """The first of each is the front; the prompt names them as fal does."""
    files = [
        Asset("https://example.com/front.jpg", role="element_1"),
        Asset("https://example.com/side.jpg", role="element_1"),
        Asset(CLIP, role="element_2_video"),
        Asset(URL, role="reference"),
    ]
    request = fitted(
        "kling-o3-std-reference",
        assets=files,
        prompt="@element_1 and <<<element_2>>> at @image_1",
    )
    sent = body(request)
    assert sent["prompt"] == "@Element1 and @Element2 at @Image1"
    assert sent["image_urls"] == [URL]
    assert sent["elements"] == [
        {
            "frontal_image_url": "https://example.com/front.jpg",
            "reference_image_urls": ["https://example.com/side.jpg"],
        },
        {"video_url": CLIP},
    ]


def test_masks_need_a_path_each() -> None:
    """As many trajectories as masks, each a list of points."""
    files = [URL, Asset(URL, role="mask")]
    good = {"trajectories": [[[1, 2], [3, 4]]]}
    sent = body(fitted("kling-v1-std-image", good, files))
    points = [{"x": 1, "y": 2}, {"x": 3, "y": 4}]
    assert sent["dynamic_masks"] == [{"mask_url": URL, "trajectories": points}]
    for bad in ([], [[[1, 2]], [[3, 4]]], [[1, 2]]):
        with pytest.raises(UnsupportedParameter, match="trajectories"):
            body(fitted("kling-v1-std-image", {"trajectories": bad}, files))


def test_results_inside_the_answer_are_refused() -> None:
    """They could be neither delivered nor kept."""
    with pytest.raises(RequestError, match="sync_mode"):
        body(fitted("kolors-text", {"fal": {"sync_mode": True}}))


def encoded(form: str) -> bytes:
    """Return a picture in a format."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(sample_picture(640, 640))).save(buffer, form)
    return buffer.getvalue()


def test_pictures_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Path, text, file URL, bytes, file object, URL, data URI; other formats are converted."""
    data = encoded("PNG")
    path = tmp_path / "p.png"
    path.write_bytes(data)
    monkeypatch.chdir(tmp_path)
    inline = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    sources: list[Any] = [path, "p.png", path.as_uri(), data, io.BytesIO(data), inline]
    for source in sources:
        [asset] = fitted("kling-v2-master-image", assets=[source]).assets
        assert asset.data == data
    assert fitted("kling-v2-master-image", assets=[URL]).assets[0].url == URL
    webp = fitted("kling-v2-master-image", assets=[encoded("WEBP")])
    assert webp.assets[0].media_type == "image/webp", "fal takes WebP as it is"
    bitmap = fitted("kling-v2-master-image", assets=[encoded("BMP")])
    assert bitmap.assets[0].media_type in ("image/png", "image/jpeg")
    assert any("converted" in note or "JPEG" in note for note in bitmap.notes)


def test_a_picture_of_another_ratio_is_cropped_on_request() -> None:
    """Without the wish it is refused; with the picture's own ratio it is fine, with a note."""
    square = sample_picture(640, 640)
    assert fitted("kling-v2-master-image", {"aspect_ratio": "1:1"}, [square]).notes
    with pytest.raises(RequestError, match="crop"):
        fitted("kling-v2-master-image", {"aspect_ratio": "16:9"}, [square])
    cropped = fitted("kling-v2-master-image", {"aspect_ratio": "16:9", "crop": "center"}, [square])
    picture = cropped.assets[0]
    assert picture.width is not None
    assert picture.height is not None
    assert picture.width / picture.height == pytest.approx(16 / 9, abs=0.01)
