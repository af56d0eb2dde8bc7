"""Where credentials come from: explicit argument, then environment. Never from anywhere else.

A provider card lists its *alternatives*: each is a set of fields that belong together
(an API key; or an access key with its secret). The first complete alternative wins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onetake.errors import AuthenticationError


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One credential field of a provider.

    Attributes:
        name: argument name, such as ``api_key``.
        env: environment variables that can hold it, the first one found wins.
    """

    name: str
    env: tuple[str, ...]


Alternative = tuple[CredentialField, ...]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Resolved credentials; their values never show in a ``repr``.

    Attributes:
        values: field name to secret.
        origin: where they came from, for messages ("the argument", "KLING_API_KEY").
    """

    values: Mapping[str, str] = field(repr=False)
    origin: str = "the argument"

    def get(self, name: str) -> str | None:
        """Return one field, or None."""
        return self.values.get(name)


def resolve(
    alternatives: Sequence[Alternative],
    explicit: Mapping[str, str | None],
    environ: Mapping[str, str] | None = None,
) -> Credentials | None:
    """Return the first complete alternative: explicit arguments first, then the environment."""
    given = {name: value for name, value in explicit.items() if value}
    for alternative in alternatives:
        if all(part.name in given for part in alternative):
            return Credentials({part.name: given[part.name].strip() for part in alternative})
    if given:
        return None
    return _from_environment(alternatives, os.environ if environ is None else environ)


def check_characters(credentials: Credentials) -> None:
    """Refuse what no HTTP header can carry, such as a dash that an editor has lengthened.

    Raises:
        AuthenticationError: naming the field, not its value.
    """
    for name, value in credentials.values.items():
        if not value.isascii() or not value.isprintable():
            raise AuthenticationError(
                f"{name} (from {credentials.origin}) has characters that no key has.",
                hint="Copy it again, without quotes, spaces or line breaks.",
            )


def _from_environment(
    alternatives: Sequence[Alternative], environ: Mapping[str, str]
) -> Credentials | None:
    for alternative in alternatives:
        for names in _spellings(alternative):
            if all(environ.get(name) for name in names):
                values = {
                    part.name: environ[name].strip()
                    for part, name in zip(alternative, names, strict=True)
                }
                return Credentials(values, " + ".join(names))
    return None


def _spellings(alternative: Alternative) -> list[tuple[str, ...]]:
    """Return the spellings of an alternative, field by field from the same column."""
    return list(zip(*(part.env for part in alternative), strict=True))


def describe(alternatives: Sequence[Alternative]) -> str:
    """Say which environment variables would do, for an error message."""
    return ", or ".join(
        " + ".join(names) for alternative in alternatives for names in _spellings(alternative)
    )
