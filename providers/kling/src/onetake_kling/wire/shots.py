"""Shots: a film in several takes, in the grammar of the new API or the fields of the old one.

Facts: vendor pages of 2026-09-20: 1 to 6 shots, each of 1 s at least and 512 characters at most;
new: ``shot n, m, words; shot n, m, words;`` in the prompt; old: ``multi_prompt``.
"""

from __future__ import annotations

from typing import Any

from onetake.errors import UnsupportedParameter
from onetake.mentions import in_brackets, with_at
from onetake_kling.wire.sheet import Sheet

LONGEST = 512
SAID = "prompt: the shots have their own; it was left out."


def checked(sheet: Sheet) -> list[dict[str, Any]] | None:
    """Return the shots, or None.

    Raises:
        UnsupportedParameter: a shot that the vendor would refuse.
    """
    shots = sheet.given("shots")
    if shots is None:
        return None
    for number, shot in enumerate(shots, start=1):
        words, seconds = shot["prompt"], shot["duration"]
        if not words or len(words) > LONGEST:
            raise _refusal(number, f"its prompt has {len(words)} characters, not 1 to {LONGEST}")
        if not isinstance(seconds, int) or seconds < 1:
            raise _refusal(number, f"it lasts {seconds} s; whole seconds from 1 are possible")
    if sheet.request.prompt.strip() and SAID not in sheet.notes:
        sheet.notes.append(SAID)
    return list(shots)


def as_prompt(sheet: Sheet, shots: list[dict[str, Any]]) -> str:
    """Write shots in the new API's grammar."""
    for number, shot in enumerate(shots, start=1):
        if ";" in shot["prompt"]:
            raise _refusal(number, "a semicolon ends a shot there; use a comma")
    text = " ".join(
        f"shot {number}, {shot['duration']}, {with_at(' '.join(shot['prompt'].split()))};"
        for number, shot in enumerate(shots, start=1)
    )
    most = sheet.request.card.prompt_max
    if most is not None and len(text) > most:
        raise UnsupportedParameter(
            f"shots: {len(text)} characters together; {sheet.request.card.name} takes {most}.",
            provider="kling",
        )
    return text


def as_fields(shots: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write shots as the old API's ``multi_prompt``."""
    return [
        {"index": number, "prompt": in_brackets(shot["prompt"]), "duration": str(shot["duration"])}
        for number, shot in enumerate(shots, start=1)
    ]


def _refusal(number: int, why: str) -> UnsupportedParameter:
    return UnsupportedParameter(f"shots: shot {number}: {why}.", provider="kling")
