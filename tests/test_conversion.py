"""Pictures that a vendor would refuse: converted with a note, or refused with a reason."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
from PIL import Image

from onetake import Asset, GenerationRequest, UnsupportedParameter
from onetake.assets import load
from onetake.catalog import InputSlot
from onetake.conversion import adapt
from onetake.errors import AssetError
from onetake.fitting import FittedRequest, fit
from onetake.plugins import catalog


def picture(kind: str, size: tuple[int, int] = (640, 480), mode: str = "RGB") -> bytes:
    """Return a picture of a kind."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def fitted(data: bytes, name: str, **parameters: Any) -> FittedRequest:
    """Fit a picture to Kling's first frame: JPEG or PNG, 50 MB."""
    asset = Asset(data, role="first_frame", name=name)
    request = GenerationRequest("x", None, "kling-v3-pro-image", parameters, [asset])
    return fit(request, catalog("kling"))


@pytest.mark.parametrize("kind", ["WEBP", "BMP", "GIF", "TIFF"])
def test_other_kinds_become_png(kind: str) -> None:
    """Losslessly, with a note that says from what to what."""
    if kind == "TIFF":
        with pytest.raises(AssetError, match="not a picture"):
            fitted(picture(kind), "a.tiff")
        return
    found = fitted(picture(kind), f"a.{kind.lower()}")
    asset = found.assets[0]
    assert (asset.media_type, asset.name) == ("image/png", "a.png")
    assert (asset.width, asset.height) == (640, 480)
    assert asset.data is not None
    assert Image.open(io.BytesIO(asset.data)).size == (640, 480)
    assert any("was converted" in note and "image/png" in note for note in found.notes)


def test_a_heic_becomes_a_jpeg() -> None:
    """With the extra; without it the message names the extra."""
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    found = fitted(picture("HEIF"), "a.heic")
    assert found.assets[0].media_type == "image/jpeg"
    assert found.assets[0].name == "a.jpg"


def test_a_picture_over_the_limit_is_compressed_then_scaled() -> None:
    """As little as is needed; a transparent one stands on white where JPEG must do."""
    noise = random.Random(1).randbytes(600 * 600 * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (600, 600), noise).save(buffer, "PNG")
    loaded = load(Asset(buffer.getvalue(), name="noise.png"))
    formats = ("image/jpeg", "image/png")
    small, note = adapt(loaded, InputSlot(kind="image", formats=formats, max_bytes=400_000))
    assert small.data is not None
    assert len(small.data) <= 400_000
    assert small.media_type == "image/jpeg"
    assert note is not None
    assert "compressed" in note
    tiny, _ = adapt(loaded, InputSlot(kind="image", formats=formats, max_bytes=60_000))
    assert tiny.data is not None
    assert len(tiny.data) <= 60_000
    assert (tiny.width or 600) < 600
    with pytest.raises(AssetError, match="cannot be made smaller"):
        adapt(loaded, InputSlot(kind="image", formats=formats, max_bytes=100))


def test_a_transparent_picture_keeps_its_look() -> None:
    """PNG stays PNG; on JPEG the ground is white."""
    buffer = io.BytesIO()
    Image.new("RGBA", (400, 400), (255, 0, 0, 0)).save(buffer, "WEBP")
    loaded = load(Asset(buffer.getvalue(), name="clear.webp"))
    png, _ = adapt(loaded, InputSlot(kind="image", formats=("image/png",)))
    assert Image.open(io.BytesIO(png.data or b"")).mode == "RGBA"
    jpeg, _ = adapt(loaded, InputSlot(kind="image", formats=("image/jpeg",)))
    assert Image.open(io.BytesIO(jpeg.data or b"")).getpixel((5, 5)) == (255, 255, 255)


def test_what_fits_is_left_as_it_is() -> None:
    """Not one byte is changed, and nothing is noted."""
    data = picture("JPEG")
    found = fitted(data, "a.jpg")
    assert found.assets[0].data == data
    assert found.notes == ()


def test_a_large_side_is_scaled_down() -> None:
    """Where the vendor states one."""
    loaded = load(Asset(picture("JPEG", (3000, 1500)), name="wide.jpg"))
    slot = InputSlot(kind="image", formats=("image/jpeg",), max_side=2048)
    smaller, note = adapt(loaded, slot)
    assert (smaller.width, smaller.height) == (2048, 1024)
    assert note is not None
    assert "scaled down" in note


def test_a_ratio_is_the_pictures_or_is_cut_on_request() -> None:
    """Fine with a note if the picture has it; refused if not; cut with crop=center."""
    same = fitted(picture("JPEG", (1280, 720)), "a.jpg", aspect_ratio="16:9")
    assert "aspect_ratio" not in same.parameters
    assert "which has it" in same.notes[0]
    with pytest.raises(UnsupportedParameter, match="follows the picture") as caught:
        fitted(picture("JPEG", (800, 800)), "a.jpg", aspect_ratio="16:9")
    assert "crop=center" in str(caught.value)
    cut = fitted(picture("JPEG", (800, 800)), "a.jpg", aspect_ratio="16:9", crop="center")
    assert (cut.assets[0].width, cut.assets[0].height) == (800, 450)
    assert "was cropped" in cut.notes[0]
    for bad in ({"aspect_ratio": "wide"}, {"aspect_ratio": "16:0"}, {"crop": "left"}):
        with pytest.raises(UnsupportedParameter):
            fitted(picture("JPEG"), "a.jpg", **bad)


def test_videos_and_sounds_are_measured() -> None:
    """Their length is checked before anything is paid; what is broken is told."""
    with pytest.raises(AssetError, match="cannot be read as video or sound"):
        load(Asset(b"\x00\x00\x00\x18ftypmp42" + bytes(100), name="bad.mp4"))
    with pytest.raises(AssetError, match="behind the colon"):
        load(Asset("id:"))
    assert load(Asset("id:123")).vendor_id == "123"
