"""Bodies of the new API: ``contents``, ``settings``, ``options``.

Facts: vendor pages of 2026-09-20. The names that a prompt uses (``@image_1``) are the ids of the
items; they number pictures, elements, videos and voices, each from 1.
"""

from __future__ import annotations

from typing import Any

from onetake.errors import UnsupportedParameter
from onetake.mentions import with_at
from onetake_kling.wire import shots
from onetake_kling.wire.sheet import Sheet

PICTURES = {"first_frame": "first_frame", "last_frame": "last_frame", "reference": "refer_image"}
"""Roles of pictures and their types, in the order in which a prompt numbers them."""


def path(sheet: Sheet) -> str:
    """Return the path of a create."""
    name = str(sheet.wire["new"])
    return name if name.startswith("/") else f"/{sheet.request.card.task}/{name}"


def body(sheet: Sheet) -> dict[str, Any]:
    """Return the whole body."""
    takes = shots.checked(sheet)
    prompt = with_at(sheet.request.prompt) if takes is None else shots.as_prompt(sheet, takes)
    written: dict[str, Any] = {}
    if path(sheet).startswith("/text-to-video/"):
        written["prompt"] = prompt
    else:
        contents = [{"type": "prompt", "text": prompt}] if prompt.strip() else []
        written["contents"] = [*contents, *_contents(sheet)]
    written["settings"] = _settings(sheet, several=takes is not None)
    written["options"] = options(sheet)
    return written


def options(sheet: Sheet) -> dict[str, Any]:
    """Return the part that is the same everywhere."""
    written: dict[str, Any] = {"external_task_id": sheet.job_id}
    if sheet.given("callback_url") is not None:
        written["callback_url"] = sheet.given("callback_url")
    if sheet.given("watermark") is not None:
        written["watermark_info"] = {"enabled": sheet.given("watermark")}
    return written


def _contents(sheet: Sheet) -> list[dict[str, Any]]:
    family = path(sheet).split("/")[1]
    if family == "motion-control":
        return _motion(sheet)
    named = family == "omni-video"
    if named:
        _check_omni(sheet)
    items = _pictures(sheet, named=named)
    if "video" in sheet.wire and sheet.first("video") is not None:
        kind = f"{sheet.wire['video']}_video"
        items.append({"type": kind, "url": sheet.sent("video"), "id": "video_1"})
    return [*items, *_things(sheet, "element"), *_things(sheet, "voice")]


def _pictures(sheet: Sheet, *, named: bool) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for role, kind in PICTURES.items():
        for picture in sheet.all(role):
            item = {"type": kind, "url": picture.value}
            items.append({**item, "id": f"image_{len(items) + 1}"} if named else item)
    return items


def _things(sheet: Sheet, kind: str) -> list[dict[str, Any]]:
    """Elements and voices, by the vendor's ids."""
    ids = sheet.given(f"{kind}s") or ()
    return [
        {"type": kind, f"{kind}_id": item, "id": f"{kind}_{number}"}
        for number, item in enumerate(ids, start=1)
    ]


def _motion(sheet: Sheet) -> list[dict[str, Any]]:
    items = [
        {"type": "image", "url": sheet.sent("reference")},
        {"type": "video", "url": sheet.sent("video")},
    ]
    return [*items, *_things(sheet, "element")]


def _check_omni(sheet: Sheet) -> None:
    """Count what references one request may hold (one source, 2026-09-20).

    Raises:
        UnsupportedParameter: too many.
    """
    pictures = sum(len(sheet.all(role)) for role in PICTURES)
    elements = len(sheet.given("elements") or ())
    most = 4 if sheet.first("video") is not None else 7
    if pictures + elements > most:
        raise UnsupportedParameter(
            f"reference: {pictures} pictures and {elements} elements; "
            f"{sheet.request.card.name} takes {most} together.",
            provider="kling",
        )
    both = sheet.first("first_frame") is not None and sheet.first("last_frame") is not None
    if both and elements and sheet.request.card.family == "o1":
        raise UnsupportedParameter(
            f"elements: {sheet.request.card.name} takes none with a first and a last frame.",
            provider="kling",
        )


def _settings(sheet: Sheet, *, several: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {"resolution": sheet.request.card.resolution}
    if sheet.given("orientation") is not None:
        settings["character_orientation"] = sheet.given("orientation")
    for name in ("aspect_ratio", "duration"):
        if sheet.given(name) is not None:
            settings[name] = sheet.given(name)
    needs_ratio = path(sheet).startswith("/omni-video/") and sheet.first("first_frame") is None
    if needs_ratio and sheet.wire.get("video") != "base":
        settings.setdefault("aspect_ratio", "16:9")
    sound = _sound(sheet)
    if sound is not None:
        settings["audio"] = sound
    if several:
        settings["multi_shot"] = True
    elif sheet.wire.get("video") == "base" and sheet.request.card.family == "o3":
        settings["multi_shot"] = False  # its default is true, and an edited video has one shot
    return settings


def _sound(sheet: Sheet) -> str | None:
    if sheet.given("audio") is not None:
        return "native" if sheet.given("audio") else "off"
    if sheet.given("keep_original_sound") is not None:
        return "original" if sheet.given("keep_original_sound") else "off"
    return None
