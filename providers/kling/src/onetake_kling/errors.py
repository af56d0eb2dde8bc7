"""The vendor's codes, in one table, and what each means for the caller and for the job.

Facts: error page of the vendor, identical since 2024; read 2026-09-20. A failed *task* has no
code, only words (`task_failure`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from onetake.errors import (
    AuthenticationError,
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
class Code:
    """One row.

    Attributes:
        http: HTTP status that it comes with.
        error: the neutral error.
        meaning: in our words.
        wait: the same request may be sent again after a pause.
        hint: what to do.
        may_exist: a task may exist after this answer to a create.
    """

    http: int
    error: Callable[..., OnetakeError]
    meaning: str
    wait: bool = False
    hint: str | None = None
    may_exist: bool = False


KEY_HINT = "Check the key at https://kling.ai/dev/api-key; keys belong to one region."
_NO_AK_SK = "does not support AK/SK"
_SAFETY = "Change the prompt or the picture."

CODES: dict[int, Code] = {
    1000: Code(401, AuthenticationError, "authentication failed", hint=KEY_HINT),
    1001: Code(401, AuthenticationError, "no credentials were sent", hint=KEY_HINT),
    1002: Code(401, AuthenticationError, "the credentials are not valid", hint=KEY_HINT),
    1003: Code(401, AuthenticationError, "the token is not valid yet", hint="Set the clock."),
    1004: Code(401, AuthenticationError, "the token has expired", hint="Set the clock."),
    1100: Code(429, InsufficientCredits, "there is a problem with the account"),
    1101: Code(429, InsufficientCredits, "the account is in arrears", hint="Pay the open bill."),
    1102: Code(
        429,
        InsufficientCredits,
        "no pack or balance is left for this kind of product",
        hint="Packs count by product: a video pack does not pay for pictures.",
    ),
    1103: Code(403, AuthenticationError, "the account may not use this model or API"),
    1200: Code(400, RequestError, "the request is malformed"),
    1201: Code(400, RequestError, "a parameter was refused"),
    1202: Code(404, RequestError, "the method is wrong for this path"),
    1203: Code(404, RequestError, "the resource does not exist"),
    1300: Code(400, ContentRejected, "the platform's policy refused it", hint=_SAFETY),
    1301: Code(400, ContentRejected, "the content check refused it", hint=_SAFETY),
    1302: Code(429, RateLimited, "too many requests in a short time", wait=True),
    1303: Code(429, ConcurrencyExceeded, "all slots of the pack are in use", wait=True),
    1304: Code(429, AuthenticationError, "this address is not on the account's IP list"),
    5000: Code(500, ProviderUnavailable, "internal error", may_exist=True),
    5001: Code(503, ProviderUnavailable, "temporarily unavailable", may_exist=True),
    5002: Code(504, ProviderUnavailable, "timed out internally", may_exist=True),
}


def error_of(code: int, message: str) -> OnetakeError | None:
    """Return the neutral error of a code, or None for a code that is not documented."""
    row = CODES.get(code)
    if row is None:
        return None
    meaning, hint = _said(code, message) or (row.meaning, row.hint)
    told = row.error(
        f"kling: {meaning} (code {code}: {message}).",
        provider="kling",
        vendor_code=str(code),
        vendor_message=message,
        task_state="may_exist" if row.may_exist else "not_created",
        billed="unknown" if row.may_exist else "no",
        hint=hint,
    )
    if isinstance(told, ContentRejected):
        told.side = "prompt" if "prompt" in message.lower() else "input"
    return told


SAYINGS: tuple[tuple[int, str, str, str | None], ...] = (
    (1002, _NO_AK_SK, "the new API takes no AK/SK",
     "It takes an API key; make one at https://kling.ai/dev/api-key and set KLING_API_KEY."),
    (1002, "api key not found", "no such API key in this region",
     "Keys belong to one region: try another with region=, or make one there."),
    (1002, "access key not found", "no such access key in this region", KEY_HINT),
    (1201, "already exists", "a task with our id exists already", None),
    (1201, "task not found", "there is no such task", None),
    (1201, "has been discontinued", "the model was switched off",
     "`onetake models list -p kling` shows the current models."),
    (1201, "no longer available", "the vendor has closed this API",
     "`onetake models list -p kling` shows what there is."),
    (1201, "model is not supported", "this API has no such model",
     "`onetake models list -p kling` shows the current models."),
    (1201, "model_name value", "this API has no such model",
     "`onetake models list -p kling` shows the current models."),
    (1201, "voice id not found", "there is no such voice",
     "Speech has a catalogue of its own; voices of `onetake resources` are for videos."),
    (1201, "element id not found", "there is no such element",
     "`onetake resources list element -p kling` shows yours, --preset the vendor's."),
    (1201, "from video not found", "the vendor does not have that video",
     "It keeps what it made for 30 days; give the id of the video, not of the task."),
    (1201, "not supported extend-video", "that video cannot be extended",
     "The vendor extends videos of v1, v1.5 and v1.6 only."),
    (1201, "sound on is not supported", "there is no native sound over a given video",
     "Use keep_original_sound."),
    (1201, "not in a valid base64 format", "a file is neither a URL nor raw base64", None),
)  # fmt: skip
"""What the vendor's words mean under a code that has many meanings, and what to do. Recorded by
third parties, 2026-01 to 2026-10."""


def _said(code: int, message: str) -> tuple[str, str | None] | None:
    for own, words, meaning, hint in SAYINGS:
        if code == own and words.lower() in message.lower():
            return meaning, hint
    return None


def is_no_path(answer: Mapping[str, Any]) -> bool:
    """Say whether the server itself knows no such path; nothing behind it was asked.

    Facts: recorded by a third party, 2025-06-14; the answer has no ``code``.
    """
    bare = "code" not in answer and "path" in answer
    return bare and (answer.get("status"), answer.get("error")) == (404, "Not Found")


def no_path(path: str) -> OnetakeError:
    """Return the error of a path that there is not."""
    return RequestError(
        f"kling: there is no path {path}; nothing was created.",
        provider="kling",
        vendor_code="404",
        hint="The vendor may have withdrawn it, or the region's host may not have it.",
    )


def is_duplicate(code: int, message: str) -> bool:
    """Say whether a refusal means that a task with our id exists already."""
    return code == 1201 and "already exists" in message.lower()


def is_not_found(code: int, message: str) -> bool:
    """Say whether a refusal means that there is no such task."""
    return code in (1201, 1203) and "not found" in message.lower()


_MODERATION = ("risk control", "sensitive", "content security", "violat", "policy")


def task_failure(message: str, **identity: Any) -> OnetakeError:
    """Return the error of a task that the vendor accepted and failed.

    The record carries only words. Failed tasks were seen to be billed 0 (one source, several
    runs, 2026-09-28); not documented, so ``billed`` stays unknown.
    """
    text = message or "the vendor gives no reason"
    fields = {
        "provider": "kling",
        "vendor_message": message,
        "task_state": "exists",
        "billed": "unknown",
        **identity,
    }
    if any(word in text.lower() for word in _MODERATION):
        # it comes after the task was accepted: of the input or the output, the vendor does not say
        said = f"kling: the content check refused the input or the output ({text})."
        return ContentRejected(said, **fields)
    return JobFailed(f"kling: the task failed ({text}).", **fields)
