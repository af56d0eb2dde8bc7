"""Tables as plain text, Markdown and CSV."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from onetake.money import exact, plain

Cell = str | int | Decimal | None
NOTHING = "–"
SECONDS = "seconds"
"""The column of decimals that are no money."""

_MARKUP = re.compile(r"[\\|`*_\[\]!~]")
"""What Markdown would take for more than text; ``<`` and ``&`` are escaped as in HTML."""

_ADDRESS = re.compile(r"(https?://[^\s|`\\\[\]()<>]+)")

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Table:
    """Rows under named columns.

    Attributes:
        title: what it shows.
        columns: names; those of amounts of money end with the unit, such as ``USD/second``.
        rows: cells; None is an unknown, and shown as such, never as zero.
        note: a sentence below it.
        spare: columns that a narrow terminal may leave out, the first first.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    spare: tuple[str, ...] = ()

    def shown(self) -> list[list[str]]:
        """Return the cells as people read them."""
        return [
            [_shown(cell, column) for cell, column in zip(row, self.columns, strict=True)]
            for row in self.rows
        ]


def _shown(cell: Cell, column: str) -> str:
    if cell is None:
        return NOTHING
    if not isinstance(cell, Decimal):
        return one_line(str(cell))
    return f"{round(cell, 2).normalize():f}" if column == SECONDS else plain(cell)


def one_line(text: str) -> str:
    """Return a text without what moves a cursor or breaks a line; a prompt may hold anything."""
    return "".join(char if char.isprintable() else " " for char in text)


def markdown(tables: Iterable[Table]) -> str:
    """Write tables as Markdown."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    lines = [
        f"## {escaped(table.title)}",
        "",
        _row(table.columns),
        _row(["---"] * len(table.columns)),
    ]
    lines += [_row(row) for row in table.shown()]
    lines += ["", escaped(table.note), ""] if table.note else [""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"


def escaped(text: str) -> str:
    """Write a text for Markdown: nothing in it is markup, and addresses stay what they are."""
    parts = _ADDRESS.split(html.escape(text, quote=False))
    parts[::2] = [_MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
    parts[1::2] = [re.sub(r"[*~!]", r"\\\g<0>", part) for part in parts[1::2]]
    return "".join(parts)


def as_csv(tables: Sequence[Table]) -> str:
    """Write tables as CSV, the title in the first column; amounts as exact decimals.

    Text that a spreadsheet would take for a formula gets a quote in front.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for number, table in enumerate(tables):
        if number:
            writer.writerow([])
        writer.writerow(["table", *table.columns])
        writer.writerows([table.title, *map(_exact, row)] for row in table.rows)
    return file.getvalue()


def _exact(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_FORMULA) else cell
    return str(exact(cell) if isinstance(cell, Decimal) else cell)


def as_text(table: Table) -> str:
    """Write a table as aligned plain text."""
    lines = aligned(table.columns, table.shown())
    return "\n".join([table.title, *lines, *([table.note] if table.note else []), ""])


def aligned(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table whose columns are as wide as they need be."""
    from rich.cells import cell_len  # some characters are two columns wide

    cells = [list(columns), *rows]
    widths = [max(cell_len(row[place]) for row in cells) for place in range(len(columns))]
    return [
        "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]
