"""Filling a model's input slots with the caller's files, and checking them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onetake.assets import Asset, LoadedAsset, load
from onetake.catalog import Catalog, InputSlot, ModelCard
from onetake.errors import AssetError

ROLE_SYNONYMS = {"image": "first_frame", "start": "first_frame", "end": "last_frame"}
"""Other words for a role."""


def fill_slots(
    card: ModelCard, assets: Sequence[Asset], load_assets: bool
) -> tuple[LoadedAsset, ...]:
    """Read the files and give each the slot that it names, or the first free one of its kind.

    Raises:
        AssetError: a file is unreadable, has no place, or breaks a limit; a slot stays empty.
    """
    if not load_assets:
        return ()
    filled: list[LoadedAsset] = []
    for asset in assets:
        loaded = load(asset)
        role = _role_of(card, loaded, filled)
        filled.append(_with_role(loaded, role))
        if card.catalogued:
            check_asset(card, filled[-1], card.inputs[role])
    for role, slot in card.inputs.items():
        if slot.required and not any(item.role == role for item in filled):
            raise AssetError(
                f"{role}: {card.name} needs {_a(slot.kind)} there.",
                provider=card.provider,
                hint=f"Give one, for example with `-a {role}=FILE`.",
            )
    return tuple(filled)


def _role_of(card: ModelCard, asset: LoadedAsset, filled: Sequence[LoadedAsset]) -> str:
    if asset.role is not None:
        role = ROLE_SYNONYMS.get(asset.role, asset.role)
        if not card.catalogued:
            return asset.role
        if role in card.inputs and _room(card.inputs[role], role, filled):
            return role
        raise AssetError(
            f"{asset.role}: {card.name} has no free slot of that name; it has "
            f"{', '.join(card.inputs) or 'none'}.",
            provider=card.provider,
        )
    for role, slot in card.inputs.items():
        if slot.kind == asset.kind and _room(slot, role, filled):
            return role
    if not card.catalogued:
        return {"image": "first_frame"}.get(asset.kind, asset.kind)
    raise AssetError(
        f"{asset.name}: {card.name} has no place for this {asset.kind}; it takes "
        f"{', '.join(card.inputs) or 'no files'}.",
        provider=card.provider,
    )


def _room(slot: InputSlot, role: str, filled: Sequence[LoadedAsset]) -> bool:
    return sum(item.role == role for item in filled) < slot.count


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "ai" else f"a {kind}"


def _with_role(asset: LoadedAsset, role: str) -> LoadedAsset:
    return replace(asset, role=role)


def check_asset(card: ModelCard, asset: LoadedAsset, slot: InputSlot) -> None:
    """Check a file against its slot.

    Raises:
        AssetError: naming the file, what is wrong, and what is allowed.
    """
    where = f"{asset.role}: {asset.name}"
    if asset.kind != slot.kind:
        raise AssetError(f"{where} is {asset.kind}, {card.name} takes {_a(slot.kind)} there.")
    if asset.data is None:
        return
    if slot.formats and asset.media_type not in slot.formats:
        allowed = ", ".join(item.partition("/")[2].upper() for item in slot.formats)
        raise AssetError(f"{where} is {asset.media_type}; {card.name} takes {allowed}.")
    if slot.max_bytes and len(asset.data) > slot.max_bytes:
        raise AssetError(
            f"{where} has {len(asset.data):,} bytes; {card.name} takes {slot.max_bytes:,}."
        )
    _check_pixels(where, card.name, asset, slot)


def _check_pixels(where: str, model: str, asset: LoadedAsset, slot: InputSlot) -> None:
    if not asset.width or not asset.height:
        return
    size = f"{asset.width}×{asset.height} pixels"
    if slot.min_side and min(asset.width, asset.height) < slot.min_side:
        raise AssetError(
            f"{where} has {size}; {model} wants {slot.min_side} on each side at least."
        )
    ratio = max(asset.width, asset.height) / min(asset.width, asset.height)
    if slot.max_ratio and ratio > slot.max_ratio:
        raise AssetError(
            f"{where} has {size}, a ratio of {ratio:.2f}; {model} takes {slot.max_ratio:g} at most."
        )


def sibling_hint(catalog: Catalog, card: ModelCard, assets: Sequence[Asset]) -> str | None:
    """Name a model of the same family that has room for so many files."""
    for other in catalog.cards:
        room = sum(slot.count for slot in other.inputs.values())
        related = other.family == card.family and other.task == card.task and other is not card
        if related and room >= len(assets) > sum(slot.count for slot in card.inputs.values()):
            return f"{other.name} takes {', '.join(other.inputs)}; its price differs."
    return None
