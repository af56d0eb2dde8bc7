"""The formats of reports: terminal table, Markdown, CSV, JSON, and one HTML file."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onetake.cli import output
from onetake.errors import RequestError

if TYPE_CHECKING:
    from onetake.reports.page import Chart
    from onetake.reports.tables import Table


class Format(enum.StrEnum):
    """How to print a report."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"
    HTML = "html"


_ENDINGS = {
    ".md": Format.MARKDOWN,
    ".csv": Format.CSV,
    ".json": Format.JSON,
    ".html": Format.HTML,
    ".htm": Format.HTML,
    ".txt": Format.TABLE,
}

Form = Annotated[
    Format | None,
    typer.Option("--format", help="How to print it; by default as the name after -o ends."),
]
Out = Annotated[Path | None, typer.Option("-o", "--output", help="Write it into this file.")]


@dataclass(frozen=True)
class Report:
    """What a command has to show.

    Attributes:
        title: heading of the page.
        facts: sentences below it.
        tables: what it says.
        charts: for the page.
        record: the documented JSON object.
    """

    title: str
    facts: Sequence[str]
    tables: Sequence[Table]
    charts: Sequence[Chart]
    record: Any


def show(report: Report, form: Format | None, out: Path | None, *, as_json: bool) -> None:
    """Print a report, or write it into a file.

    Raises:
        RequestError: the file cannot be written, or its name says no format.
        ConfigurationError: the charting library is not installed.
    """
    chosen = Format.JSON if as_json else form or _by_name(out)
    if out is None and chosen is Format.TABLE:
        for fact in (report.title, *report.facts):
            output.hint(fact)
        for table in report.tables:
            _print(table, alone=len(report.tables) == 1)
        return
    if out is None and chosen is Format.JSON:
        output.print_json(report.record)
        return
    text = _text(report, chosen)
    if out is None:
        output.say(text.rstrip("\n"))
        return
    from onetake.files import write_atomic

    try:
        if out.exists() and not out.is_file():  # a pipe or a device is written to, not replaced
            out.write_text(text, "utf-8")
        else:
            write_atomic(out.resolve(), text.encode())
    except OSError as error:
        raise RequestError(f"-o: {out} cannot be written: {error.strerror or error}.") from error
    output.hint(f"written to {out}")


def _by_name(out: Path | None) -> Format:
    if out is None:
        return Format.TABLE
    if out.suffix.lower() not in _ENDINGS:
        raise RequestError(
            f"-o: {out.name}: the name says no format.",
            hint=f"End it with one of {', '.join(_ENDINGS)}, or give --format.",
        )
    return _ENDINGS[out.suffix.lower()]


def _text(report: Report, form: Format) -> str:
    import json

    from onetake.reports import page, tables

    if form is Format.JSON:
        return json.dumps(report.record, ensure_ascii=False, indent=2) + "\n"
    if form is Format.CSV:
        return tables.as_csv(report.tables)
    if form is Format.HTML:
        return page.page(report.title, report.facts, report.charts, report.tables)
    if form is Format.MARKDOWN:
        title, *facts = map(tables.escaped, (report.title, *report.facts))
        head = "\n\n".join([f"# {title}", *facts])
        return f"{head}\n\n{tables.markdown(report.tables)}"
    head = "\n".join([report.title, *report.facts])
    return "\n".join([f"{head}\n", *map(tables.as_text, report.tables)])


def _print(table: Table, *, alone: bool) -> None:
    if not alone:
        output.say(f"\n{table.title}")
    output.table(table.columns, table.shown(), table.spare)
    if table.note:
        output.hint(table.note)
