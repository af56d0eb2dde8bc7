"""Options of ``get_provider("fal", …)``: how fal is to treat requests and files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fal_client import StorageSettings

from onetake.errors import ConfigurationError

START_TIMEOUT = 3600.0
"""Seconds that a request may wait in fal's queue before it is given up there, unbilled."""

PRIORITIES = ("normal", "low")
ELSEWHERE = ("api_key", "key_id", "key_secret", "base_url", "concurrency", "asset_host")
"""Options of ``get_provider`` that are not read here."""

SPANS: Mapping[str, int | None] = {
    "never": None,
    "immediate": 60,
    "1h": 3_600,
    "1d": 86_400,
    "7d": 604_800,
    "30d": 2_592_000,
    "1y": 31_536_000,
}
"""fal's words for how long files are kept (fal-client 1.0.3), in seconds; None is for ever."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller asked for.

    Attributes:
        start_timeout: seconds that a request may wait before it starts; then fal gives it up.
        priority: ``normal`` or ``low``: place in the queue.
        runner_hint: fal sends requests with the same hint to the same runner where it can.
        expires_in: seconds that fal keeps the files, or one of its words; None: the account's.
        recoverable: False forbids fal to store inputs and outputs; a request whose answer is lost
            can then not be found again.
        inline_below: pictures of fewer bytes go into the request itself; saves their upload, but
            two jobs that ask for the same then have the same body.
        shared_uploads: a file is uploaded once for all jobs of this provider; the same price.
        stream: follow a few jobs at a time by fal's status stream, not by looks.
    """

    start_timeout: float = START_TIMEOUT
    priority: str | None = None
    runner_hint: str | None = None
    expires_in: str | int | None = None
    recoverable: bool = True
    inline_below: int = 0
    shared_uploads: bool = False
    stream: bool = True

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Options:
        """Read them from the options of ``get_provider``.

        Raises:
            ConfigurationError: naming the option, its value and what is allowed.
        """
        unknown = sorted(set(given) - {*cls.__slots__, *ELSEWHERE})
        _check(" and ".join(unknown), not unknown, "it", f"an option; fal has {_names(cls)}")
        known = {name: given[name] for name in cls.__slots__ if given.get(name) is not None}
        options = cls(**known)
        _check_number("start_timeout", options.start_timeout, "above 1, as fal demands", 1)
        _check_number("inline_below", options.inline_below, "of bytes, 0 or more", -1)
        for name in ("recoverable", "shared_uploads", "stream"):
            _check(name, known.get(name, True) in (True, False), known.get(name), "true or false")
        hint = options.runner_hint
        printable = hint is None or (
            isinstance(hint, str) and hint.isascii() and hint.isprintable()
        )
        _check("runner_hint", printable, hint, "plain ASCII text")
        priority = options.priority
        _check("priority", priority in (None, *PRIORITIES), priority, " or ".join(PRIORITIES))
        _check_expiry(options.expires_in)
        return options

    def headers(self) -> dict[str, str]:
        """Return the headers of a submission; the start timeout is fal-client's to add."""
        found = {
            "X-Fal-Queue-Priority": self.priority,
            "X-Fal-Runner-Hint": self.runner_hint,
            "X-Fal-Store-IO": None if self.recoverable else "0",
            "X-Fal-Object-Lifecycle-Preference": self._lifecycle(),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _lifecycle(self) -> str | None:
        if self.expires_in is None:
            return None
        span = self.expires_in if isinstance(self.expires_in, int) else SPANS[self.expires_in]
        return json.dumps({"expiration_duration_seconds": span})

    @property
    def lifecycle(self) -> StorageSettings | None:
        """The same for files that are uploaded."""
        return None if self.expires_in is None else StorageSettings(expires_in=self.expires_in)  # type: ignore[arg-type]


def _names(kind: type[Options]) -> str:
    return ", ".join(kind.__slots__)


def _check_number(name: str, value: Any, wanted: str, above: float) -> None:
    number = not isinstance(value, bool) and isinstance(value, int | float)
    good = number and math.isfinite(value) and value > above
    _check(name, good, value, f"a number {wanted}")


def _check_expiry(value: Any) -> None:
    seconds = isinstance(value, int) and not isinstance(value, bool) and value > 0
    allowed = f"a whole number of seconds, or {', '.join(SPANS)}"
    word = isinstance(value, str) and value in SPANS
    _check("expires_in", value is None or seconds or word, value, allowed)


def _check(name: str, good: bool, value: Any, allowed: str) -> None:
    if not good:
        raise ConfigurationError(f"{name}: {value!r} is not {allowed}.")
