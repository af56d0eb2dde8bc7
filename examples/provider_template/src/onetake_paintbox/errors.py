"""Paintbox's codes, in one table, and what each means."""

from __future__ import annotations

from onetake.errors import (
    AuthenticationError,
    ConcurrencyExceeded,
    ContentRejected,
    InsufficientCredits,
    JobFailed,
    OnetakeError,
    RequestError,
)

CODES: dict[str, type[OnetakeError]] = {
    "bad_key": AuthenticationError,
    "no_credits": InsufficientCredits,
    "busy": ConcurrencyExceeded,
    "bad_request": RequestError,
    "content": ContentRejected,
    "duplicate_client_id": RequestError,
}
"""Every documented refusal; nothing was created after any of them."""


def refusal(code: str, message: str) -> OnetakeError | None:
    """Return the neutral error of a refusal, or None for an undocumented code."""
    kind = CODES.get(code)
    if kind is None:
        return None
    text = f"paintbox: {message} (code {code})."
    return kind(text, provider="paintbox", vendor_code=code, vendor_message=message)


def task_failure(code: str, message: str) -> OnetakeError:
    """Return the error of a task that Paintbox accepted and failed. It bills successes only."""
    kind = ContentRejected if code == "content" else JobFailed
    return kind(
        f"paintbox: {message}.",
        provider="paintbox",
        vendor_code=code,
        vendor_message=message,
        task_state="exists",
        billed="no",
    )
