"""Signing requests: an opaque API key, or a JWT made from an access key and its secret.

Facts: vendor pages on authentication as of 2026-09-20. API keys work on both API generations,
JWTs on ``/v1`` and ``/account`` only. Claims: ``iss`` access key, ``exp`` now + 1800 s, ``nbf``
now − 5 s; HS256.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import jwt

from onetake.credentials import Credentials
from onetake.errors import AuthenticationError

LIFETIME = 1800
EARLY = 5
MARGIN = 60
"""A token is renewed this many seconds before it ends."""


class Signer:
    """Makes the ``Authorization`` header.

    Args:
        credentials: ``api_key`` (opaque, or ``access:secret``), or ``access_key`` and
            ``secret_key``.
        now: the time in seconds since the epoch.
    """

    def __init__(self, credentials: Credentials, now: Callable[[], float]) -> None:
        self._now = now
        self._skew = 0.0
        self._token: str | None = None
        self._ends_at = 0.0
        api_key = credentials.get("api_key")
        access, secret = credentials.get("access_key"), credentials.get("secret_key")
        if api_key is not None and ":" in api_key:
            access, _, secret = api_key.partition(":")
            api_key = None
        if api_key is None and not (access and secret):
            raise AuthenticationError(
                "kling: an access key and its secret key belong together; one is missing.",
                provider="kling",
                hint="Set KLING_API_KEY, or KLING_ACCESS_KEY and KLING_SECRET_KEY.",
            )
        self._api_key, self._access, self._secret = api_key, access, secret or ""

    @property
    def has_api_key(self) -> bool:
        """True for an API key, which both API generations take."""
        return self._api_key is not None

    def header(self) -> str:
        """Return the header's value."""
        return f"Bearer {self._api_key or self._jwt()}"

    def _jwt(self) -> str:
        now = self._now() + self._skew
        if self._token is None or now > self._ends_at - MARGIN:
            issued = int(now)
            self._ends_at = issued + LIFETIME
            claims = {"iss": self._access, "exp": issued + LIFETIME, "nbf": issued - EARLY}
            with warnings.catch_warnings():
                # the vendor chooses the secret's length, not the caller
                warnings.filterwarnings("ignore", message="The HMAC key is")
                self._token = jwt.encode(claims, self._secret, algorithm="HS256")
        return self._token

    def synchronise(self, server_time: float) -> bool:
        """Sign by the server's clock from now on; False if that was done already.

        The vendor answers 1003 (not yet valid) or 1004 (expired) when clocks differ.
        """
        self._token = None
        if self._skew or self._api_key is not None:
            return False
        self._skew = server_time - self._now()
        return True

    @property
    def skew(self) -> float:
        """Seconds that the server's clock is ahead of ours, as far as is known."""
        return self._skew
