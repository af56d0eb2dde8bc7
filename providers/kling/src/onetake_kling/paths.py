"""Which POSTs of the Kling API may cost something; the others may be repeated."""

from __future__ import annotations

import re

_FREE = re.compile(
    r"^/account/"  # the books
    r"|^/(tasks|solutions)/?$"  # lists
    r"|^/v1/general/delete-"
    r"|^/v1/videos/multi-elements/\w+-selection/?$"  # no price stands in the lists (2026-09-20)
)


def is_paid(path: str) -> bool:
    """Say whether a POST to this path may create something that is paid."""
    return _FREE.search(path) is None
