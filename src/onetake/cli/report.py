"""``onetake report``: what jobs cost."""

from __future__ import annotations

import datetime
import enum
from typing import Annotated

import typer

from onetake.cli import formats, options
from onetake.cli.ledger import ask
from onetake.errors import RequestError


class By(enum.StrEnum):
    """How to sum up."""

    DAY = "day"
    PROVIDER = "provider"
    MODEL = "model"
    TAG = "tag"
    RUN = "run"


_MONTH = datetime.timedelta(days=30)
_FIRST, _LAST = 2000, 2999


def report(
    since: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day (UTC); 30 days ago by default."),
    ] = None,
    until: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day (UTC); today by default."),
    ] = None,
    by: Annotated[list[By] | None, typer.Option(help="Only these sums; repeatable.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only jobs with this tag.")] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Jobs of sandboxes instead of real ones.")
    ] = False,
    form: formats.Form = None,
    out: formats.Out = None,
    as_json: options.Json = False,
) -> None:
    """Sum up what jobs cost, and compare it with what was estimated."""
    from onetake.ledger.reporting import job_costs
    from onetake.reports.spending import spending_charts, spending_report
    from onetake.request import normal
    from onetake.settings import load_settings

    settings = load_settings()
    last = _day(until) or datetime.datetime.now(datetime.UTC).date()
    first = _day(since) or max(last, datetime.date(_FIRST, 2, 1)) - _MONTH
    if first > last:
        raise RequestError(f"--since: {first} is after {last}.")
    if first.year < _FIRST or last.year > _LAST:
        raise RequestError(f"--since, --until: give days between {_FIRST} and {_LAST}.")
    environment = "sandbox" if sandbox else "live"
    tag = None if tag is None else normal(tag)
    span = (_start(first), _start(last + datetime.timedelta(days=1)))
    jobs = ask(lambda connection: job_costs(connection, environment, *span))
    found = spending_report(
        [job for job in jobs if tag is None or tag in job.tags],
        first,
        last,
        environment=environment,
        rates=settings.exchange_rates,
    )
    shown = formats.Report(
        title=f"What was spent from {first} to {last}",
        facts=[f"{_ENVIRONMENTS[environment]}{f', tag {tag}' if tag else ''}. Days are UTC."],
        tables=found.tables([one.value for one in by or ()]),
        charts=spending_charts(found),
        record=found.to_json([one.value for one in by or ()]),
    )
    formats.show(shown, form, out, as_json=as_json)


_ENVIRONMENTS = {"live": "Real jobs", "sandbox": "Jobs of the sandbox, which cost nothing"}


def _day(moment: datetime.datetime | None) -> datetime.date | None:
    return None if moment is None else moment.date()


def _start(day: datetime.date) -> float:
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp()
