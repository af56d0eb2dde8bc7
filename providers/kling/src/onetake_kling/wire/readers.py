"""Readers: how a field of the old API is read off a request; None leaves the field out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from onetake.errors import UnsupportedParameter
from onetake.mentions import in_brackets
from onetake_kling.wire import shots
from onetake_kling.wire.sheet import Sheet

Reader = Callable[[Sheet], Any]
"""Reads a field's value off a request."""


def model(sheet: Sheet) -> Any:
    """Return the model as the old API names it."""
    return sheet.wire["legacy"]


def mode(sheet: Sheet) -> Any:
    """Return the mode."""
    return sheet.wire.get("mode")


def prompt(sheet: Sheet) -> Any:
    """Return the prompt; shots have their own."""
    return "" if sheet.given("shots") is not None else in_brackets(sheet.request.prompt)


def prompt_if_any(sheet: Sheet) -> Any:
    """Return the prompt, where it may be left out."""
    return in_brackets(sheet.request.prompt) or None


def negative(sheet: Sheet) -> Any:
    """Return what to avoid."""
    return sheet.request.negative_prompt or None


def given(name: str, write: Callable[[Any], Any] = lambda value: value) -> Reader:
    """Return a reader of a parameter."""

    def read(sheet: Sheet) -> Any:
        value = sheet.given(name)
        return None if value is None else write(value)

    return read


def sent(role: str) -> Reader:
    """Return a reader of a file as it is sent."""
    return lambda sheet: sheet.sent(role)


def id_of(role: str) -> Reader:
    """Return a reader of the vendor's id of a file."""
    return lambda sheet: sheet.vendor_id(role)


def each(role: str, key: str) -> Reader:
    """Return a reader of all files of a role, each as an object."""
    return lambda sheet: [{key: item.value} for item in sheet.all(role)] or None


def things(kind: str, write: Callable[[str], Any] = str) -> Reader:
    """Return a reader of elements or voices."""

    def read(sheet: Sheet) -> Any:
        ids = sheet.given(f"{kind}s")
        return None if ids is None else [{f"{kind}_id": write(item)} for item in ids]

    return read


def number(text: str) -> Any:
    """Elements are numbers in the old API, and text in the new one."""
    return int(text) if text.isdigit() else text


def fact(step: str, name: str) -> Reader:
    """Return a reader of what an earlier step told."""
    return lambda sheet: sheet.fact(step, name)


def switch(yes: str, no: str) -> Callable[[Any], str]:
    """Return a function from a switch to two words."""
    return lambda value: yes if value else no


def takes(sheet: Sheet) -> Any:
    """Return the shots."""
    found = shots.checked(sheet)
    return None if found is None else shots.as_fields(found)


def several(value: Any) -> Reader:
    """Return a reader of a value that stands beside shots."""
    return lambda sheet: None if sheet.given("shots") is None else value


def masks(sheet: Sheet) -> Any:
    """Return masks with their trajectories."""
    masks, paths = sheet.all("mask"), sheet.given("trajectories")
    if not masks:
        return None
    if not isinstance(paths, list) or len(paths) != len(masks):
        raise UnsupportedParameter(
            f"trajectories: one is needed for each of the {len(masks)} masks.", provider="kling"
        )
    return [
        {"mask": mask.value, "trajectories": _trajectory(number, points)}
        for number, (mask, points) in enumerate(zip(masks, paths, strict=True), start=1)
    ]


def _trajectory(number: int, points: Any) -> list[dict[str, int]]:
    listed = points if isinstance(points, list | tuple) else []
    pairs = [_pair(point) for point in listed]
    if None in pairs or not 2 <= len(pairs) <= 77:
        raise UnsupportedParameter(
            f"trajectories: the one of mask {number} is not a list of 2 to 77 pairs of pixels.",
            provider="kling",
        )
    return [{"x": pair[0], "y": pair[1]} for pair in pairs if pair is not None]


def _pair(point: Any) -> tuple[int, int] | None:
    if isinstance(point, Mapping):
        point = (point.get("x"), point.get("y"))
    if not isinstance(point, list | tuple) or len(point) != 2:
        return None
    x, y = point
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in point)
    return (x, y) if whole else None


def omni_pictures(sheet: Sheet) -> Any:
    """Return pictures with what they are."""
    kinds = {"first_frame": "first_frame", "last_frame": "end_frame", "reference": None}
    items = [
        {"image_url": item.value, **({"type": kind} if kind else {})}
        for role, kind in kinds.items()
        for item in sheet.all(role)
    ]
    return items or None


def omni_video(sheet: Sheet) -> Any:
    """Return the given video."""
    if sheet.first("video") is None:
        return None
    item = {"video_url": sheet.sent("video"), "refer_type": sheet.wire["video"]}
    if sheet.given("keep_original_sound") is not None:
        item["keep_original_sound"] = "yes" if sheet.given("keep_original_sound") else "no"
    return [item]


def omni_ratio(sheet: Sheet) -> Any:
    """Needed where there is neither a first frame nor a video that is edited (2026-02-10)."""
    if sheet.first("first_frame") is not None or sheet.wire.get("video") == "base":
        return None
    return sheet.given("aspect_ratio") or "16:9"


def effect_input(sheet: Sheet) -> Any:
    """Return one picture, or two."""
    pictures = [item.value for item in sheet.all("reference")]
    return {"image": pictures[0]} if len(pictures) == 1 else {"images": pictures}


def expansion(side: str) -> Reader:
    """Return a reader of how far one side is expanded."""

    def read(sheet: Sheet) -> Any:
        wanted = sheet.given("expand")
        unknown = sorted(set(wanted) - {"up", "down", "left", "right"})
        numbers = {name: wanted.get(name, 0) for name in ("up", "down", "left", "right")}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2:
                raise _expand_refusal(f"{name} is {value!r}, not a number from 0 to 2.")
        area = (1 + numbers["up"] + numbers["down"]) * (1 + numbers["left"] + numbers["right"])
        if unknown:
            raise _expand_refusal(f"{', '.join(unknown)} is no side.")
        if area > 3 or area == 1:
            raise _expand_refusal(f"{area:.2f} times the area.")
        return numbers[side]

    return read


def _expand_refusal(why: str) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"expand: {why} It takes up, down, left and right, and three times the area at most.",
        provider="kling",
    )


def series(sheet: Sheet) -> Any:
    """Return the number of pictures of a series."""
    amount = sheet.given("series")
    return None if amount is None else amount if amount == "auto" else int(amount)


def edit_pictures(sheet: Sheet) -> Any:
    """Return the pictures that an edit takes."""
    edit, pictures = sheet.given("edit"), sheet.all("reference")
    most = {"addition": (1, 2), "swap": (1, 1), "removal": (0, 0)}[edit]
    if not most[0] <= len(pictures) <= most[1]:
        words = "no picture" if most == (0, 0) else f"{most[0]} to {most[1]} pictures"
        raise UnsupportedParameter(
            f"reference: edit={edit} takes {words}, not {len(pictures)}.", provider="kling"
        )
    return [{"image": item.value} for item in pictures] or None


def extended(sheet: Sheet) -> Any:
    """Return the video that is extended."""
    if sheet.given("extend_duration") is not None:
        sheet.notes.append("extend_duration: the vendor adds 4 to 5 s, and takes no number.")
    return sheet.vendor_id("video")


def element_pictures(sheet: Sheet) -> Any:
    """Return the pictures of an element."""
    if sheet.first("frontal") is None:
        return None
    others = [{"image_url": item.value} for item in sheet.all("reference")]
    return {"frontal_image": sheet.sent("frontal"), "refer_images": others}


def element_video(sheet: Sheet) -> Any:
    """Return the video of an element."""
    found = sheet.sent("video")
    return None if found is None else {"refer_videos": [{"video_url": found}]}


def voice_sample(sheet: Sheet) -> Any:
    """Return the sample of a voice."""
    return sheet.sent("audio") or sheet.sent("video")
