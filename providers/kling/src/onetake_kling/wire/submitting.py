"""Submissions: which API a request goes to, and its whole body there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onetake.driver import PreparedAsset, Submission
from onetake.errors import AssetError, AuthenticationError, RequestError
from onetake.fitting import FittedRequest
from onetake_kling.wire import legacy, new
from onetake_kling.wire.sheet import Sheet

VERSIONS = {
    "kling-2.5-turbo": "kling-v2-5-turbo",
    "kling-2.6": "kling-v2-6",
    "kling-3.0": "kling-v3",
    "kling-3.0-turbo": "kling-3.0-turbo",
    "kling-3.0-omni": "kling-v3-omni",
    "kling-o1": "kling-video-o1",
}
"""One model version has two names; the vendor counts its slots together."""

LEGACY_PROMPT = 2500
LEGACY_IMAGE_BYTES = 10_000_000


def submission(
    request: FittedRequest,
    job_id: str,
    assets: Sequence[PreparedAsset],
    *,
    has_api_key: bool,
) -> Submission:
    """Write a request for the newest API that can express it with these credentials."""
    sheet = Sheet(request, assets, job_id)
    if not request.card.catalogued:
        return _passed_through(sheet, has_api_key=has_api_key)
    _check_lengths(sheet)
    route = choose_route(request, has_api_key)
    if route == "new":
        path, body = new.path(sheet), new.body(sheet)
    elif route == "solutions":
        path, body = _solution(sheet)
    else:
        _check_legacy(sheet)
        path, body = legacy.endpoint_of(sheet).path, legacy.body(sheet)
    return Submission(
        path=path,
        body=_merged(body, request.vendor),
        route=route,
        external_id=_external_id(path, job_id),
        notes=tuple(sheet.notes),
    )


def _external_id(path: str, job_id: str) -> str | None:
    endpoint = legacy.BY_PATH.get(path)
    return None if endpoint is not None and not endpoint.common else job_id


def choose_route(request: FittedRequest, has_api_key: bool) -> str:
    """Return ``new``, ``legacy`` or ``solutions``.

    Raises:
        AuthenticationError: only an API key would do.
        RequestError: only the legacy API could say it, and the model is not there.
    """
    wire = request.card.wire
    if not has_api_key:
        if "legacy" in wire:
            return "legacy"
        raise _needs_key(request.card.name)
    if "solution" in wire:
        return "solutions"
    wishes = [name for name in ("negative_prompt",) if getattr(request, name)]
    if "new" in wire and not wishes:
        return "new"
    if "legacy" in wire:
        return "legacy"
    raise RequestError(
        f"{', '.join(wishes)}: Kling's new API has no such field, and {request.card.name} "
        "is not on the old one.",
        provider="kling",
    )


def _needs_key(what: str) -> AuthenticationError:
    return AuthenticationError(
        f"{what} exists only on Kling's new API, which takes an API key, "
        "not an access key with a secret.",
        provider="kling",
        hint="Make one at https://kling.ai/dev/api-key and set KLING_API_KEY.",
    )


def _solution(sheet: Sheet) -> tuple[str, dict[str, Any]]:
    """Virtual try-on 3.0 (Chinese vendor page, after 2026-09-15)."""
    contents = [
        {"type": "product_image", "url": sheet.sent("garment")},
        {"type": "person_image", "url": sheet.sent("person")},
    ]
    names = ("keep_face", "keep_pose", "keep_background")
    settings = {name: sheet.given(name) for name in names if sheet.given(name) is not None}
    options = new.options(sheet)
    if "watermark_info" in options:
        options["watermark"] = options.pop("watermark_info")
    body: dict[str, Any] = {"contents": contents}
    if settings:
        body["settings"] = settings
    return f"/solutions/{sheet.wire['solution']}", {**body, "options": options}


IMAGE_SECONDS = 10.0
"""Longest video of a motion that keeps the picture's orientation (vendor page, 2026-09-20)."""


def _check_lengths(sheet: Sheet) -> None:
    video = sheet.first("video")
    seconds = None if video is None else video.asset.seconds
    if sheet.given("orientation") == "image" and seconds and seconds > IMAGE_SECONDS + 0.25:
        raise AssetError(
            f"video: {seconds:.1f} s; with orientation=image it lasts {IMAGE_SECONDS:g} s at most.",
            provider="kling",
        )


def _passed_through(sheet: Sheet, *, has_api_key: bool) -> Submission:
    """Send the caller's own body to an endpoint that no card knows.

    Our id travels with it, but whether the vendor heeds it there is not known: the card of such a
    model says ``resend: none``.
    """
    request = sheet.request
    path = str(request.vendor["endpoint"])
    if request.assets or request.parameters or request.prompt or not path.startswith("/"):
        raise RequestError(
            f"endpoint: {path!r} is not in the catalog: write its path from the slash, and its "
            "whole body beside it; nothing else of the request can be translated.",
            provider="kling",
        )
    body = {name: value for name, value in request.vendor.items() if name != "endpoint"}
    old = path.startswith("/v1/")
    if not old and not has_api_key:
        raise _needs_key(path)
    own = {"external_task_id": sheet.job_id}
    whole = own if old else {"options": own}
    route = "legacy" if old else "solutions" if path.startswith("/solutions/") else "new"
    return Submission(path=path, body=_merged(whole, body), route=route, external_id=sheet.job_id)


def _check_legacy(sheet: Sheet) -> None:
    if len(sheet.request.prompt) > LEGACY_PROMPT:
        raise RequestError(
            f"prompt: {len(sheet.request.prompt)} characters; Kling's old API takes "
            f"{LEGACY_PROMPT}.",
            provider="kling",
        )
    for asset in sheet.request.assets:
        inlined = asset.data is not None and asset.kind == "image" and asset.url is None
        if inlined and len(asset.data or b"") > LEGACY_IMAGE_BYTES:
            raise AssetError(
                f"{asset.role}: {asset.name} has {len(asset.data or b''):,} bytes; Kling's old API "
                f"takes {LEGACY_IMAGE_BYTES:,}.",
                provider="kling",
            )


def _merged(body: dict[str, Any], vendor: Mapping[str, Any]) -> dict[str, Any]:
    """Add the caller's own fields; objects are merged, everything else is replaced.

    Raises:
        RequestError: a field would replace our id, by which a lost job is found again.
    """
    for name, value in vendor.items():
        if isinstance(body.get(name), dict) and not isinstance(value, Mapping):
            raise RequestError(
                f"kling.{name}: {value!r:.60} is no object; it is merged into one.",
                provider="kling",
            )
    options = vendor.get("options")
    if "external_task_id" in vendor or (
        isinstance(options, Mapping) and "external_task_id" in options
    ):
        raise RequestError(
            "kling.external_task_id: onetake sends its own job id there, so that no job is lost "
            "or paid twice.",
            provider="kling",
            hint="Use `key` for an id of your own.",
        )
    for name, value in vendor.items():
        if isinstance(value, Mapping) and isinstance(body.get(name), dict):
            body[name] = {**body[name], **value}
        else:
            body[name] = value
    return body


def slots(sent: Submission) -> list[tuple[str, int]]:
    """Return bucket and weight: the vendor counts unfinished tasks by model version and pack.

    A picture task holds a slot per picture (2026-07); a series whose length the vendor chooses is
    counted as the longest. Synchronous calls hold none.
    """
    endpoint = legacy.BY_PATH.get(sent.path)
    if endpoint is not None and endpoint.synchronous:
        return []
    name = str(sent.body.get("model_name") or sent.path.rpartition("/")[2])
    version = VERSIONS.get(name, name)
    if endpoint is None or endpoint.pack != "image":
        return [(version, 1)]
    series = sent.body.get("series_amount")
    weight = 9 if series == "auto" else series or sent.body.get("n") or 1
    return [(f"{version}/image", int(weight))]
