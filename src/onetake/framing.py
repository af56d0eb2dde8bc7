"""Framing: a model that follows its picture, and a caller who asks for an aspect ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onetake.assets import LoadedAsset
from onetake.catalog import ModelCard
from onetake.conversion import cropped, ratio_of, same_ratio
from onetake.errors import UnsupportedParameter
from onetake.filling import check_asset

FRAMING = ("aspect_ratio", "crop")
"""Wishes that a model which follows its picture can fulfil by way of the picture."""


def follow_picture(
    card: ModelCard,
    parameters: Mapping[str, Any],
    assets: Sequence[LoadedAsset],
    notes: list[str],
    files_known: bool,
) -> tuple[dict[str, Any], tuple[LoadedAsset, ...]]:
    """Return parameters and files without the wish for a ratio: met already, or by cropping.

    Raises:
        UnsupportedParameter: the picture has another ratio, and nobody said to crop it.
    """
    left = {name: value for name, value in parameters.items() if name not in FRAMING}
    wanted = parameters.get("aspect_ratio")
    if not card.aspect_from_image or not files_known:
        return (left if card.aspect_from_image else dict(parameters)), tuple(assets)
    crop = parameters.get("crop")
    if crop not in (None, "center"):
        raise UnsupportedParameter(f"crop: {crop!r} is not center.", provider=card.provider)
    if wanted is None:
        return left, tuple(assets)
    ratio = _ratio(card, wanted)
    return left, tuple(_framed(card, item, wanted, ratio, crop, notes) for item in assets)


def _ratio(card: ModelCard, wanted: Any) -> float:
    try:
        ratio = ratio_of(str(wanted))
    except (ValueError, ZeroDivisionError):
        ratio = 0.0
    if not 0.01 < ratio < 100:
        message = f"aspect_ratio: {wanted!r} is not a ratio such as 16:9."
        raise UnsupportedParameter(message, provider=card.provider)
    return ratio


def _framed(
    card: ModelCard,
    asset: LoadedAsset,
    wanted: Any,
    ratio: float,
    crop: str | None,
    notes: list[str],
) -> LoadedAsset:
    if asset.kind != "image":
        return asset
    if asset.width and asset.height and same_ratio(asset.width, asset.height, ratio):
        notes.append(f"aspect_ratio={wanted}: {card.name} follows {asset.name}, which has it.")
        return asset
    if crop is None or not asset.width:
        shape = f"has {asset.width}×{asset.height} pixels" if asset.width else "is not here to see"
        raise UnsupportedParameter(
            f"aspect_ratio: {card.name} follows the picture, and {asset.name} {shape}.",
            hint=f"Crop the picture to {wanted}, or ask for it with crop=center.",
            provider=card.provider,
        )
    smaller = cropped(asset, ratio)
    check_asset(card, smaller, card.inputs[str(asset.role)])
    notes.append(f"{asset.name} was cropped to {smaller.width}×{smaller.height} for {wanted}.")
    return smaller
