"""Filling a model's input slots with the caller's files, and checking them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onetake.assets import UNTOLD, Asset, LoadedAsset, load
from onetake.catalog import Catalog, InputSlot, ModelCard
from onetake.conversion import adapt
from onetake.errors import AssetError
from onetake.placing import is_place

ROLE_SYNONYMS = {
    "start": "first_frame",
    "end": "last_frame",
    "human": "person",
    "cloth": "garment",
    "subject": "reference",
}
"""Other words for a role."""

KINDS = ("image", "video", "audio")
"""Words that name no particular slot, only the kind of file."""


def role_word(asset: Asset) -> str | None:
    """Return the role that an asset names; None if it names none, or only its kind."""
    role = ROLE_SYNONYMS.get(asset.role or "", asset.role)
    return None if role in KINDS else role


def fill_slots(
    card: ModelCard, assets: Sequence[Asset], load_assets: bool, notes: list[str]
) -> tuple[LoadedAsset, ...]:
    """Read the files and give each the slot that it names, or the first free one of its kind.

    A picture that the vendor would refuse for its format or size is converted, with a note.

    Raises:
        AssetError: a file is unreadable, has no place, or breaks a limit; a slot stays empty.
    """
    if not load_assets:
        return ()
    filled: list[LoadedAsset] = []
    for asset in assets:
        placed = is_place(asset.role)
        loaded = load(asset, any_kind=placed or not card.catalogued or _takes_any(card))
        if placed:
            filled.append(loaded)
            continue
        role = _role_of(card, loaded, filled)
        if card.catalogued:
            slot = card.inputs[role]
            loaded, note = adapt(_of_kind(loaded, slot), slot)
            notes.extend([note] if note else [])
            check_asset(card, replace(loaded, role=role), slot)
        filled.append(replace(loaded, role=role))
    return tuple(filled)


def _takes_any(card: ModelCard) -> bool:
    return any(slot.kind == "file" for slot in card.inputs.values())


def check_filled(card: ModelCard, filled: Sequence[LoadedAsset]) -> None:
    """Check that every slot that must be filled is.

    Raises:
        AssetError: naming the slot.
    """
    for role, slot in card.inputs.items():
        given = sum(item.role == role for item in filled)
        if (slot.required and not given) or (given and given < slot.min_count):
            wanted = _a(slot.kind) if slot.min_count < 2 else f"{slot.min_count} {slot.kind}s"
            raise AssetError(
                f"{role}: {card.name} needs {wanted} there.",
                provider=card.provider,
                hint=f"Give one, for example with `-a {role}=FILE`.",
            )


def _of_kind(asset: LoadedAsset, slot: InputSlot) -> LoadedAsset:
    """Of a file that only the vendor has, or whose URL tells no kind, the slot tells it."""
    untold = asset.vendor_id is not None or asset.media_type == UNTOLD
    return replace(asset, kind=slot.kind) if untold and slot.kind != "file" else asset


def _role_of(card: ModelCard, asset: LoadedAsset, filled: Sequence[LoadedAsset]) -> str:
    role = ROLE_SYNONYMS.get(asset.role or "", asset.role)
    if role is not None and role in card.inputs and _room(card.inputs[role], role, filled):
        return role
    if role is not None and (role not in KINDS or role in card.inputs):
        if not card.catalogued:
            return role
        raise AssetError(
            f"{asset.role}: {card.name} has no free slot of that name; it has "
            f"{', '.join(card.inputs) or 'none'}.",
            provider=card.provider,
        )
    for name, slot in card.inputs.items():
        if slot.kind in (role or asset.kind, "file") and _room(slot, name, filled):
            return name
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


def check_asset(card: ModelCard, asset: LoadedAsset, slot: InputSlot) -> None:
    """Check a file against its slot.

    Raises:
        AssetError: naming the file, what is wrong, and what is allowed.
    """
    where = f"{asset.role}: {asset.name}"
    if slot.kind not in (asset.kind, "file"):
        raise AssetError(f"{where} is {asset.kind}, {card.name} takes {_a(slot.kind)} there.")
    if asset.vendor_id is not None and "id" not in slot.takes:
        raise AssetError(f"{where}: {card.name} takes no file by the vendor's id there.")
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
    _check_length(where, card.name, asset, slot)


def _check_pixels(where: str, model: str, asset: LoadedAsset, slot: InputSlot) -> None:
    if not asset.width or not asset.height:
        return
    size = f"{asset.width}×{asset.height} pixels"
    if slot.min_side and min(asset.width, asset.height) < slot.min_side:
        raise AssetError(
            f"{where} has {size}; {model} wants {slot.min_side} on each side at least."
        )
    if slot.max_side and max(asset.width, asset.height) > slot.max_side:
        raise AssetError(f"{where} has {size}; {model} takes {slot.max_side} on a side at most.")
    if slot.max_area and asset.width * asset.height > slot.max_area:
        raise AssetError(f"{where} has {size}; {model} takes {slot.max_area:,} in all at most.")
    ratio = max(asset.width, asset.height) / min(asset.width, asset.height)
    if slot.max_ratio and ratio > slot.max_ratio:
        raise AssetError(
            f"{where} has {size}, a ratio of {ratio:.2f}; {model} takes {slot.max_ratio:g} at most."
        )


_LEEWAY = 0.25
"""Seconds: files are a few frames longer or shorter than their makers say."""


def _check_length(where: str, model: str, asset: LoadedAsset, slot: InputSlot) -> None:
    if asset.seconds is None:
        return
    low, high = slot.min_seconds or 0.0, slot.max_seconds or float("inf")
    if not low - _LEEWAY <= asset.seconds <= high + _LEEWAY:
        allowed = f"{low:g} to {high:g}" if slot.max_seconds else f"at least {low:g}"
        raise AssetError(f"{where} lasts {asset.seconds:.1f} s; {model} takes {allowed} s.")
    slow, fast = slot.min_fps or 0.0, slot.max_fps or float("inf")
    if asset.fps is not None and not slow - 0.1 <= asset.fps <= fast + 0.1:
        raise AssetError(
            f"{where} has {asset.fps:.1f} frames a second; {model} takes {slow:g} to {fast:g}."
        )


def sibling_hint(catalog: Catalog, card: ModelCard, assets: Sequence[Asset]) -> str | None:
    """Name a model of the same family that has room for so many files."""
    for other in catalog.cards:
        room = sum(slot.count for slot in other.inputs.values())
        related = other.family == card.family and other.task == card.task and other is not card
        if related and room >= len(assets) > sum(slot.count for slot in card.inputs.values()):
            return f"{other.name} takes {', '.join(other.inputs)}; its price differs."
    return None
