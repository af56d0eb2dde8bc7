"""Output: tables and colour for a terminal, plain text for a pipe, one JSON object for --json."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import typer

from onetake import errors

DONE, FAILED, USAGE, CREDENTIALS, BUDGET, UNKNOWN, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (errors.RequestError, USAGE),
    (errors.ConfigurationError, USAGE),
    (errors.AuthenticationError, CREDENTIALS),
    (errors.InsufficientCredits, CREDENTIALS),
    (errors.BudgetExceeded, BUDGET),
    (errors.SubmissionUnknown, UNKNOWN),
    (errors.OnetakeError, FAILED),
)
"""The first that fits decides."""


def exit_code(error: Exception) -> int:
    """Return the exit code for an error."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), FAILED)


def guarded(command: Callable[..., Any]) -> int:
    """Run the app; put every expected error into one line, and into the object of --json."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _is_utf8(stream):
            stream.reconfigure(errors="backslashreplace")  # what it lacks is told all the same
    try:
        result = command(standalone_mode=False, prog_name="onetake")
    except (errors.OnetakeError, errors.ConfigurationError) as error:
        return _told(error, exit_code(error))
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except Exception as error:
        # typer has brought its own copy of click since 0.20: its usage errors are known by form
        if not hasattr(error, "format_message"):
            raise
        text = _sentence(error.format_message())
        return _told(errors.RequestError(text), USAGE) if text else USAGE
    return result if isinstance(result, int) else DONE


def _told(error: Exception, code: int) -> int:
    if "--json" in sys.argv:
        print_json({"error": to_record(error)})
    complain(error)
    return code


def to_record(error: Exception) -> dict[str, Any]:
    """Return an error as plain JSON."""
    if isinstance(error, errors.OnetakeError):
        return error.to_record()
    return {"type": type(error).__name__, "message": str(error)}


def _sentence(text: str) -> str:
    return " ".join(text.split())


def complain(error: Exception) -> None:
    """Print one line about an error to standard error."""
    print(f"onetake: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201


def print_json(value: Any) -> None:
    """Print one JSON value to standard output."""
    print(json.dumps(value, ensure_ascii=not _is_utf8(sys.stdout), indent=2))  # noqa: T201


def _is_utf8(stream: object) -> bool:
    return str(getattr(stream, "encoding", None)).lower().replace("-", "") == "utf8"


def say(text: str) -> None:
    """Print a line to standard output."""
    print(text)  # noqa: T201


def hint(text: str) -> None:
    """Print a line to standard error, where it does not disturb a pipe."""
    print(text, file=sys.stderr)  # noqa: T201


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], spare: Sequence[str] = ()) -> None:
    """Print a table: ruled on a terminal, aligned plain text in a pipe.

    Args:
        columns: names.
        rows: cells.
        spare: columns that a narrow terminal may leave out, the first first.
    """
    texts = [[_cell(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _ruled(columns, texts, spare)
    else:
        _plain(columns, texts)


def _plain(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from onetake.reports.tables import aligned

    for line in aligned(columns, rows):
        say(line)


def _cell(value: Any) -> str:
    from onetake.reports.tables import NOTHING, one_line

    return NOTHING if value is None else one_line(str(value))


_FIGURE = re.compile(r"[-\d.,]+%?|–")
_FOLDED = 12
"""Characters of a line of a text that is folded, at the least."""


def _ruled(
    columns: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str] = ()
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, ruled = Console(), Table(box=box.SIMPLE_HEAD, header_style="bold")
    chosen = _chosen(columns, rows, spare, console.width)
    if chosen is None:
        _plain(columns, rows)
        return
    for place, width in chosen.items():
        side: Literal["left", "right"] = "right" if _are_figures(rows, place) else "left"
        ruled.add_column(columns[place], width=width, overflow="fold", justify=side)
    for row in rows:
        ruled.add_row(*(Text(row[place]) for place in chosen))  # a prompt is not taken for markup
    console.print(ruled)
    gone = [column for place, column in enumerate(columns) if place not in chosen]
    if gone:
        hint(f"left out for want of room: {', '.join(gone)}; --format markdown has them")


def _chosen(
    columns: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str], room: int
) -> dict[int, int] | None:
    """Return the width of each column that there is room for; None if that is not enough."""
    places = list(range(len(columns)))
    for name in (None, *spare):
        places = [place for place in places if columns[place] != name]
        some = [[row[place] for place in places] for row in rows]
        widths = _widths([columns[place] for place in places], some, room)
        if widths is not None:
            return dict(zip(places, widths, strict=True))
    return None


def _are_figures(rows: Sequence[Sequence[str]], place: int) -> bool:
    return all(_FIGURE.fullmatch(row[place]) for row in rows)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Return the width of each column; None if there is no room for what has to be whole.

    Whole are the first two columns, which are copied, and figures: half of one is another one.
    Other texts may be folded.
    """
    from rich.cells import cell_len

    least, needs = [], []
    room -= 3 * len(columns) + 1  # what rich puts between them
    for place, column in enumerate(columns):
        longest = max((cell_len(row[place]) for row in rows), default=0)
        is_whole = place < 2 or _are_figures(rows, place)
        word = max((cell_len(part) for part in column.split()), default=1)
        least.append(max(word, longest if is_whole else min(longest, _FOLDED)))
        needs.append(max(cell_len(column), longest) - least[place])
    spare = room - sum(least)
    if spare < 0:
        return None
    for left, place in enumerate(sorted(range(len(columns)), key=lambda place: needs[place])):
        given = min(needs[place], spare // (len(columns) - left))
        least[place] += given
        spare -= given
    return least
