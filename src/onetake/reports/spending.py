"""What was spent, by whatever the ledger knows of it."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from onetake.job import JobState, is_named
from onetake.ledger.reporting import JobCost
from onetake.money import NO_RATES, ExchangeRates, Money, exact
from onetake.reports.drift import Drift, added, drift_table, drifted
from onetake.reports.page import MOST_BARS, Chart
from onetake.reports.tables import Cell, Table

_CENT_OF_A_CENT = Decimal("0.0001")
NO_TAG = "(no tag)"
NO_RUN = "(no name)"


@dataclass(frozen=True)
class Sum:
    """What some jobs cost, in one currency.

    Attributes:
        name: what they have in common.
        currency: of all amounts; ``?`` where no price is known at all.
        jobs: how many.
        delivered: how many were delivered.
        failed: how many ended without a result.
        billed: what the vendors say that they took.
        assumed: estimates of ended jobs whose bill the vendor does not tell.
        reserved: what jobs that are under way may still cost.
        unpriced: jobs that cost something nobody knows; they are in no sum.
        estimated: expected cost of the jobs whose bill is known, for comparison.
        wasted: part of ``billed`` and ``assumed`` that brought no result.
        timed: part of them for films and sounds, failures and reruns included.
        seconds: length of what was delivered.
    """

    name: str
    currency: str
    jobs: int
    delivered: int
    failed: int
    billed: Decimal
    assumed: Decimal
    reserved: Decimal
    unpriced: int
    estimated: Decimal
    wasted: Decimal
    timed: Decimal
    seconds: Decimal

    @property
    def spent(self) -> Decimal:
        """What was billed, or is assumed to have been."""
        return self.billed + self.assumed

    @property
    def per_second(self) -> Decimal | None:
        """What a delivered second cost, with failures and reruns in it; pictures do not count."""
        if not self.seconds or self.unpriced:
            return None
        return (self.timed / self.seconds).quantize(_CENT_OF_A_CENT, ROUND_HALF_UP)


@dataclass(frozen=True)
class SpendingReport:
    """What the jobs of a span of time cost.

    Attributes:
        since: first day.
        until: last day.
        environment: ``live`` or ``sandbox``.
        totals: everything, by currency.
        groups: sums by day, provider, model, tag and run.
        drifts: estimates against bills, by price row; the largest difference first.
        unknown: jobs whose outcome is unknown: paid or not, nobody can tell yet.
        rates: the exchange rates that were used.
    """

    since: datetime.date
    until: datetime.date
    environment: str
    totals: tuple[Sum, ...]
    groups: dict[str, tuple[Sum, ...]]
    drifts: tuple[Drift, ...]
    unknown: tuple[Sum, ...]
    rates: ExchangeRates = NO_RATES

    def tables(self, by: Sequence[str] = ()) -> list[Table]:
        """Return the report as tables.

        Args:
            by: which groups; all when empty.
        """
        told = "; ".join(map(str, self.rates.rates))
        note = f"Converted at the rates that you set: {told}." if told else ""
        if not self.totals and not self.unknown:
            other = {"live": " Those of a sandbox are shown with --sandbox."}
            nothing = f"No jobs in these days.{other.get(self.environment, '')}"
            return [_sums("Total", "", (), nothing)]
        shown = [_sums("Total", "", self.totals, note)]
        for name in by or self.groups:
            shown.append(_sums(f"By {name}", name, self.groups[name], _NOTES.get(name, "")))
        shown += [drift_table(self.drifts)] if self.drifts else []
        shown += [_unknown(self.unknown)] if self.unknown else []
        return shown

    def to_json(self, by: Sequence[str] = ()) -> dict[str, Any]:
        """Return the documented JSON object, with all groups or only these."""
        wanted = {name: self.groups[name] for name in by or self.groups}
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "environment": self.environment,
            "totals": [_sum_json(item) for item in self.totals],
            **{f"by_{name}": list(map(_sum_json, found)) for name, found in wanted.items()},
            "drift": [item.to_json() for item in self.drifts],
            "unknown": [_sum_json(item) for item in self.unknown],
            "rates": [str(rate) for rate in self.rates.rates],
        }


_NOTES = {"tag": "A job with several tags counts under each."}


def spending_report(
    jobs: Iterable[JobCost],
    since: datetime.date,
    until: datetime.date,
    *,
    environment: str = "live",
    rates: ExchangeRates = NO_RATES,
) -> SpendingReport:
    """Sum the jobs of a span of time up.

    Args:
        jobs: the jobs of that span.
        since: first day (UTC).
        until: last day.
        environment: ``live`` or ``sandbox``, for the heading.
        rates: the user's exchange rates; without one, each currency has its own sums.
    """
    costs = [_converted(job, rates) for job in jobs]
    known = [job for job in costs if job.state is not JobState.UNKNOWN]
    lost = [job for job in costs if job.state is JobState.UNKNOWN]
    keys: dict[str, Callable[[JobCost], Iterable[str]]] = {
        "day": lambda job: [_day(job.created_at)],
        "provider": lambda job: [job.provider],
        "model": lambda job: [f"{job.provider} {job.model}"],
        "tag": lambda job: job.tags or (NO_TAG,),
        "run": lambda job: [job.run if job.run and is_named(job.run) else NO_RUN],
    }
    return SpendingReport(
        since=since,
        until=until,
        environment=environment,
        totals=_grouped(known, lambda job: ["all"]),
        groups={name: _grouped(known, key) for name, key in keys.items()},
        drifts=drifted(known),
        unknown=_grouped(lost, lambda job: [f"{job.provider} {job.model}"]),
        rates=rates,
    )


def _day(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).date().isoformat()


def _converted(job: JobCost, rates: ExchangeRates) -> JobCost:
    if job.currency is None or not rates.rates:
        return job
    source = job.currency

    def common(amount: Decimal | None) -> Decimal | None:
        return None if amount is None else rates.common(Money(amount, source)).amount

    return dataclasses.replace(
        job,
        currency=rates.common(Money(Decimal(0), source)).currency,
        estimated=common(job.estimated),
        actual=common(job.actual),
        reserved=common(job.reserved),
    )


def _grouped(jobs: Iterable[JobCost], keys: Callable[[JobCost], Iterable[str]]) -> tuple[Sum, ...]:
    found: dict[tuple[str, str], list[JobCost]] = {}
    for job in jobs:
        for name in keys(job):
            found.setdefault((name, job.currency or "?"), []).append(job)
    return tuple(_sum(name, currency, some) for (name, currency), some in sorted(found.items()))


def _sum(name: str, currency: str, jobs: Sequence[JobCost]) -> Sum:
    billed = [job for job in jobs if job.actual is not None]
    assumed = [job for job in jobs if _is_assumed(job)]
    waiting = [job for job in jobs if not job.state.ended and job.actual is None]
    return Sum(
        name=name,
        currency=currency,
        jobs=len(jobs),
        delivered=sum(job.state is JobState.DELIVERED for job in jobs),
        failed=sum(job.state.ended and job.state is not JobState.DELIVERED for job in jobs),
        billed=added(job.actual for job in billed),
        assumed=added(job.estimated for job in assumed),
        reserved=added(job.reserved for job in waiting),
        unpriced=sum(map(_is_unpriced, jobs)),
        estimated=added(job.estimated for job in billed if job.estimated is not None),
        wasted=added(job.actual for job in billed if _is_waste(job))
        + added(job.estimated for job in assumed if _is_waste(job)),
        timed=added(job.actual for job in billed if job.timed)
        + added(job.estimated for job in assumed if job.timed),
        seconds=added(job.seconds for job in jobs),
    )


def _is_assumed(job: JobCost) -> bool:
    """It is paid, the vendor does not say how much, and there was an estimate that still holds."""
    known = job.estimated is not None and job.as_estimated
    return job.actual is None and job.billed == "yes" and known


def _is_unpriced(job: JobCost) -> bool:
    """It cost, or may yet cost, something that nobody can name: no sum may hide that."""
    if job.actual is not None or job.billed == "no":
        return False
    if not job.state.ended:
        return job.reserved is None
    if job.billed == "yes":
        return not _is_assumed(job)
    return job.reserved != 0


def _is_waste(job: JobCost) -> bool:
    return job.state.ended and job.state is not JobState.DELIVERED


# ── as tables ──

_COLUMNS = (
    "currency", "jobs", "delivered", "failed", "billed", "assumed", "under way", "without result",
    "jobs of unknown cost", "seconds", "per delivered second",
)  # fmt: skip


def _sums(title: str, first: str, sums: Sequence[Sum], note: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for item in sums:
        figures: tuple[Cell, ...] = (
            item.currency, item.jobs, item.delivered, item.failed, item.billed, item.assumed,
            item.reserved, item.wasted, item.unpriced, item.seconds, item.per_second,
        )  # fmt: skip
        rows.append(((item.name, *figures)) if first else figures)
    columns = (first, *_COLUMNS) if first else _COLUMNS
    return Table(title, columns, tuple(rows), note, ("seconds", "delivered", "failed"))


def _unknown(sums: Sequence[Sum]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            item.name,
            item.jobs,
            item.currency,
            None if item.unpriced else item.reserved,
            item.unpriced,
        )
        for item in sums
    ]
    columns = ("model", "jobs", "currency", "at most", "jobs of unknown cost")
    note = "Whether the vendor has these jobs is not known; they are in no sum above."
    return Table("Outcome unknown", columns, tuple(rows), note)


def _sum_json(item: Sum) -> dict[str, Any]:
    amounts = ("billed", "assumed", "reserved", "estimated", "wasted", "seconds", "per_second")
    found = {name: getattr(item, name) for name in ("name", "currency", "jobs", "delivered")}
    found |= {"failed": item.failed, "unpriced": item.unpriced}
    return {**found, **{name: exact(getattr(item, name)) for name in amounts}}


# ── as charts ──


def spending_charts(report: SpendingReport) -> list[Chart]:
    """Return spend by day, model and tag, one chart for each currency."""
    charts = []
    for currency in dict.fromkeys(item.currency for item in report.totals):
        days = [item for item in report.groups["day"] if item.currency == currency]
        charts.append(_chart(f"Spent by day, {currency}", days[-MOST_BARS:]))
        for name in ("model", "tag"):
            own = [item for item in report.groups[name] if item.currency == currency]
            own = [item for item in own if item.spent or item.reserved]
            dearest = sorted(own, key=lambda item: (-item.spent, item.name))
            charts.append(_chart(f"Spent by {name}, {currency}", dearest[:MOST_BARS]))
    return charts


def _chart(title: str, sums: Sequence[Sum]) -> Chart:
    series = {
        "with a result": [item.spent - item.wasted for item in sums],
        "without a result": [item.wasted for item in sums],
        "under way": [item.reserved for item in sums],
    }
    shown = {name: values for name, values in series.items() if any(values)}
    return Chart(title, [item.name for item in sums], shown)
