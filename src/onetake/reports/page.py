"""One self-contained HTML page: a heading, charts, tables. It loads nothing when it is opened.

Charts are drawn by pygal as SVG; their colours are the page's own, which follow the reader's choice
of light or dark.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from onetake.errors import ConfigurationError
from onetake.reports.tables import Cell, Table

if TYPE_CHECKING:
    from pygal.graph.graph import Graph

COLOURS = 6
"""Series that have a colour of their own; more of them begin anew."""

LONGEST = 52
"""Characters of a label; the table has the whole."""

WORD = 32
"""Characters of what is not broken into lines."""

MOST_BARS = 40
"""Bars of one chart; what is beyond stands in the table, and the chart says so."""


@dataclass(frozen=True)
class Chart:
    """A chart of bars that lie on their side: the names of models are long.

    Attributes:
        title: what it shows.
        labels: one for each bar.
        series: name to one value for each bar, stacked; None is nothing.
    """

    title: str
    labels: Sequence[str]
    series: Mapping[str, Sequence[Decimal | None]]

    @property
    def is_empty(self) -> bool:
        """There is nothing to draw."""
        return not any(value is not None for values in self.series.values() for value in values)


def page(title: str, facts: Sequence[str], charts: Sequence[Chart], tables: Sequence[Table]) -> str:
    """Return the whole page.

    Args:
        title: heading.
        facts: sentences below it.
        charts: drawn in this order; empty ones are left out.
        tables: shown below the charts.

    Raises:
        ConfigurationError: the charting library is not installed; names the extra.
    """
    drawn = [_figure(chart) for chart in charts if not chart.is_empty]
    body = [
        f"<h1>{html.escape(title)}</h1>",
        *(f"<p>{html.escape(fact)}</p>" for fact in facts),
        *drawn,
        *map(_table, tables),
    ]
    return _PAGE.format(title=html.escape(title), style=_STYLE, body="\n".join(body))


def _figure(chart: Chart) -> str:
    svg = _graph(chart).render(is_unicode=True)
    svg = re.sub(r"<!--.*?-->|<script.*?</script>", "", svg, flags=re.DOTALL)
    left = len(chart.labels) - MOST_BARS
    more = f" (without {left} more, which stand in the table)" if left > 0 else ""
    name = html.escape(chart.title + more)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)
    return f'<figure><figcaption>{name}</figcaption><div class="wide">{svg}</div></figure>'


def _graph(chart: Chart) -> Graph:
    try:
        import pygal
        from pygal.style import Style
    except ImportError as error:
        raise ConfigurationError(
            "HTML reports need a charting library that is not installed; install it with "
            "`pip install 'onetake[report]'`, or choose another format."
        ) from error
    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--ink)",
        foreground_strong="var(--ink)",
        foreground_subtle="var(--line)",
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
        font_family="inherit",
        opacity="1",
        opacity_hover="0.8",
        colors=tuple(f"var(--series-{number})" for number in range(1, COLOURS + 1)),
        label_font_size=13,
        major_label_font_size=13,
        legend_font_size=13,
    )
    options: dict[str, Any] = {
        "style": style,
        "js": (),
        "disable_xml_declaration": True,
        "legend_at_bottom": True,
        "legend_box_size": 13,
        "spacing": 8,
        "margin": 12,
        "width": 960,
        "truncate_label": -1,
        "truncate_legend": -1,
        "value_formatter": lambda value: f"{value:.4f}".rstrip("0").rstrip("."),
        "show_legend": len(chart.series) > 1,
    }
    labels = [_shortened(label) for label in chart.labels[:MOST_BARS]][::-1]  # counted from below
    graph = pygal.HorizontalStackedBar(height=120 + 26 * len(labels), **options)
    graph.x_labels = labels
    for name, values in chart.series.items():
        drawn = values[:MOST_BARS][::-1]
        graph.add(name, [None if value is None else float(value) for value in drawn])
    return graph


def _shortened(label: str) -> str:
    """Shorten a label in its middle: models of one family differ at the end."""
    if len(label) <= LONGEST:
        return label
    half = (LONGEST - 1) // 2
    return f"{label[:half]}…{label[-half:]}"


def _table(table: Table) -> str:
    kinds = [_kind([row[place] for row in table.rows]) for place in range(len(table.columns))]
    head = "".join(
        f'<th scope="col"{kind}>{html.escape(column)}</th>'
        for column, kind in zip(table.columns, kinds, strict=True)
    )
    rows = []
    for shown in table.shown():
        cells = (
            f"<td{kind}>{html.escape(text)}</td>" for text, kind in zip(shown, kinds, strict=True)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    note = f"<p>{html.escape(table.note)}</p>" if table.note else ""
    title = html.escape(table.title)
    return (
        f'<section><h2>{title}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{note}</section>"
    )


def _kind(cells: Sequence[Cell]) -> str:
    """Return the class of a column: figures stand to the right, long texts have room."""
    known = [cell for cell in cells if cell is not None]
    if known and all(isinstance(cell, int | Decimal) for cell in known):
        return ' class="number"'
    if any(len(str(cell)) > LONGEST for cell in known):
        return ' class="long"'
    return ' class="word"' if known and all(len(str(cell)) <= WORD for cell in known) else ""


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

_STYLE = """
:root {
  --paper: #ffffff; --ink: #1b1f24; --line: #d0d7de; --soft: #f3f5f7;
  --series-1: #2166ac; --series-2: #c2571a; --series-3: #1b7f4d;
  --series-4: #7b3fa0; --series-5: #8a6d00; --series-6: #5b6570;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e6e9ec; --line: #3a4149; --soft: #1e2328;
    --series-1: #6cb0f2; --series-2: #f0935a; --series-3: #5fcf97;
    --series-4: #c493e6; --series-5: #e0c04a; --series-6: #a3adb8;
  }
}
body { background: var(--paper); color: var(--ink); margin: 0;
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 80rem; margin: 0 auto; padding: 2rem 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.15rem; margin-top: 2.5rem; }
figure { margin: 2rem 0; }
figure .wide svg { width: 100%; min-width: 40rem; height: auto; }
figcaption { font-weight: 600; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { background: var(--soft); }
.word { white-space: nowrap; }
.long { min-width: 30rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
@media print { main { max-width: none; } figure, section { break-inside: avoid; } }
"""
