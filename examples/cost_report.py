"""What would our 30-second film cost, whichever way we make it? One page for a manager.

Six shots of five seconds, 1080p, on every route: each provider alone, each model for all shots,
the cheapest mix; silent and with sound. No key, no network, nothing is paid.

    python examples/cost_report.py [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from onetake import GenerationRequest, Storyboard, compare_shots
from onetake.files import write_atomic
from onetake.money import plain
from onetake.reports.comparison import storyboard_charts, storyboard_tables
from onetake.reports.page import page
from onetake.reports.tables import as_csv, markdown

SHOTS = (
    "mist over a lake at dawn",
    "a rowing boat leaves the jetty",
    "the oars, close",
    "rain begins",
    "the boat from above, small",
    "the same lake at night",
)


def storyboard(*, sound: bool) -> Storyboard:
    """Price all shots on all routes; each starts from a still that we have."""
    return compare_shots(
        [
            GenerationRequest(
                prompt,
                generation_type="image-to-video",
                parameters={"duration": 5, "resolution": "1080p", "audio": sound},
            )
            for prompt in SHOTS
        ]
    )


def summary(board: Storyboard) -> list[str]:
    """Say in sentences what a manager asks first."""
    routes = [route for route in board.routes if route.expected is not None]
    facts = [f"{board.mix.seconds} seconds in {len(board.shots)} shots."]
    for mix in board.mixes:
        assert mix.expected is not None
        facts.append(f"The {mix.name} costs {mix.currency} {plain(mix.expected)}.")
    for total in board.providers:
        if total.expected is not None:
            facts.append(f"With {total.name} alone: {total.currency} {plain(total.expected)}.")
    dearest = routes[-1]
    assert dearest.expected is not None
    facts.append(
        f"The dearest of {len(routes)} models that can make all shots, {dearest.name}, costs "
        f"{dearest.currency} {plain(dearest.expected)}."
    )
    days = {
        str(offer.estimate.checked_on)
        for item in board.comparisons
        for offer in item.offers
        if offer.estimate.checked_on
    }
    old = {
        f"{offer.estimate.provider} {offer.estimate.model}"
        for item in board.comparisons
        for offer in item.offers
        if offer.estimate.stale
    }
    facts.append(f"The prices were read between {min(days)} and {max(days)}.")
    if old:
        facts.append(f"Not read again for half a year: {', '.join(sorted(old))}.")
    return facts


def main(folder: Path) -> None:
    """Write the report as a page, as Markdown and as CSV."""
    for name, sound in (("silent", False), ("with-sound", True)):
        board = storyboard(sound=sound)
        facts, tables = summary(board), storyboard_tables(board)
        title = f"What the film costs, {name.replace('-', ' ')}"
        print(title, *facts, sep="\n  ")
        text = page(title, facts, storyboard_charts(board), tables)
        write_atomic(folder / f"{name}.html", text.encode())
        write_atomic(folder / f"{name}.md", f"# {title}\n\n{markdown(tables)}".encode())
        write_atomic(folder / f"{name}.csv", as_csv(tables).encode())
    print(f"written to {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="onetake-cost-")))
