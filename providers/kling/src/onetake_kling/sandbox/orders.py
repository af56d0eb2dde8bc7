"""Orders: what a valid body asks for, and accepting it as a task."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from onetake.sandbox import Sandbox, SandboxTask
from onetake.sandbox.store import DuplicateExternalId
from onetake.sandbox.tasks import outcome_of, seconds_of
from onetake_kling.sandbox import prices
from onetake_kling.sandbox.answers import Refusal, invalid
from onetake_kling.sandbox.fields import Body, watermarked
from onetake_kling.sandbox.rules import VERSIONS

Media = Mapping[str, Any]
"""What is to be drawn, as plain JSON."""


@dataclass(frozen=True)
class Order:
    """What a valid body asks for.

    Attributes:
        endpoint: path of the create call.
        model: as the vendor names it there.
        generation: ``new``, ``old`` or ``solution``: which body answers.
        prompt: as sent.
        kind: member of ``task_result`` that holds the outputs.
        files: name and media of each output file.
        external_id: the caller's id, or None.
        callback_url: where every change is told, or None.
        units: what the vendor deducts on success, or None if its tables do not say.
        pack: which pack pays.
        weight: slots that it takes.
        reason: why it will fail, or None.
        watermark: whether there are copies with watermark; None where nothing was said.
        info: whatever the records need.
    """

    endpoint: str
    model: str
    generation: str
    prompt: str
    kind: str
    files: Sequence[Media]
    external_id: str | None = None
    callback_url: str | None = None
    units: Decimal | None = None
    pack: str = "video"
    weight: int = 1
    reason: str | None = None
    watermark: bool | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        """What the vendor counts together: model version and kind of pack."""
        return f"{VERSIONS.get(self.model, self.model)}/{self.pack}"


def common(body: Mapping[str, Any]) -> dict[str, Any]:
    """Read what every create takes: the old API in the body, the others in ``options``."""
    return {
        "external_id": body.get("external_task_id") or None,
        "callback_url": body.get("callback_url") or None,
    }


def old_order(path: str, model: str, body: Body, *, kind: str, **rest: Any) -> Order:
    """Return an order of a picture or video of the old API, with what all have."""
    return Order(
        endpoint=path,
        model=model,
        generation="old",
        kind=kind,
        watermark=watermarked(body),
        **common(body),
        **rest,
    )


def create(sandbox: Sandbox, order: Order) -> SandboxTask:
    """Accept an order: check id, pack and slots, remember the task.

    Raises:
        Refusal: duplicate id, empty pack, or no free slot.
    """
    external, now = order.external_id, sandbox.now()
    for name, value in (("external_task_id", external), ("callback_url", order.callback_url)):
        if value is not None and not isinstance(value, str):
            raise invalid(f"{name} value type is invalid, expected string")
    if external and sandbox.store.task_by_external_id("kling", external) is not None:
        raise invalid(f"External_task_id {external} already exists")
    check_pack(sandbox, order.pack)
    running = sandbox.store.running("kling", order.bucket, now)
    if running and running + order.weight > sandbox.settings.concurrency:
        raise Refusal(1303, "parallel task over resource pack limit")
    try:
        return sandbox.accept(_task(sandbox, order, now))
    except DuplicateExternalId:
        raise invalid(f"External_task_id {external} already exists") from None


def check_pack(sandbox: Sandbox, pack: str) -> None:
    """Refuse when a pack is empty.

    Raises:
        Refusal: 1102.
    """
    if remaining_units(sandbox, pack) <= 0:
        raise Refusal(1102, "Account balance not enough")


def remaining_units(sandbox: Sandbox, pack: str) -> float:
    """Return what is left in a pack; tasks deduct when they succeed."""
    return sandbox.settings.units - sandbox.store.units_spent("kling", pack, sandbox.now())


def _task(sandbox: Sandbox, order: Order, now: float) -> SandboxTask:
    reason = order.reason
    outcome = "failed" if reason else outcome_of(order.prompt)
    if outcome == "moderation":
        reason = "Failure to pass the risk control system"
    units, price = order.units, prices.unit_usd(order.pack)
    films = [item["media"] for item in order.files if item["media"].get("kind") == "film"]
    return SandboxTask(
        id=new_id(),
        provider="kling",
        model=order.model,
        endpoint=order.endpoint,
        accepted_at=now,
        seconds=seconds_of(order.prompt, sandbox.settings.seconds_per_job),
        outcome=outcome,
        prompt=order.prompt,
        external_id=order.external_id,
        film=films[0] if films else None,
        files=list(order.files),
        bucket=order.bucket,
        weight=order.weight,
        amount=None if units is None else f"{(units * price).normalize():f}",
        units=None if units is None else f"{units.normalize():f}",
        pack=order.pack,
        reason=reason or "the sandbox was told to fail",
        extra={
            "generation": order.generation,
            "kind": order.kind,
            "watermark": order.watermark,
            "callback_url": order.callback_url,
            **order.info,
        },
    )


def at_once(sandbox: Sandbox, order: Order) -> SandboxTask:
    """Accept an order whose answer is the result: it is over, and charged, now.

    Raises:
        Refusal: the pack is empty.
    """
    check_pack(sandbox, order.pack)
    task = _task(sandbox, order, sandbox.now())
    object.__setattr__(task, "seconds", 0.0)
    object.__setattr__(task, "bucket", None)
    return sandbox.accept(task)


def new_id() -> str:
    """Return an id as the vendor's are: 18 digits, the last free for the ids of outputs."""
    return str((secrets.randbelow(9 * 10**16) + 10**16) * 10)
