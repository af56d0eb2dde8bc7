"""Files that stand in parameters and in the vendor's own fields instead of among the assets.

``parameters={"garment_image_url": "coat.jpg"}`` means the slot that this field is; a local file
anywhere inside the vendor's block is read, too, and its URL put in its place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onetake.assets import Asset
from onetake.catalog import ModelCard

PLACE = "fields/"
"""Beginning of the role of a file that stands in a field of the vendor's: ``fields/a/0/b_url``."""

_FILE = re.compile(r".*\.\w{2,5}", re.DOTALL)


def is_place(role: str | None) -> bool:
    """Say whether a role names a place in the vendor's fields."""
    return (role or "").startswith(PLACE)


def path_of(role: str) -> list[str]:
    """Return the steps to a place; they are written as in JSON Pointer (RFC 6901)."""
    steps = role.removeprefix(PLACE).split("/")
    return [step.replace("~1", "/").replace("~0", "~") for step in steps]


def take_files(
    card: ModelCard,
    parameters: dict[str, Any],
    vendor: dict[str, Any],
    assets: list[Asset],
    endings: Sequence[str],
) -> None:
    """Move files out of parameters and vendor fields, to the assets.

    Args:
        card: the model; its slots and their fields are known by name.
        parameters: neutral parameters; a slot's, or its field's, becomes an asset of that role.
        vendor: the vendor's own fields; local files in fields that end so leave a gap.
        assets: where they go.
        endings: of names of fields that hold the URL of a file.
    """
    for role in card.inputs:
        for name in {role, str(card.wire.get(role, role))} & parameters.keys():
            value = parameters.pop(name)
            items = value if isinstance(value, list | tuple) else [value]
            assets.extend(Asset(item, role=role) for item in items)
    if not endings:
        return
    for holder in (parameters, vendor):
        for name, value in holder.items():
            if name == "callback_url":
                continue  # an address, not a file
            holder[name] = _without_files(value, name, _step(name), assets, tuple(endings))


def _without_files(
    value: Any, name: str, place: str, assets: list[Asset], endings: tuple[str, ...]
) -> Any:
    if isinstance(value, Mapping):
        return {
            str(key): _without_files(item, str(key), f"{place}/{_step(key)}", assets, endings)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            _without_files(item, name, f"{place}/{number}", assets, endings)
            for number, item in enumerate(value)
        ]
    if name.endswith(endings) and _is_local(value):
        assets.append(Asset(value, role=f"{PLACE}{place}"))
        return None
    return value


def _step(key: object) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def _is_local(value: Any) -> bool:
    """Text is a local file if it is one, or ends like one and is no URL; else the vendor's word."""
    if isinstance(value, str):
        if not value or "://" in value or value.startswith("data:"):
            return value.startswith("file://")
        return bool(_FILE.fullmatch(value)) or Path(value).expanduser().is_file()
    return isinstance(value, bytes | os.PathLike) or hasattr(value, "read")
