"""Mentions: how a prompt names its references.

Neutral prompts say ``@image_1``, ``@element_2``, ``@video_1``, ``@voice_1``; the vendors' own
spellings are understood too.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_MENTION = re.compile(
    r"<<<?(?P<a>image|element|video|voice)_(?P<n>\d+)>>>?|"
    r"@(?P<b>image|element|video|voice)_?(?P<m>\d+)\b",
    re.IGNORECASE,
)


def rewrite(prompt: str, spell: Callable[[str, int], str]) -> str:
    """Return a prompt whose mentions are spelled by a function of kind and number."""

    def replace(match: re.Match[str]) -> str:
        kind, number = match["a"] or match["b"], match["n"] or match["m"]
        return spell(kind.lower(), int(number))

    return _MENTION.sub(replace, prompt)


def with_at(prompt: str) -> str:
    """Spell mentions ``@image_1``."""
    return rewrite(prompt, lambda kind, number: f"@{kind}_{number}")


def in_brackets(prompt: str) -> str:
    """Spell mentions ``<<<image_1>>>``."""
    return rewrite(prompt, lambda kind, number: f"<<<{kind}_{number}>>>")
