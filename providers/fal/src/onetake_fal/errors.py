"""fal's error types, in one table, and what each means for the caller and for the job.

Facts: fal's error pages as mirrored 2025-12 and 2026; see docs/providers/fal.md. Unknown types
count as failures that are not to be repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onetake.errors import (
    AuthenticationError,
    Billed,
    ConcurrencyExceeded,
    ContentRejected,
    InsufficientCredits,
    JobFailed,
    OnetakeError,
    ProviderUnavailable,
    RateLimited,
    RequestError,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One row.

    Attributes:
        error: the neutral error of a task that ended so.
        http: documented HTTP status.
        retryable: a new job may succeed without a change.
        billed: whether such a task is charged, as far as documented.
    """

    error: type[OnetakeError]
    http: int
    retryable: bool = False
    billed: Billed = "unknown"


_INPUT = Kind(JobFailed, 422)

TYPES: dict[str, Kind] = {
    # model errors
    "internal_server_error": Kind(JobFailed, 500, retryable=True, billed="no"),
    "downstream_service_unavailable": Kind(JobFailed, 500, retryable=True, billed="no"),
    "downstream_service_error": Kind(JobFailed, 400),
    "generation_timeout": Kind(JobFailed, 504, retryable=True, billed="no"),
    "content_policy_violation": Kind(ContentRejected, 422),
    "file_download_error": _INPUT,
    "image_load_error": _INPUT,
    "face_detection_error": _INPUT,
    "feature_not_supported": _INPUT,
    "image_too_small": _INPUT,
    "image_too_large": _INPUT,
    "file_too_large": _INPUT,
    "greater_than": _INPUT,
    "greater_than_equal": _INPUT,
    "less_than": _INPUT,
    "less_than_equal": _INPUT,
    "multiple_of": _INPUT,
    "sequence_too_short": _INPUT,
    "sequence_too_long": _INPUT,
    "one_of": _INPUT,
    "invalid_archive": _INPUT,
    "archive_file_count_below_minimum": _INPUT,
    "archive_file_count_exceeds_maximum": _INPUT,
    "audio_duration_too_long": _INPUT,
    "audio_duration_too_short": _INPUT,
    "video_duration_too_long": _INPUT,
    "video_duration_too_short": _INPUT,
    "unsupported_audio_format": _INPUT,
    "unsupported_image_format": _INPUT,
    "unsupported_video_format": _INPUT,
    # infrastructure errors
    "request_timeout": Kind(JobFailed, 504, retryable=True, billed="no"),
    "startup_timeout": Kind(JobFailed, 504, retryable=True, billed="no"),
    "runner_scheduling_failure": Kind(JobFailed, 503, retryable=True, billed="no"),
    "runner_connection_timeout": Kind(JobFailed, 503, retryable=True, billed="no"),
    "runner_disconnected": Kind(JobFailed, 503, retryable=True, billed="no"),
    "runner_connection_refused": Kind(JobFailed, 503, retryable=True, billed="no"),
    "runner_connection_error": Kind(JobFailed, 503, retryable=True, billed="no"),
    "runner_incomplete_response": Kind(JobFailed, 502, retryable=True, billed="no"),
    "runner_server_error": Kind(JobFailed, 500, retryable=True, billed="no"),
    "client_disconnected": Kind(JobFailed, 499),
    "client_cancelled": Kind(JobFailed, 499),
    "bad_request": Kind(JobFailed, 400),
    "internal_error": Kind(JobFailed, 500, retryable=True, billed="no"),
}
NO_PATH = "path_not_found"
"""Our name for what the server of an app says without naming a type."""
_ALL = {**TYPES, NO_PATH: Kind(JobFailed, 404, billed="no")}

NO_NAMES: Mapping[str, str] = {}
CONCURRENCY = "concurrent_requests_limit"
CANCELLED = "client_cancelled"


def describe(payload: Any, names: Mapping[str, str] = NO_NAMES) -> tuple[str | None, str]:
    """Return the error type and a sentence from an error body of either form.

    Args:
        payload: the body.
        names: fal's fields in our words; others keep their name.
    """
    if not isinstance(payload, Mapping):
        return None, str(payload)[:300]
    detail = payload.get("detail")
    if isinstance(detail, list) and detail:
        items = [item if isinstance(item, Mapping) else {"msg": item} for item in detail]
        kind = next((str(item["type"]) for item in items if "type" in item), None)
        return kind, "; ".join(_sentence(item, names) for item in items)
    kind = payload.get("error_type")
    return (None if kind is None else str(kind)), str(detail or payload)[:300]


def _sentence(item: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Say one entry in words, however odd it is: no detail may hide the answer itself."""
    place = item.get("loc")
    parts = [str(part) for part in place if part != "body"] if isinstance(place, list) else []
    field = ".".join(names.get(part, part) for part in parts)
    context = item.get("ctx")
    limits = ""
    if isinstance(context, Mapping) and context:
        limits = f" ({', '.join(f'{key}={value}' for key, value in context.items())})"
    words = str(item.get("msg", ""))[:300]
    return f"{field}: {words}{limits}" if field else words


_LONGEST = 500
"""Characters of a text that is kept of an answer: inputs come back in it, even whole files."""


def kept(payload: Any) -> Any:
    """Return an answer as it is kept with the error: without long texts."""
    if isinstance(payload, Mapping):
        return {str(key): kept(value) for key, value in payload.items()}
    if isinstance(payload, list):
        return [kept(value) for value in payload]
    if isinstance(payload, str) and len(payload) > _LONGEST:
        return f"{payload[:_LONGEST]}… ({len(payload)} characters)"
    return payload


def task_failure(
    payload: Any, kind: str | None = None, names: Mapping[str, str] = NO_NAMES
) -> OnetakeError:
    """Return the error of a request that fal accepted and failed; see `describe`."""
    found, text = describe(payload, names)
    name = kind or found
    row = _ALL.get(name or "", Kind(JobFailed, 0))
    return row.error(
        f"fal: {text}" if text.endswith(".") else f"fal: {text}.",
        provider="fal",
        vendor_code=name,
        vendor_message=text,
        task_state="exists",
        billed=row.billed,
        retryable=row.retryable,
        payload=kept(payload),
    )


NOT_READY = "Request is still in progress"
"""fal's words at a result that is asked for too early (docs 2025-12; the AI SDK matches them)."""

_NO_PATH = re.compile(r"Path /.* not found")


def path_kind(payload: Any) -> str | None:
    """Say whether an app has no such path; a result that is gone is told in other words.

    Facts: fal's open-source app server answers so, with 0 billable units (read 2026-08-21).
    """
    detail = payload.get("detail") if isinstance(payload, Mapping) else None
    no_path = isinstance(detail, str) and _NO_PATH.fullmatch(detail) is not None
    return NO_PATH if no_path else None


_NO_VERDICT = (401, 403, 408, 409, 425, 429)


def is_not_ready(status: int, payload: Any) -> bool:
    """Say whether a result was asked for before it was there; status and result may disagree."""
    return status == 400 and isinstance(payload, Mapping) and payload.get("detail") == NOT_READY


def is_verdict(status: int, payload: Any, kind: str | None = None) -> bool:
    """Say whether an answer to a result request is the app's own failure, not a gateway's.

    The app answers with JSON that has ``detail``, or fal names an error type; a gateway's page, a
    refused key, and a plea to come back later say nothing about the job, whatever they carry.
    """
    if status in _NO_VERDICT or is_not_ready(status, payload):
        return False
    if kind is not None:
        return True
    if not isinstance(payload, Mapping) or "detail" not in payload:
        return False
    return isinstance(payload["detail"], list) or status in (400, 422, 499, 500)


def refusal(status: int, payload: Any, *, retry_after: float | None = None) -> OnetakeError:
    """Return the error of a 4xx answer to a submission or a read: nothing was created."""
    kind, text = describe(payload)
    fields: dict[str, Any] = {"provider": "fal", "vendor_code": kind or str(status)}
    fields["vendor_message"] = text
    fields["payload"] = kept(payload)
    if status == 429:
        limited = ConcurrencyExceeded if kind == CONCURRENCY else RateLimited
        return limited(f"fal: too many requests ({text}).", retry_after=retry_after, **fields)
    if status == 402 or (status == 403 and any(word in text.lower() for word in _MONEY)):
        return InsufficientCredits(f"fal: the account cannot pay ({text}).", **fields)
    if status in (401, 403) and (status == 401 or isinstance(payload, Mapping)):
        return AuthenticationError(
            f"fal: the key was refused ({text}).",
            hint="Check FAL_KEY; keys are made at https://fal.ai/dashboard/keys.",
            **fields,
        )
    if status == 404:
        return RequestError(f"fal does not know this endpoint or request ({text}).", **fields)
    if 400 <= status < 500 and status not in (403, 408, 409, 425):
        return RequestError(f"fal refused the request: {text}.", **fields)
    return ProviderUnavailable(f"fal answered HTTP {status} ({text}).", **fields)


def platform_refusal(status: int, payload: Any) -> OnetakeError:
    """Return the error of an answer of fal's platform API that is not a success."""
    detail = payload.get("error") if isinstance(payload, Mapping) else None
    text = str(detail.get("message") if isinstance(detail, Mapping) else payload)[:300]
    fields: dict[str, Any] = {"provider": "fal", "vendor_code": str(status), "vendor_message": text}
    if status == 429:
        return RateLimited(f"fal's platform: too many requests ({text}).", **fields)
    if status in (401, 403):
        return AuthenticationError(
            f"fal's list of requests may not be read with this key ({text}).", **fields
        )
    if 400 <= status < 500:
        return RequestError(f"fal's platform refused the question: {text}.", **fields)
    return ProviderUnavailable(f"fal's platform answered HTTP {status} ({text}).", **fields)


_MONEY = ("balance", "exhausted", "locked", "credit", "billing")
