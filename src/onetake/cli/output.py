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
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an output that lacks a character gets a "?"
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
    print(json.dumps(value, ensure_ascii=False, indent=2))  # noqa: T201


def say(text: str) -> None:
    """Print a line to standard output."""
    print(text)  # noqa: T201


def hint(text: str) -> None:
    """Print a line to standard error, where it does not disturb a pipe."""
    print(text, file=sys.stderr)  # noqa: T201


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table: ruled on a terminal, aligned plain text in a pipe."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _ruled(columns, texts)
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
_ANY = 10_000


def _ruled(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, ruled = Console(), Table(box=box.SIMPLE_HEAD, header_style="bold")
    for number, column in enumerate(columns):
        cells = [row[number] for row in rows]
        figures = all(map(_FIGURE.fullmatch, cells))
        # what is copied must be whole, and half a figure is another one; descriptions may wrap
        whole = number < 2 or figures
        least = max([len(word) for word in column.split()] + [min(len(c), 12) for c in cells])
        side: Literal["left", "right"] = "right" if figures else "left"
        ruled.add_column(
            column, no_wrap=whole, min_width=None if whole else least, overflow="fold", justify=side
        )
    for row in rows:
        ruled.add_row(*map(Text, row))  # a prompt may hold what rich takes for markup
    if ruled.__rich_measure__(console, console.options.update(width=_ANY)).minimum > console.width:
        _plain(columns, rows)
    else:
        console.print(ruled)
