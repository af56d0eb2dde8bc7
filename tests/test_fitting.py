"""Fitting requests to models, without any network."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from onetake import Asset, GenerationRequest, RequestError, UnknownModel, UnsupportedParameter
from onetake.errors import AssetError
from onetake.fitting import FittedRequest, fit
from onetake.plugins import catalog


def fitted(model: str, provider: str = "kling", **fields: Any) -> FittedRequest:
    """Fit a request."""
    request = GenerationRequest(fields.pop("prompt", "a lake"), model=model, **fields)
    return fit(request, catalog(provider), load_assets=fields.get("reference_assets") is not None)


@pytest.mark.parametrize("written", [5, "5", 5.0, "5s", " 5 s", "5 seconds"])
def test_durations_are_read_as_people_write_them(written: object) -> None:
    """All of these are five seconds."""
    request = fitted("kling-v2.6-pro-text", parameters={"duration": written})
    assert request.parameters["duration"] == 5


@pytest.mark.parametrize("written", [7, "7", True, "soon", 5.5, -5])
def test_other_durations_are_refused_with_the_set(written: object) -> None:
    """The message lists what is allowed."""
    with pytest.raises(UnsupportedParameter, match="duration"):
        fitted("kling-v2.6-pro-text", parameters={"duration": written})


def test_a_refused_value_lists_the_allowed_ones() -> None:
    """So that nobody has to look them up."""
    with pytest.raises(UnsupportedParameter, match="5, 10"):
        fitted("kling-v2.6-pro-text", parameters={"duration": 7})
    with pytest.raises(UnsupportedParameter, match="16:9, 9:16, 1:1"):
        fitted("kling-v2.6-pro-text", parameters={"aspect_ratio": "21:9"})
    with pytest.raises(UnsupportedParameter, match="0 to 1"):
        fitted("kling-v2-master-text", "fal", parameters={"cfg_scale": 2})


@pytest.mark.parametrize(
    ("model", "parameters", "card"),
    [
        ("kling-v2-6", {"mode": "professional"}, "kling-v2.6-pro-text"),
        ("kling-v2-6", {}, "kling-v2.6-std-text"),
        ("kling-2.6", {"resolution": "1080p"}, "kling-v2.6-pro-text"),
        ("kling-v3", {"mode": "4k"}, "kling-v3-4k-text"),
        ("kling-3.0-turbo", {"mode": "std"}, "kling-v3-turbo-std-text"),
        ("kling-v2.5-turbo-text", {"mode": "standard"}, "kling-v2.5-turbo-std-text"),
        ("KLING-V2.1-MASTER-TEXT", {}, "kling-v2.1-master-text"),
        ("kling-v2-text", {}, "kling-v2-master-text"),
    ],
)
def test_names_lead_to_cards(model: str, parameters: dict[str, Any], card: str) -> None:
    """Neutral names, vendor names and families are all understood."""
    assert fitted(model, parameters=parameters).card.name == card


def test_vendor_names_work_at_the_other_vendor() -> None:
    """A Kling name on fal means the endpoint of the same generation."""
    card = fitted("kling-v2-6", "fal").card
    assert card.vendor_id == "fal-ai/kling-video/v2.6/pro/text-to-video"


def test_a_mode_that_contradicts_the_model_is_refused() -> None:
    """A name with a tier has that tier."""
    with pytest.raises(UnsupportedParameter, match="mode"):
        fitted("kling-v2.6-pro-text", parameters={"mode": "std"})


def test_unknown_models_name_their_neighbours() -> None:
    """A typo is answered with what was meant."""
    with pytest.raises(UnknownModel, match=r"Did you mean .*kling-v2\.6-pro-text"):
        fitted("kling-v2.6-pro-tex")
    with pytest.raises(UnknownModel, match=r"kling-v2\.1-master-text or kling-v2\.6-pro-text"):
        fitted("kling-v2.1-pro-text")


def test_an_id_with_a_slash_passes_through_at_fal_only() -> None:
    """Vendors move faster than a catalog."""
    request = fitted("fal-ai/veo9/text-to-video", "fal", parameters={"anything": 1})
    assert not request.card.catalogued
    assert "passed on without checks" in request.notes[0]
    with pytest.raises(UnknownModel):
        fitted("fal-ai/veo9/text-to-video", "kling")


def test_frame_parameters_become_assets(picture: Path) -> None:
    """``image`` and ``image_tail`` as people write them fill the right slots."""
    request = GenerationRequest(
        "x",
        model="kling-v2-6",
        parameters={"image": str(picture), "image_tail": str(picture), "mode": "pro"},
    )
    fits = fit(request, catalog("kling"))
    assert [asset.role for asset in fits.assets] == ["first_frame", "last_frame"]
    assert fits.card.name == "kling-v2.6-pro-image"


def test_bare_assets_fill_slots_in_order(picture: Path) -> None:
    """First picture, first frame; second picture, last frame; a third has no place."""
    two = fitted("kling-v2.6-pro-image", reference_assets=[picture, picture])
    assert [asset.role for asset in two.assets] == ["first_frame", "last_frame"]
    with pytest.raises(AssetError, match="no place"):
        fitted("kling-v2.6-pro-image", reference_assets=[picture] * 3)


def test_first_and_last_frame_need_pro_at_v26_std(picture: Path) -> None:
    """Raising the tier silently would change the price, so it is refused and explained."""
    with pytest.raises(AssetError, match="kling-v2.6-pro-image"):
        fitted("kling-v2.6-std-image", reference_assets=[picture, picture])


def test_a_last_frame_is_silent_at_kling_v26(picture: Path) -> None:
    """The capability map says so; the refusal names the parameter."""
    with pytest.raises(UnsupportedParameter, match="audio"):
        fitted(
            "kling-v2.6-pro-image",
            reference_assets=[picture, picture],
            parameters={"audio": True},
        )


def test_a_missing_picture_is_refused() -> None:
    """Image-to-video without an image says how to give one."""
    with pytest.raises(AssetError, match="first_frame"):
        fitted("kling-v2.6-pro-image", reference_assets=[])


def test_small_and_narrow_pictures_are_refused() -> None:
    """Limits of the vendor are checked before anything is paid."""

    def image(width: int, height: int, kind: str = "JPEG") -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", (width, height)).save(buffer, kind)
        return buffer.getvalue()

    for data, reason in [
        (image(299, 400), "300"),
        (image(900, 300), "ratio of 3.00"),
    ]:
        with pytest.raises(AssetError, match=reason):
            fitted("kling-v2.6-pro-image", reference_assets=[Asset(data, name="p")])


def test_a_camera_motion_is_said_in_words() -> None:
    """With a note; an unknown motion lists the known ones; auto says nothing."""
    request = fitted("kling-v2.6-pro-text", parameters={"camera_motion": "zoom_in"})
    assert request.prompt == "a lake. The camera slowly zooms in."
    assert "camera_motion=zoom_in" in request.notes[0]
    assert fitted("kling-v2.6-pro-text", parameters={"camera_motion": "auto"}).notes == ()
    with pytest.raises(UnsupportedParameter, match="orbit_right"):
        fitted("kling-v2.6-pro-text", parameters={"camera_motion": "spin"})


@pytest.mark.parametrize(("written", "meant"), [("on", True), ("off", False), (True, True)])
def test_audio_switches(written: object, meant: bool) -> None:
    """``sound`` and ``generate_audio`` are understood too."""
    for name in ("audio", "sound", "generate_audio"):
        request = fitted("kling-v2.6-pro-text", parameters={name: written})
        assert request.parameters["audio"] is meant


def test_what_a_model_always_does_needs_no_switch() -> None:
    """Silent models accept audio off, and refuse audio on."""
    assert (
        "audio" not in fitted("kling-v2.5-turbo-pro-text", parameters={"audio": "off"}).parameters
    )
    with pytest.raises(UnsupportedParameter, match="audio"):
        fitted("kling-v2.5-turbo-pro-text", parameters={"audio": "on"})
    with pytest.raises(UnsupportedParameter, match="audio"):
        fitted("kling-v3-turbo-pro-text", parameters={"audio": "off"})


def test_a_negative_prompt_is_a_field_and_may_be_a_parameter() -> None:
    """It moves to the field; two different ones are a contradiction."""
    assert fitted("kling-v2.6-pro-text", parameters={"negative_prompt": "n"}).negative_prompt == "n"
    with pytest.raises(RequestError, match="twice"):
        fitted("kling-v2.6-pro-text", negative_prompt="a", parameters={"negative_prompt": "b"})
    with pytest.raises(UnsupportedParameter, match="negative_prompt"):
        fitted("kling-v3-turbo-pro-text", negative_prompt="a")


def test_not_strict_leaves_out_and_notes() -> None:
    """Capability errors become notes; shape errors still raise."""
    request = GenerationRequest(
        "x", model="kling-v2.6-pro-text", parameters={"sparkle": 1, "duration": 5}
    )
    loose = fit(request, catalog("kling"), strict=False)
    assert "sparkle" in loose.notes[0]
    assert loose.parameters == {"duration": 5}
    wrong = dataclasses.replace(request, parameters={"duration": 7})
    with pytest.raises(UnsupportedParameter):
        fit(wrong, catalog("kling"), strict=False)


def test_vendor_fields_are_kept_apart() -> None:
    """Only the chosen provider's block is passed on."""
    parameters = {"fal": {"seed": 1}, "kling": {"settings": {"seed": 2}}}
    assert fitted("kling-v2-6", "fal", parameters=parameters).vendor == {"seed": 1}
    assert fitted("kling-v2-6", parameters=parameters).vendor == {"settings": {"seed": 2}}


def test_prompts_have_limits() -> None:
    """Empty where one is needed, and too long."""
    with pytest.raises(RequestError, match="prompt"):
        fitted("kling-v2.6-pro-text", prompt="  ")
    with pytest.raises(RequestError, match="2500"):
        fitted("kling-v2.6-pro-text", prompt="x" * 2501)


def test_the_generation_type_is_checked() -> None:
    """A text model asked for image-to-video is refused."""
    with pytest.raises(RequestError, match="generation_type"):
        fitted("kling-v2.6-pro-text", generation_type="image-to-video")
    assert fitted("kling-v2.6-pro-text", generation_type="video").card.task == "text-to-video"
