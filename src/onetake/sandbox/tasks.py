"""Tasks of the emulated vendors: pure records whose phase follows from the time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Outcome = Literal["succeeded", "failed", "moderation", "invalid"]
QUEUE_SHARE = 0.25
"""Share of a job's time that it spends in the queue."""

SLOW = 10.0
"""How much longer ``[[slow]]`` takes."""


@dataclass(frozen=True, slots=True)
class SandboxTask:
    """One accepted task.

    Attributes:
        id: the vendor's id.
        provider: dialect name.
        model: as the vendor names it.
        endpoint: path or endpoint id that created it.
        accepted_at: sandbox time, seconds.
        seconds: from acceptance to the end.
        queue_share: share of them that it spends in the queue.
        outcome: how it ends.
        prompt: as sent.
        external_id: the caller's id, unique per provider, or None.
        film: what it renders, as plain JSON, or None.
        files: all outputs, each with its ``name`` and ``media``; empty where the film is all.
        bucket: concurrency bucket, or None if the vendor counts nothing.
        weight: slots that it takes in the bucket.
        amount: what the vendor charges on success, decimal string, or None if unknown.
        currency: of the amount.
        units: vendor units, decimal string, or None.
        pack: which pack pays.
        cancelled_at: sandbox time, or None.
        reason: why it fails.
        extra: whatever the dialect needs to answer.
    """

    id: str
    provider: str
    model: str
    endpoint: str
    accepted_at: float
    seconds: float
    queue_share: float = QUEUE_SHARE
    outcome: Outcome = "succeeded"
    prompt: str = ""
    external_id: str | None = None
    film: Mapping[str, Any] | None = None
    bucket: str | None = None
    weight: int = 1
    amount: str | None = None
    currency: str = "USD"
    units: str | None = None
    pack: str | None = None
    files: Sequence[Mapping[str, Any]] = ()
    cancelled_at: float | None = None
    reason: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ends_at(self) -> float:
        """Sandbox time at which it ends."""
        return self.accepted_at + self.seconds

    @property
    def starts_at(self) -> float:
        """Sandbox time at which it leaves the queue."""
        return self.accepted_at + self.queue_share * self.seconds

    def phase(self, now: float) -> Phase:
        """Return where the task is at a sandbox time."""
        if self.cancelled_at is not None and self.cancelled_at < self.starts_at:
            return "cancelled"
        if now < self.starts_at:
            return "queued"
        if now < self.ends_at:
            return "running"
        return "succeeded" if self.outcome == "succeeded" else "failed"

    def updated_at(self, now: float) -> float:
        """Return the time of the last change of phase."""
        if now >= self.ends_at:
            return self.ends_at
        return self.starts_at if now >= self.starts_at else self.accepted_at

    def charge(self, now: float) -> dict[str, Any]:
        """Return the row of ``GET /_sandbox/charges``."""
        return {
            "provider": self.provider,
            "task_id": self.id,
            "external_id": self.external_id,
            "model": self.model,
            "accepted_at": self.accepted_at,
            "settled": self.phase(now) == "succeeded",
            "amount": self.amount,
            "currency": self.currency,
            "units": self.units,
        }

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return dataclasses.asdict(self)


def outcome_of(prompt: str) -> Outcome:
    """Read the magic words that make a task end badly."""
    if "[[fail]]" in prompt:
        return "failed"
    if "[[moderation]]" in prompt:
        return "moderation"
    return "succeeded"


def seconds_of(prompt: str, usual: float) -> float:
    """Return a task's run time; ``[[slow]]`` takes ten times as long."""
    return usual * SLOW if "[[slow]]" in prompt else usual
