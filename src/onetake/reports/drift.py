"""How far bills are from estimates, by price row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from onetake.job import JobState
from onetake.ledger.reporting import JobCost
from onetake.money import exact
from onetake.reports.tables import Cell, Table


@dataclass(frozen=True)
class Drift:
    """How far the bills of one price row are from its estimates.

    Attributes:
        row: name of the price row.
        provider: provider name.
        currency: of both amounts.
        jobs: jobs with an estimate, and a bill or a count of units.
        with_bill: those with a bill.
        estimated: the sum of their estimates; None if there is no bill.
        billed: the sum of their bills, or None.
        estimated_units: units that were estimated, of jobs whose vendor tells how many it counted.
        billed_units: units that it counted; what a different number costs may be in no bill yet.
    """

    row: str
    provider: str
    currency: str
    jobs: int
    with_bill: int
    estimated: Decimal | None
    billed: Decimal | None
    estimated_units: Decimal
    billed_units: Decimal

    @property
    def difference(self) -> Decimal | None:
        """What was billed beyond the estimates."""
        if self.billed is None or self.estimated is None:
            return None
        return self.billed - self.estimated

    @property
    def percent(self) -> Decimal | None:
        """The same in percent of the estimates; None for estimates of nothing."""
        if not self.estimated or self.difference is None:
            return None
        return (100 * self.difference / self.estimated).quantize(Decimal("0.1"), ROUND_HALF_UP)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON; amounts as decimal strings."""
        names = ("row", "provider", "currency", "jobs", "with_bill")
        amounts = (
            "estimated", "billed", "difference", "percent", "estimated_units", "billed_units",
        )  # fmt: skip
        found = {name: getattr(self, name) for name in names}
        return {**found, **{name: exact(getattr(self, name)) for name in amounts}}


def drifted(jobs: Iterable[JobCost]) -> tuple[Drift, ...]:
    """Return the drift of each price row, the largest difference first."""
    found: dict[tuple[str, str, str], list[JobCost]] = {}
    for job in jobs:
        told = job.estimated is not None and (job.actual is not None or None not in job.units)
        if told and job.row and job.currency and job.state is JobState.DELIVERED:
            found.setdefault((job.row, job.provider, job.currency), []).append(job)
    drifts = [_drift(key, some) for key, some in found.items()]
    return tuple(sorted(drifts, key=_by_size))


def _by_size(drift: Drift) -> tuple[Decimal, Decimal, str]:
    return (
        -abs(drift.difference or Decimal(0)),
        -abs(drift.billed_units - drift.estimated_units),
        drift.row,
    )


def _drift(key: tuple[str, str, str], jobs: Sequence[JobCost]) -> Drift:
    billed = [job for job in jobs if job.actual is not None]
    counted = [job for job in jobs if None not in job.units]
    return Drift(
        *key,
        jobs=len(jobs),
        with_bill=len(billed),
        estimated=added(job.estimated for job in billed) if billed else None,
        billed=added(job.actual for job in billed) if billed else None,
        estimated_units=added(job.units[0] for job in counted),
        billed_units=added(job.units[1] for job in counted),
    )


def added(amounts: Iterable[Decimal | None]) -> Decimal:
    """Add the known amounts up."""
    return sum((amount for amount in amounts if amount is not None), Decimal(0))


def drift_table(drifts: Sequence[Drift]) -> Table:
    """Return drifts as a table."""
    rows: list[tuple[Cell, ...]] = [
        (
            item.provider,
            item.row,
            item.jobs,
            item.with_bill,
            item.currency,
            item.estimated,
            item.billed,
            item.difference,
            item.percent,
            item.estimated_units or None,
            item.billed_units or None,
        )
        for item in drifts
    ]
    columns = (
        "provider", "price row", "jobs", "with a bill", "currency", "estimated", "billed",
        "difference", "drift in %", "estimated units", "billed units",
    )  # fmt: skip
    note = "Delivered jobs only. Units: as far as the vendor tells them, priced or not."
    spare = ("with a bill", "estimated units", "billed units")
    return Table("Estimated against billed", columns, tuple(rows), note, spare)
