"""Outcomes: what the vendor says of a task, as columns of its job."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from onetake.driver import Charge, Snapshot
from onetake.ledger.records import JobRecord
from onetake.money import exact

Priced = Callable[[Charge, Mapping[str, Any]], Charge]
"""Puts money beside a charge in units; knows the job's estimate."""


def outcome(record: JobRecord, snapshot: Snapshot, priced: Priced) -> dict[str, Any]:
    """Return the columns that change when the vendor says this."""
    values: dict[str, Any] = {"task": snapshot.status, "position": snapshot.position}
    if snapshot.outputs:
        values["outputs"] = [dataclasses.asdict(item) for item in snapshot.outputs]
    if snapshot.facts:
        values["facts"] = dict(snapshot.facts)
    if snapshot.charge is not None:
        values["actual"] = actual(priced(snapshot.charge, record.estimate or {}))
    if snapshot.error is not None:
        values["error"] = record.told(snapshot.error)
    return values


def actual(charge: Charge) -> dict[str, Any]:
    """Return a charge as the ledger and ``--json`` show it; numbers as decimal strings."""
    return {
        "amount": exact(charge.amount),
        "currency": charge.currency,
        "units": exact(charge.units),
    }
