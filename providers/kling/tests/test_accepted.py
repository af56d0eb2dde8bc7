"""Requests that users already write: each works, is translated with a note, or is refused.

The rows are those of the project's acceptance list for the official Kling API; what stands left
of the colon is what people write.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from onetake import Asset, GenerationRequest, RequestError, UnknownModel, UnsupportedParameter
from onetake.driver import PreparedAsset
from onetake.errors import AssetError, AuthenticationError
from onetake.fitting import FittedRequest, fit
from onetake.plugins import catalog
from onetake_kling.wire import submitting

from .requests_of import PICTURE

URL = "https://example.com/p.jpg"


def fitted(model: str, parameters: Any = None, assets: Any = (), **fields: Any) -> FittedRequest:
    """Fit a request."""
    prompt = fields.pop("prompt", "a lake")
    return fit(GenerationRequest(prompt, None, model, parameters or {}, assets, **fields), KLING)


def body(request: FittedRequest, *, has_api_key: bool = True) -> Any:
    """Return what would be sent."""
    ready = [PreparedAsset(item, item.url or item.vendor_id or "…") for item in request.assets]
    return submitting.submission(request, "our-id", ready, has_api_key=has_api_key)


KLING = catalog("kling")

MODELS: list[tuple[str, list[Any], str]] = [
    ("kling-v2-text", [], "kling-v2-master-text"),
    ("kling-v2-image", [URL], "kling-v2-master-image"),
    ("kling-v2.1-text", [], "kling-v2.1-master-text"),
    ("kling-v2.1-pro-image", [URL], "kling-v2.1-pro-image"),
    ("kling-v2.1-master-text", [], "kling-v2.1-master-text"),
    ("kling-v2.1-master-image", [URL], "kling-v2.1-master-image"),
    ("kling-v1.5-pro-image", [URL], "kling-v1.5-pro-image"),
    ("kling-v1.6-std-text", [], "kling-v1.6-std-text"),
    ("kling-v2.5-turbo-text", [], "kling-v2.5-turbo-std-text"),
    ("kling-v2.6-image", [URL], "kling-v2.6-std-image"),
    ("kling-v3-text", [], "kling-v3-std-text"),
    ("kling-v3-4k-image", [URL], "kling-v3-4k-image"),
    ("kling-v3-turbo-text", [], "kling-v3-turbo-std-text"),
    ("kling-o1-text", [], "kling-o1-std-text"),
    ("kling-o3-text", [], "kling-o3-std-text"),
    ("kling-omni", [], "kling-o3-std-text"),
    ("kling-v2-6", [], "kling-v2.6-std-text"),
    ("kling-v2-1-master", [], "kling-v2.1-master-text"),
    ("kling-3.0-turbo", [URL], "kling-v3-turbo-std-image"),
    ("kling-elements", [Asset(URL, role="reference")], "kling-o3-std-reference"),
    ("kling-tryon", [Asset(URL, role="person"), Asset(URL, role="garment")], "kling-tryon-v1-5"),
    ("kolors", [], "kling-image-v3-text"),
    ("kolors-v2-pro", [], "kling-image-v3-text"),
    ("kling-extend", [Asset("id:12345")], "kling-extend"),
]


@pytest.mark.parametrize(("name", "files", "means"), MODELS, ids=[row[0] for row in MODELS])
def test_model_names(name: str, files: list[Any], means: str) -> None:
    """The newest card of that generation, tier and task; a shared name leaves a note."""
    request = fitted(name, assets=files)
    assert request.card.name == means
    if name not in request.card.names():
        assert any(f"{name} was read as {means}" in note for note in request.notes)


def test_a_discontinued_model_is_refused_with_its_successor() -> None:
    """kling-v1-text, kling-v1-image."""
    with pytest.raises(UnsupportedParameter, match=r"Use kling-v2\.6-std-text"):
        fitted("kling-v1-text")
    with pytest.raises(UnsupportedParameter, match=r"Use kling-v2\.6-std-image"):
        fitted("kling-v1-image", assets=[URL])


def test_a_model_that_exists_nowhere_names_its_neighbours() -> None:
    """v2.1 pro text."""
    with pytest.raises(UnknownModel, match=r"kling-v2\.1-master-text or kling-v2\.6-pro-text"):
        fitted("kling-v2.1-pro-text")


def test_a_new_model_with_an_access_key_asks_for_an_api_key() -> None:
    """KLING_API_KEY="ak:sk"."""
    with pytest.raises(AuthenticationError, match="dev/api-key"):
        body(fitted("kling-v3-turbo-std-text"), has_api_key=False)
    assert body(fitted("kling-v3-std-text"), has_api_key=False).route == "legacy"


@pytest.mark.parametrize("written", [5, "5", 5.0, "5s"])
def test_durations(written: Any) -> None:
    """In the type that the endpoint wants."""
    request = fitted("kling-v2.6-pro-text", {"duration": written})
    assert body(request).body["settings"]["duration"] == 5
    assert body(request, has_api_key=False).body["duration"] == "5"
    with pytest.raises(UnsupportedParameter, match="5, 10"):
        fitted("kling-v2.6-pro-text", {"duration": 7})


@pytest.mark.parametrize("ratio", ["16:9", "9:16", "1:1"])
def test_aspect_ratios(ratio: str) -> None:
    """Where there is a field; by the picture where there is none."""
    request = fitted("kling-v2.6-pro-text", {"aspect_ratio": ratio})
    assert body(request).body["settings"]["aspect_ratio"] == ratio
    other = Asset(jpeg({"9:16": (640, 360), "16:9": (640, 640), "1:1": (640, 360)}[ratio]))
    with pytest.raises(UnsupportedParameter, match="crop=center"):
        fitted("kling-v2.6-pro-image", {"aspect_ratio": ratio}, [other])


def jpeg(size: tuple[int, int]) -> bytes:
    """Return a picture of a size."""
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "JPEG")
    return buffer.getvalue()


def test_21_9_on_video_and_on_pictures() -> None:
    """Refused with the ratios; works where pictures have it."""
    with pytest.raises(UnsupportedParameter, match="16:9, 9:16, 1:1"):
        fitted("kling-v3-pro-text", {"aspect_ratio": "21:9"})
    assert body(fitted("kling-image-v3-text", {"aspect_ratio": "21:9"})).body["aspect_ratio"]


@pytest.mark.parametrize(
    ("written", "tier"),
    [("std", "std"), ("standard", "std"), ("pro", "pro"), ("professional", "pro"), ("4k", "4k")],
)
def test_modes(written: str, tier: str) -> None:
    """They choose the card."""
    assert fitted("kling-v3", {"mode": written}).card.tier == tier


def test_cfg_scale() -> None:
    """0 to 1 on v1.x; outside it the true range; refused where there is none."""
    assert body(fitted("kling-v1.6-std-text", {"cfg_scale": 0.7})).body["cfg_scale"] == 0.7
    with pytest.raises(UnsupportedParameter, match="0 to 1"):
        fitted("kling-v1.6-std-text", {"cfg_scale": 2})
    with pytest.raises(UnsupportedParameter, match="no such parameter"):
        fitted("kling-v2.6-pro-text", {"cfg_scale": 0.5})


MOTIONS = (
    "static", "zoom_in", "zoom_out", "pan_left", "pan_right", "tilt_up", "tilt_down", "auto",
    "dolly_forward", "orbit_right", "epic_reveal", "dramatic_push", "orbit_subject", "crane_up",
    "dolly_back",
)  # fmt: skip


@pytest.mark.parametrize("motion", MOTIONS)
def test_camera_motions(motion: str) -> None:
    """One axis where there is a camera, with a note where one is left out; words elsewhere."""
    sent = body(fitted("kling-v1.5-pro-image", {"camera_motion": motion}, [URL]))
    if motion in ("auto", "static"):
        assert "camera_control" not in sent.body
    else:
        config = sent.body["camera_control"]["config"]
        assert sum(value != 0 for value in config.values()) == 1
        assert bool(sent.notes) == (motion in ("orbit_right", "orbit_subject", "epic_reveal"))
    said = fitted("kling-v3-pro-text", {"camera_motion": motion})
    assert (said.prompt == "a lake") == (motion == "auto")
    assert bool(said.notes) == (motion != "auto")


def test_camera_control() -> None:
    """Works where supported; two axes refused; elsewhere refused, pointing to camera_motion."""
    simple = {"type": "simple", "config": {"zoom": -5}}
    sent = body(fitted("kling-v1.5-pro-image", {"camera_control": simple}, [URL]))
    assert sent.body["camera_control"]["config"]["zoom"] == -5
    two = {"type": "simple", "config": {"zoom": -5, "pan": 1}}
    request = fitted("kling-v1.5-pro-image", {"camera_control": two}, [URL])
    with pytest.raises(UnsupportedParameter, match="exactly one axis"):
        body(request)
    with pytest.raises(UnsupportedParameter) as caught:
        fitted("kling-v3-pro-text", {"camera_control": simple})
    assert "camera_motion" in str(caught.value)
    for kind in ("down_back", "forward_up", "right_turn_forward", "left_turn_forward"):
        v1 = fit(
            GenerationRequest("x", None, "kling-v1-std-text", {"camera_control": {"type": kind}}),
            KLING,
            strict=False,
        )
        assert body(v1).body["camera_control"] == {"type": kind}


def test_pixels_and_style_of_pictures() -> None:
    """Nearest ratio and class, and words in the prompt; both noted."""
    request = fitted("kling-image-v3-text", {"width": 1920, "height": 1080, "style": "fantasy_art"})
    sent = body(request).body
    assert (sent["aspect_ratio"], sent["resolution"]) == ("16:9", "2k")
    assert sent["prompt"] == "a lake. In the style of fantasy art."
    assert len(request.notes) == 2


def test_fidelity_number_and_reference() -> None:
    """Where the model has them."""
    wanted = {"image_fidelity": 0.6, "human_fidelity": 0.5, "n": 9, "image_reference": "subject"}
    sent = body(fitted("kling-image-v2.1-image", wanted, [URL])).body
    assert {name: sent[name] for name in wanted} == wanted


def test_effects() -> None:
    """slow_motion is refused with names that exist; a real one works; intensity is refused."""
    with pytest.raises(UnsupportedParameter, match="one of 204 values, such as"):
        fitted("kling-effects", {"effect": "slow_motion"}, [URL])
    sent = body(fitted("kling-effects", {"effect": "color_mixing"}, [URL]))
    assert sent.body["effect_scene"] == "color_mixing"
    with pytest.raises(UnsupportedParameter, match="intensity"):
        fitted("kling-effects", {"effect": "color_mixing", "intensity": 1}, [URL])


def test_extend_duration() -> None:
    """The vendor adds 4 to 5 s; noted."""
    sent = body(fitted("kling-extend", {"video_id": "123", "extend_duration": 5}))
    assert sent.body["video_id"] == "123"
    assert any("4 to 5 s" in note for note in sent.notes)


def test_a_callback_goes_to_the_vendor() -> None:
    """In the place of each generation."""
    given = {"callback_url": "https://example.com/called"}
    new = body(fitted("kling-v2.6-pro-text", given)).body
    old = body(fitted("kling-v2.6-pro-text", given), has_api_key=False).body
    assert new["options"]["callback_url"] == old["callback_url"] == given["callback_url"]


@pytest.mark.parametrize("name", ["image", "image_url", "start_image_url"])
def test_pictures_as_parameters(name: str) -> None:
    """Moved into the right slot."""
    tail = {"image": "image_tail", "image_url": "tail_image_url"}.get(name, "end_image_url")
    request = fitted("kling-v2.6-pro-image", {name: URL, tail: URL})
    assert [item.role for item in request.assets] == ["first_frame", "last_frame"]


def test_first_and_last_frame_on_std_are_refused() -> None:
    """Raising the tier silently would change the price."""
    with pytest.raises(AssetError, match="takes first_frame, last_frame"):
        fitted("kling-v2.6-std-image", {"image": URL, "image_tail": URL})


@pytest.mark.parametrize("form", ["path", "text", "file", "bytes", "object", "home"])
def test_files_in_every_form(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, ``~``, ``file://``, bytes, a file object, a data URI."""
    path = tmp_path / "p.jpg"
    path.write_bytes(PICTURE)
    monkeypatch.setenv("HOME", str(tmp_path))
    source: Any = {
        "path": path,
        "text": str(path),
        "file": path.as_uri(),
        "bytes": PICTURE,
        "object": io.BytesIO(PICTURE),
        "home": "~/p.jpg",
    }[form]
    assert fitted("kling-v3-pro-image", assets=[source]).assets[0].data == PICTURE


def test_lip_sync_with_a_video_and_a_sound() -> None:
    """Roles by kind; text and voice instead of a sound."""
    files = ["https://example.com/talk.mp4", "https://example.com/speech.mp3"]
    request = fitted("kling-lipsync", assets=files, prompt="")
    assert [item.role for item in request.assets] == ["video", "audio"]
    with pytest.raises(UnsupportedParameter, match="not both"):
        fitted("kling-lipsync", {"text": "hello", "voice": "x"}, files, prompt="")
    with pytest.raises(RequestError, match="needs audio or text"):
        fitted("kling-lipsync", assets=files[:1], prompt="")


def test_try_on_by_order() -> None:
    """[person, garment]."""
    request = fitted("kling-tryon", assets=[URL, "https://example.com/coat.jpg"], prompt="")
    assert [item.role for item in request.assets] == ["person", "garment"]
