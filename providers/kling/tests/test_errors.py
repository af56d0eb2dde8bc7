"""Every documented code, and who signs."""

from __future__ import annotations

import jwt
import pytest

from onetake import AuthenticationError
from onetake.credentials import Credentials
from onetake_kling import errors
from onetake_kling.auth import Signer
from onetake_kling.sandbox.answers import HTTP_OF

DOCUMENTED = [
    *range(1000, 1005), 1100, 1101, 1102, 1103, *range(1200, 1204), *range(1300, 1305),
    *range(5000, 5003),
]  # fmt: skip
"""21 codes; the vendor's page, read 2026-09-20."""


def test_every_documented_code_is_in_the_table() -> None:
    """No more, no less; with the HTTP status that the emulator uses too."""
    assert sorted(errors.CODES) == DOCUMENTED
    assert len(DOCUMENTED) == 21
    assert {code: row.http for code, row in errors.CODES.items()} == HTTP_OF


@pytest.mark.parametrize("code", DOCUMENTED)
def test_each_code_says_what_became_of_the_job(code: int) -> None:
    """Only 5xxx may have created one; only two of the 429s are worth waiting for."""
    row, error = errors.CODES[code], errors.error_of(code, "words")
    assert error is not None
    assert error.vendor_code == str(code)
    assert (error.task_state == "may_exist") == (code >= 5000)
    assert row.wait == (code in (1302, 1303))


def test_the_meanings_of_1201_are_told_apart() -> None:
    """Duplicate, not found, discontinued."""
    assert errors.is_duplicate(1201, "External_task_id v6-17 already exists")
    assert errors.is_not_found(1201, "Task not found by id/external id: x")
    gone = errors.error_of(1201, "The model 'kling-v1' has been discontinued and is no longer")
    assert gone is not None
    assert "models list" in str(gone)


def test_an_access_key_on_the_new_api_is_explained() -> None:
    """The vendor's 1002 text is turned into what to do."""
    error = errors.error_of(1002, "The current API does not support AK/SK; please go to …")
    assert error is not None
    assert "KLING_API_KEY" in str(error)


def test_tokens_are_signed_cached_and_renewed() -> None:
    """HS256, iss, exp now+1800, nbf now−5; a new one shortly before the old one ends."""
    now = [1_800_000_000.0]
    signer = Signer(Credentials({"access_key": "ak", "secret_key": "s" * 32}), lambda: now[0])
    first = signer.header().removeprefix("Bearer ")
    claims = jwt.decode(
        first, "s" * 32, algorithms=["HS256"], options={"verify_exp": False, "verify_nbf": False}
    )
    assert claims == {"iss": "ak", "exp": 1_800_001_800, "nbf": 1_799_999_995}
    now[0] += 1000
    assert signer.header().endswith(first)
    now[0] += 760
    assert not signer.header().endswith(first)


def test_both_spellings_of_an_access_key() -> None:
    """``ak:sk`` in one variable is the pair; half a pair is told."""
    assert not Signer(Credentials({"api_key": "ak:sk"}), lambda: 0).has_api_key
    assert Signer(Credentials({"api_key": "opaque"}), lambda: 0).has_api_key
    with pytest.raises(AuthenticationError, match="belong together"):
        Signer(Credentials({"access_key": "ak"}), lambda: 0)


def test_a_wrong_clock_is_mended_once() -> None:
    """After that it is an error of the machine's."""
    signer = Signer(Credentials({"access_key": "ak", "secret_key": "s" * 32}), lambda: 1000.0)
    assert signer.synchronise(5000.0)
    assert signer.skew == 4000
    assert not signer.synchronise(9000.0)
