"""When to look or try again. Pure: the time is passed in."""

from __future__ import annotations

FIRST_LOOK = 0.55
"""Share of the typical run time after which the first look is worth while."""

INTERVAL = 0.1
"""Share of the typical run time between two looks."""

SHORTEST, LONGEST = 0.2, 20.0
"""Bounds of the interval between two looks, in seconds."""


def next_look(accepted_at: float, now: float, typical: float) -> float:
    """Return when to look (again), in seconds since the epoch.

    The first look comes late, the next ones closer together; a job that takes much longer than
    is typical is asked less and less often.
    """
    first = accepted_at + FIRST_LOOK * typical
    if now < first:
        return max(first, now)
    overdue = max(0.0, now - accepted_at - 2 * typical)
    return now + min(max(typical * INTERVAL + overdue * 0.05, SHORTEST), LONGEST)


def backoff(attempt: int, asked: float | None = None) -> float:
    """Return the pause in seconds before trying again; ``attempt`` counts from 0.

    A pause that the vendor asked for is honoured.
    """
    return max(min(1.0 * 1.7**attempt, 30.0), asked or 0.0)
