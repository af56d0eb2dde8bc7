"""Conversion: pictures that a vendor would refuse are made to fit, and the job says so.

Nothing is invented: a picture that is too small, or too long and narrow, is refused instead.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from onetake.assets import LoadedAsset
from onetake.catalog import InputSlot
from onetake.errors import AssetError

if TYPE_CHECKING:
    from PIL import Image

_QUALITIES = (92, 85, 75)
_SCALES = (1.0, 0.75, 0.5, 0.35)


def ratio_of(text: str) -> float:
    """Return width to height of a ratio such as ``16:9``.

    Raises:
        ValueError: it is none.
    """
    width, _, height = text.partition(":")
    return float(width) / float(height)


def same_ratio(width: int, height: int, wanted: float) -> bool:
    """Say whether a picture has a ratio, to within a pixel or two in a hundred."""
    return abs(width / height / wanted - 1) < 0.02


def adapt(asset: LoadedAsset, slot: InputSlot) -> tuple[LoadedAsset, str | None]:
    """Return a picture as its slot takes it, and a note if it had to be changed."""
    if asset.data is None or asset.kind != "image" or asset.width is None:
        return asset, None
    wrong = _wrong(asset, slot)
    if not wrong:
        return asset, None
    changed = _rewritten(asset, slot)
    return changed, (
        f"{asset.name} was {wrong} ({asset.media_type}, {asset.width}×{asset.height}, "
        f"{len(asset.data):,} bytes → {changed.media_type}, {changed.width}×{changed.height}, "
        f"{len(changed.data or b''):,} bytes)."
    )


def _wrong(asset: LoadedAsset, slot: InputSlot) -> str:
    assert asset.data is not None
    if slot.formats and asset.media_type not in slot.formats:
        return "converted"
    if slot.max_bytes and len(asset.data) > slot.max_bytes:
        return "compressed"
    if slot.max_side and max(asset.width or 0, asset.height or 0) > slot.max_side:
        return "scaled down"
    return ""


def cropped(asset: LoadedAsset, ratio: float) -> LoadedAsset:
    """Return the largest part of a picture's middle that has a ratio."""
    picture = _opened(asset)
    width, height = picture.size
    wide = min(width, round(height * ratio))
    high = min(height, round(width / ratio))
    left, top = (width - wide) // 2, (height - high) // 2
    kind = "PNG" if asset.media_type == "image/png" else "JPEG"
    return _saved(asset, picture.crop((left, top, left + wide, top + high)), kind, _QUALITIES[0])


def _rewritten(asset: LoadedAsset, slot: InputSlot) -> LoadedAsset:
    """Write a picture anew: losslessly if that is small enough, else as a good JPEG."""
    picture = _opened(asset)
    if slot.max_side:
        picture.thumbnail((slot.max_side, slot.max_side))
    limit = slot.max_bytes or len(asset.data or b"") * 20
    png = not slot.formats or "image/png" in slot.formats
    if png and asset.media_type not in ("image/jpeg", "image/heic", "image/heif"):
        lossless = _saved(asset, picture, "PNG", 0)
        if len(lossless.data or b"") <= limit:
            return lossless
    for scale in _SCALES:
        size = (round(picture.width * scale), round(picture.height * scale))
        for quality in _QUALITIES:
            smaller = _saved(asset, picture.resize(size), "JPEG", quality)
            if len(smaller.data or b"") <= limit:
                return smaller
    raise AssetError(f"{asset.name}: it cannot be made smaller than {limit:,} bytes.")


def _opened(asset: LoadedAsset) -> Image.Image:
    from PIL import Image, ImageOps

    assert asset.data is not None
    with Image.open(io.BytesIO(asset.data)) as picture:
        upright = ImageOps.exif_transpose(picture)
        mode = (
            "RGBA"
            if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
            else "RGB"
        )
        return upright.convert(mode)


def _saved(asset: LoadedAsset, picture: Image.Image, kind: str, quality: int) -> LoadedAsset:
    from PIL import Image

    buffer = io.BytesIO()
    if kind == "JPEG":
        if picture.mode == "RGBA":  # JPEG has no transparency: on white, as a page shows it
            ground = Image.new("RGB", picture.size, "white")
            ground.paste(picture, mask=picture.getchannel("A"))
            picture = ground
        picture.save(buffer, kind, quality=quality)
    else:
        picture.save(buffer, kind)
    data = buffer.getvalue()
    return replace(
        asset,
        data=data,
        media_type=f"image/{kind.lower()}",
        name=PurePath(asset.name).with_suffix(".jpg" if kind == "JPEG" else ".png").name,
        sha256=hashlib.sha256(data).hexdigest(),
        width=picture.width,
        height=picture.height,
    )
