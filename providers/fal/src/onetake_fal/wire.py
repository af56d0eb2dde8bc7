"""Our words ↔ the JSON of fal's endpoints. Pure: no network, no clock.

Endpoints differ in field names and types; each model card's ``wire`` says how. It names fal's
field for each slot and parameter where that differs from ours; ``strings`` are numbers that fal
wants as text, ``lists`` slots whose field is a list, ``values`` other words for a parameter's
values.
"""

from __future__ import annotations

import copy
import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from onetake.driver import PreparedAsset, Submission
from onetake.errors import RequestError, UnsupportedParameter
from onetake.fitting import FittedRequest
from onetake.mentions import rewrite
from onetake.placing import is_place, path_of

Body = dict[str, Any]
_UNKNOWN_FIELDS = {
    "first_frame": "image_url",
    "last_frame": "tail_image_url",
    "reference": "image_url",
    "video": "video_url",
    "audio": "audio_url",
}
"""Field names for files of endpoints whose schema is not known: the commonest ones."""

_ELEMENT = re.compile(r"element_(\d+)(_video)?")
AXES = ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")
LONGEST_SHOT = 15
"""Seconds (fal's schema of a shot, 2026-08-02)."""

CAMERAS = ("down_back", "forward_up", "right_turn_forward", "left_turn_forward")
_ALREADY_TOLD = ("width", "height", "mask", "trajectories")
"""Parameters and slots that the translation of another one takes along."""


def submission(request: FittedRequest, job_id: str, assets: Sequence[PreparedAsset]) -> Submission:
    """Write a request for one endpoint.

    Raises:
        RequestError: what fal would refuse, or what would put files into the answer itself.
    """
    check_endpoint(request.card.vendor_id)
    wire = request.card.wire
    parameters = dict(request.parameters)
    callback = parameters.pop("callback_url", None)
    body: Body = {}
    if request.prompt.strip():
        body[str(wire.get("prompt", "prompt"))] = rewrite(request.prompt, _mention)
    body |= files(request, assets)
    for name, value in parameters.items():
        if name in _ALREADY_TOLD and name in request.card.parameters:
            continue
        special = _SPECIAL.get(name) if request.card.catalogued else None
        body |= _plain(wire, name, value) if special is None else special(wire, value)
    body |= _pixels(request)
    if request.negative_prompt is not None:
        body["negative_prompt"] = request.negative_prompt
    body.update(copy.deepcopy(dict(request.vendor)))
    body.pop("endpoint", None)  # it named the endpoint, not a field
    for item in assets:
        if is_place(item.asset.role):
            place(body, path_of(str(item.asset.role)), item.value)
    if body.get("sync_mode"):
        raise RequestError(
            "sync_mode: the files would come inside the answer, where they cannot be delivered "
            "or kept; leave it out.",
            provider="fal",
        )
    query = {} if callback is None else {"fal_webhook": str(callback)}
    endpoint = request.card.vendor_id
    return Submission(path=endpoint, body=body, route=app_of(endpoint), query=query)


_ENDPOINT = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)+", re.ASCII)


def check_endpoint(endpoint: str) -> None:
    """Let only ids through that name an endpoint: they become a part of a URL that is paid for.

    Raises:
        RequestError: it is none, or the address of a request.
    """
    if not _ENDPOINT.fullmatch(endpoint) or "requests" in endpoint.split("/"):
        raise RequestError(
            f"model: {endpoint!r} is no id of an endpoint; ids look like owner/app/path.",
            provider="fal",
        )


def plain_name(name: str) -> str:
    """Return a file name as a header can carry it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^\w.-]+", "_", plain).strip("._")
    return kept or "file"


def _mention(kind: str, number: int) -> str:
    """fal writes ``@Image1``, ``@Element1``, ``@Video1``."""
    return f"@{kind.capitalize()}{number}"


def _plain(wire: Mapping[str, Any], name: str, value: Any) -> Body:
    """One of our parameters is one of fal's fields."""
    if isinstance(value, str | int):
        value = wire.get("values", {}).get(name, {}).get(str(value), value)
    if name in wire.get("strings", ()):
        value = str(value)
    return {str(wire.get(name, name)): value}


# ── files ──


def files(request: FittedRequest, assets: Sequence[PreparedAsset]) -> Body:
    """Put each file into its field."""
    wire = request.card.wire
    body: Body = {}
    elements: dict[int, Body] = {}
    for item in assets:
        role = str(item.asset.role)
        if is_place(role):
            continue  # it has its place in a field that the caller wrote
        element = _ELEMENT.fullmatch(role)
        if element is not None and request.card.catalogued:
            _add_to_element(elements.setdefault(int(element[1]), {}), item.value, element[2])
        elif role == "mask" and request.card.catalogued:
            body.setdefault("dynamic_masks", []).append({"mask_url": item.value})
        elif role in wire.get("lists", ()):
            body.setdefault(str(wire.get(role, role)), []).append(item.value)
        else:
            field = str(wire.get(role) or _field_of(request, role))
            if field in body:
                raise RequestError(
                    f"{field}: two files for one field; name the field of each, for example with "
                    "`-a end_image_url=FILE`.",
                    provider="fal",
                )
            body[field] = item.value
    if elements:
        body["elements"] = [elements[number] for number in sorted(elements)]
    if "dynamic_masks" in body:
        _add_trajectories(body["dynamic_masks"], request.parameters.get("trajectories", ()))
    return body


def _add_trajectories(masks: list[Body], trajectories: Sequence[Any]) -> None:
    """Give each mask its path.

    Raises:
        UnsupportedParameter: there is not one for each, or one is no list of points.
    """
    if len(masks) != len(trajectories):
        raise UnsupportedParameter(
            f"trajectories: {len(trajectories)} for {len(masks)} masks; give one for each.",
            provider="fal",
        )
    for mask, points in zip(masks, trajectories, strict=True):
        try:
            mask["trajectories"] = [{"x": x, "y": y} for x, y in points]
        except (TypeError, ValueError):
            raise UnsupportedParameter(
                f"trajectories: {points!r:.60} is no list of [x, y].", provider="fal"
            ) from None


def _field_of(request: FittedRequest, role: str) -> str:
    return role if request.card.inputs else _UNKNOWN_FIELDS.get(role, role)


def place(body: Body, path: Sequence[str], value: Any) -> None:
    """Fill the gap that a local file left, at the end of these steps."""
    *before, last = path
    target: Any = body
    for step in before:
        target = target[int(step)] if isinstance(target, list) else target[step]
    target[int(last) if isinstance(target, list) else last] = value


def _add_to_element(element: Body, value: Any, video: str | None) -> None:
    """The first picture shows an element from the front, the others from elsewhere."""
    if video:
        element["video_url"] = value
    elif "frontal_image_url" not in element:
        element["frontal_image_url"] = value
    else:
        element.setdefault("reference_image_urls", []).append(value)


# ── parameters that are not one field of the same shape ──


def _shots(wire: Mapping[str, Any], value: Any) -> Body:
    for number, shot in enumerate(value, start=1):
        if not isinstance(shot["duration"], int) or not 1 <= shot["duration"] <= LONGEST_SHOT:
            raise UnsupportedParameter(
                f"shots: entry {number} lasts {shot['duration']} s; fal takes whole seconds from 1 "
                f"to {LONGEST_SHOT}.",
                provider="fal",
            )
    return {
        "multi_prompt": [
            {"prompt": shot["prompt"], "duration": str(shot["duration"])} for shot in value
        ]
    }


def _series(wire: Mapping[str, Any], value: Any) -> Body:
    return {"result_type": "series", "series_amount": int(value)}


def _camera_control(wire: Mapping[str, Any], value: Any) -> Body:
    """Write the official API's object in fal's fields.

    Raises:
        UnsupportedParameter: a type or an axis that fal lacks, or more than one axis.
    """
    kind, config = value.get("type"), value.get("config") or {}
    if kind in CAMERAS and not config:
        return {"camera_control": kind}
    numbers = isinstance(config, Mapping) and all(
        isinstance(number, int | float) and not isinstance(number, bool)
        for number in config.values()
    )
    moving = {axis: number for axis, number in config.items() if number} if numbers else {}
    if kind != "simple" or len(moving) != 1 or not set(moving) <= set(AXES):
        raise UnsupportedParameter(
            f"camera_control: fal takes one of the types {', '.join(CAMERAS)}, or type simple with "
            f"one of the axes {', '.join(AXES)}.",
            provider="fal",
        )
    ((axis, number),) = moving.items()
    return {"advanced_camera_control": {"movement_type": axis, "movement_value": number}}


_SPECIAL: Mapping[str, Callable[[Mapping[str, Any], Any], Body]] = {
    "shots": _shots,
    "series": _series,
    "camera_control": _camera_control,
}


def _pixels(request: FittedRequest) -> Body:
    """Kolors takes its size in pixels, too."""
    width, height = (request.parameters.get(name) for name in ("width", "height"))
    if (width is None and height is None) or "width" not in request.card.parameters:
        return {}
    if width is None or height is None:
        raise RequestError("width and height: give both, or neither.", provider="fal")
    return {"image_size": {"width": width, "height": height}}


def app_of(endpoint: str) -> str:
    """Return what status, result and cancel URLs are built from: owner and app."""
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in ("workflows", "comfy") else 2])


def called_request(body: bytes) -> str | None:
    """Return the request id that a webhook's body names."""
    try:
        event = json.loads(body)
    except ValueError:
        return None
    request_id = event.get("request_id") if isinstance(event, Mapping) else None
    return request_id if isinstance(request_id, str) and request_id else None
