"""Who may call: API keys on both generations, JWTs on ``/v1`` and ``/account`` only.

The words of each refusal were recorded by third parties in August and September 2026.
"""

from __future__ import annotations

import warnings
from typing import Any

import jwt

from onetake_kling.sandbox.answers import Refusal

API_KEY = "sandbox"
ACCESS_KEY = "sandbox-ak"
SECRET_KEY = "sandbox-sk"  # noqa: S105 - the sandbox's own, documented

_NO_AK_SK = (
    "Authentication error. The current API does not support AK/SK; please go to the console "
    "(https://kling.ai/dev/api-key) to create API key."
)


def check(authorization: str | None, now: float, *, new_api: bool) -> None:
    """Let a request pass, or refuse it.

    Raises:
        Refusal: with the code and words for this kind of credential on this kind of path.
    """
    scheme, _, credential = (authorization or "").partition(" ")
    credential = credential.strip()
    if scheme != "Bearer" or not credential:
        raise Refusal(1002, _NO_AK_SK) if new_api else Refusal(1001, "Authorization is empty")
    if credential == API_KEY:
        return
    if credential.startswith("api-key-kling-"):
        raise Refusal(1002, "api key not found")
    if new_api:
        raise Refusal(1002, _NO_AK_SK)
    _check_jwt(credential, now)


def _decoded(token: str) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The HMAC key is")  # the sandbox's is short
        return jwt.decode(
            token,
            SECRET_KEY,
            algorithms=["HS256"],
            options={"verify_exp": False, "verify_nbf": False, "require": ["iss", "exp"]},
        )


def _check_jwt(token: str, now: float) -> None:
    parts = token.count(".") + 1 if "." in token else 0
    if parts != 3:
        raise Refusal(1002, f"The token was expected to have 3 parts, but got {parts}.")
    try:
        claims = _decoded(token)
    except jwt.InvalidSignatureError:
        raise Refusal(1002, "Authorization is invalid: the signature does not match") from None
    except jwt.InvalidTokenError as error:
        raise Refusal(1002, f"Authorization is invalid: {error}") from None
    if claims["iss"] != ACCESS_KEY:
        raise Refusal(1002, "access key not found")
    if not isinstance(claims["exp"], int | float) or isinstance(claims.get("nbf"), str):
        raise Refusal(1002, "Authorization is invalid: exp and nbf must be numbers")
    if claims.get("nbf", 0) > now:
        raise Refusal(1003, "The token is not yet valid")
    if claims["exp"] < now:
        raise Refusal(1004, "The token has expired")
