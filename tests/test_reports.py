"""Reports: what was spent, what would be, in every format."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import html.parser
import io
import json
import shutil
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onetake import GenerationRequest, JobFailed, JobState, Provider, compare
from onetake.errors import RequestError
from onetake.job import new_run
from onetake.ledger.reporting import JobCost, job_costs
from onetake.ledger.store import Ledger
from onetake.money import parse_rates
from onetake.pricing.storyboard import compare_shots, shots_of
from onetake.reports import tables
from onetake.reports.comparison import (
    comparison_charts,
    comparison_tables,
    storyboard_charts,
    storyboard_tables,
)
from onetake.reports.page import Chart, page
from onetake.reports.spending import SpendingReport, spending_charts, spending_report
from onetake.reports.tables import Table
from onetake.settings import Settings
from onetake.testing import SandboxServer
from tests.running import LAKE, run

DAY = datetime.date(2026, 11, 20)
NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC).timestamp()
DONE = JobCost(
    id="1",
    provider="kling",
    account="default",
    model="kling-v2.6-pro-text",
    run="night",
    tags=("spring",),
    state=JobState.DELIVERED,
    billed="yes",
    created_at=NOON,
    seconds=Decimal(5),
    currency="USD",
    estimated=Decimal("0.35"),
    actual=Decimal("0.35"),
    reserved=Decimal("0.35"),
    row="a row",
)


def but(**changes: Any) -> JobCost:
    """Return the delivered job with changes."""
    return dataclasses.replace(DONE, **changes)


FAILED = but(state=JobState.FAILED, seconds=Decimal(0))
LOST = but(state=JobState.UNKNOWN, billed="unknown", actual=None, seconds=Decimal(0))
RUNNING = but(state=JobState.RUNNING, billed="unknown", actual=None, seconds=Decimal(0))


def reported(*jobs: JobCost, **options: Any) -> SpendingReport:
    """Return a report of a day."""
    return spending_report(jobs, DAY, DAY, **options)


def test_failures_and_reruns_are_in_the_price_of_a_second() -> None:
    """Two were billed, one brought five seconds: each cost 0.14."""
    [total] = reported(DONE, FAILED).totals
    assert (total.jobs, total.delivered, total.failed) == (2, 1, 1)
    assert (total.billed, total.wasted) == (Decimal("0.70"), Decimal("0.35"))
    assert total.per_second == Decimal("0.14")


def test_what_is_unknown_is_a_line_of_its_own() -> None:
    """Outcome unknown, cost unknown, under way: none is hidden in a sum, none is zero."""
    nameless = but(estimated=None, actual=None, reserved=None, currency=None)
    report = reported(DONE, LOST, RUNNING, nameless)
    dollars, unpriced = sorted(report.totals, key=lambda item: item.currency, reverse=True)
    assert (dollars.billed, dollars.reserved, dollars.jobs) == (
        Decimal("0.35"),
        Decimal("0.35"),
        2,
    )
    assert (unpriced.currency, unpriced.unpriced) == ("?", 1)
    assert unpriced.per_second is None
    [lost] = report.unknown
    assert (lost.jobs, lost.reserved) == (1, Decimal("0.35"))
    assert report.tables()[-1].title == "Outcome unknown"


def test_a_failure_of_which_nobody_knows_whether_it_was_billed() -> None:
    """It counts as of unknown cost until the vendor's books say."""
    doubtful = but(state=JobState.FAILED, billed="unknown", actual=None)
    free = but(state=JobState.FAILED, billed="no", actual=None, reserved=Decimal(0))
    assert [reported(job).totals[0].unpriced for job in (doubtful, free)] == [1, 0]


def test_a_job_without_a_bill_is_taken_for_its_estimate() -> None:
    """And told apart from what was billed."""
    [total] = reported(but(actual=None)).totals
    assert (total.billed, total.assumed, total.spent) == (0, Decimal("0.35"), Decimal("0.35"))


def test_a_bill_in_other_units_is_not_taken_for_the_estimate() -> None:
    """Ten units were billed, five estimated, and nobody says what one costs."""
    report = reported(but(actual=None, units=(Decimal(5), Decimal(10))))
    [total], [drift] = report.totals, report.drifts
    assert (total.assumed, total.unpriced, total.per_second) == (0, 1, None)
    assert (drift.estimated_units, drift.billed_units, drift.percent) == (5, 10, None)
    assert (drift.jobs, drift.with_bill, drift.billed, drift.difference) == (1, 0, None, None)


def test_lost_jobs_of_unknown_price_have_no_most() -> None:
    """One may have cost 0.35, the other anything: no bound holds for both."""
    table = reported(LOST, but(**{**dataclasses.asdict(LOST), "reserved": None})).tables()[-1]
    assert (table.title, table.rows[0][1:]) == ("Outcome unknown", (2, "USD", None, 1))


def test_small_currencies_are_converted_to_the_last_digit() -> None:
    """Three times 8,900 dong are 1.05198 dollars, not three times a rate that was rounded."""
    dong = but(currency="VND", actual=Decimal(8900), estimated=Decimal(8900))
    [total] = reported(dong, dong, dong, rates=parse_rates("VND:USD=0.0000394@2026-11-20")).totals
    assert (total.currency, total.billed) == ("USD", Decimal("1.05198"))


def test_a_report_without_jobs_says_so() -> None:
    """One table and one sentence, not headings over nothing."""
    [table] = reported().tables()
    assert table.note == "No jobs in these days. Those of a sandbox are shown with --sandbox."
    [table] = reported(environment="sandbox").tables()
    assert table.note == "No jobs in these days."


def test_pictures_are_not_in_the_price_of_a_second() -> None:
    """They have none; a film that failed would have had some."""
    picture = but(timed=False, seconds=Decimal(0), actual=Decimal(10))
    [total] = reported(DONE, picture).totals
    assert total.billed == Decimal("10.35")
    assert total.per_second == Decimal("0.07")


def test_a_long_report_draws_the_last_days() -> None:
    """And says what is left out."""
    jobs = [but(created_at=NOON - 86_400 * number) for number in range(60)]
    [days, *_] = spending_charts(reported(*jobs))
    assert (len(days.labels), days.labels[-1]) == (40, "2026-11-20")
    many = Chart("x", [str(n) for n in range(50)], {"a": [Decimal(1)] * 50})
    assert "without 10 more" in page("x", [], [many], [])


def test_drift_is_told_by_price_row() -> None:
    """Only of delivered jobs with both figures; the largest first."""
    dearer = but(actual=Decimal("0.42"))
    other = but(row="another", actual=Decimal("0.36"))
    first, second = reported(DONE, dearer, other, FAILED, LOST).drifts
    assert (first.row, first.jobs, first.difference) == ("a row", 2, Decimal("0.07"))
    assert first.percent == Decimal("10.0")
    assert second.row == "another"
    assert reported(but(estimated=Decimal(0))).drifts[0].percent is None


def test_sums_go_by_whatever_is_asked() -> None:
    """A job with two tags counts under each; currencies stay apart."""
    yuan = but(currency="CNY", actual=Decimal("2.5"), tags=("spring", "trailer"))
    report = reported(DONE, yuan, but(tags=(), run=None, created_at=NOON - 86_400))
    named = {name: [(s.name, s.currency) for s in found] for name, found in report.groups.items()}
    assert named["day"] == [("2026-11-19", "USD"), ("2026-11-20", "CNY"), ("2026-11-20", "USD")]
    assert named["tag"] == [
        ("(no tag)", "USD"),
        ("spring", "CNY"),
        ("spring", "USD"),
        ("trailer", "CNY"),
    ]
    assert named["run"][0] == ("(no name)", "USD")
    unnamed = reported(but(run=new_run()), but(run=new_run()))
    assert [item.name for item in unnamed.groups["run"]] == ["(no name)"]
    assert [table.title for table in report.tables(["model"])][:2] == ["Total", "By model"]
    rates = parse_rates("CNY:USD=0.14@2026-11-20")
    [total] = reported(DONE, yuan, rates=rates).totals
    assert (total.currency, total.billed) == ("USD", Decimal("0.70"))
    assert "2026-11-20" in reported(DONE, rates=rates).tables()[0].note


amounts = st.decimals(min_value=0, max_value=1000, places=4)
states = st.sampled_from([*JobState])
costs = st.lists(
    st.builds(
        but,
        state=states,
        billed=st.sampled_from(["yes", "no", "unknown"]),
        estimated=st.none() | amounts,
        actual=st.none() | amounts,
        reserved=st.none() | amounts,
        currency=st.sampled_from(["USD", "CNY", None]),
        tags=st.sampled_from([("a",), ("b",)]),
        created_at=st.sampled_from([NOON, NOON - 86_400]),
    ),
    max_size=20,
)


@given(costs)
def test_every_way_of_summing_gives_the_same_exact_total(jobs: list[JobCost]) -> None:
    """No cent and no job appears or disappears; nothing is negative, nothing unknown is lost."""
    report = reported(*jobs)
    for groups in (report.totals, *report.groups.values()):
        assert sum(item.jobs for item in groups) + _jobs(report.unknown) == len(jobs)
        for currency in ("USD", "CNY", "?"):
            own = [item for item in groups if item.currency == currency]
            billed = sum((item.billed for item in own), Decimal(0))
            known = [job for job in jobs if (job.currency or "?") == currency]
            assert billed == sum(
                (job.actual for job in known if job.actual is not None and not _is_lost(job)),
                Decimal(0),
            )
        for item in groups:
            assert min(item.billed, item.assumed, item.reserved, item.wasted) >= 0
    unknown = [job for job in jobs if job.actual is None and job.billed == "unknown"]
    told = sum(item.unpriced for item in report.totals)
    silent = [job for job in unknown if not _is_lost(job) and job.reserved is None]
    assert told >= len(silent)


def _jobs(sums: tuple[Any, ...]) -> int:
    return sum(item.jobs for item in sums)


def _is_lost(job: JobCost) -> bool:
    return job.state is JobState.UNKNOWN


# ── from a ledger ──


def test_a_ledger_is_summed_up(server: SandboxServer, settings: Settings) -> None:
    """Delivered, failed, refused and lost jobs of both vendors, as the ledger has them."""

    async def work(provider: Provider) -> None:
        await provider.generate(dataclasses.replace(LAKE, tags=["spring"]))
        with pytest.raises(JobFailed):
            await provider.generate(GenerationRequest("[[fail]] a lake", model=LAKE.model))

    run(work, server, settings)
    ledger = Ledger(settings.ledger_url)
    jobs = ledger.run_blocking(lambda c: job_costs(c, "sandbox", 0.0, 1e11))
    nobody = ledger.run_blocking(lambda c: job_costs(c, "live", 0.0, 1e11))
    ledger.close()
    assert nobody == []
    states = {job.state for job in jobs}
    assert states == {JobState.DELIVERED, JobState.FAILED}
    done = next(job for job in jobs if job.state is JobState.DELIVERED)
    assert (done.actual, done.billed, done.tags) == (Decimal("0.35"), "yes", ("spring",))
    assert done.row == "kling-v2.6-pro-text,audio=false@2026-07-15"
    assert done.seconds > 5
    failed = next(job for job in jobs if job.state is JobState.FAILED)
    assert failed.billed in ("no", "unknown")


# ── formats ──

TABLE = Table(
    "Odd things",
    ("name", "seconds", "amount", "count"),
    (("=cmd|'x'", Decimal("5.0417"), Decimal("0.350"), 3), ("a|b\nc", None, None, 0)),
    "A note.",
)


def test_a_table_in_every_format() -> None:
    """Unknown is –, or nothing; amounts are exact; a spreadsheet finds no formula."""
    shown = tables.markdown([TABLE])
    assert "| =cmd\\|'x' | 5.04 | 0.35 | 3 |" in shown
    assert "| a\\|b c | – | – | 0 |" in shown
    odd = tables.markdown([Table("x", ("name",), (("<img src=x>\\|",),))])
    assert "| &lt;img src=x&gt;\\\\\\| |" in odd
    picture = tables.markdown([Table("x", ("tag",), (("![x](http://evil/x.png)",),))])
    assert "\\!\\[x\\](http" in picture
    page = tables.markdown([Table("x", ("source",), (("see https://kling.ai/a_b_c, a_b",),))])
    assert "| see https://kling.ai/a_b_c, a\\_b |" in page
    wide = tables.aligned(["tag", "n"], [["映画", "1"], ["film", "2"]])
    assert wide == ["tag   n", "映画  1", "film  2"]
    rows = list(csv.reader(io.StringIO(tables.as_csv([TABLE, TABLE]))))
    assert rows[1] == ["Odd things", "'=cmd|'x'", "5.0417", "0.35", "3"]
    assert rows[2][2:] == ["", "", "0"]
    assert tables.as_text(TABLE).splitlines()[0] == "Odd things"


class Reader(html.parser.HTMLParser):
    """Collects what a page contains."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.append(tag)
        names = ("href", "src", "xlink:href", "srcset", "action")
        self.links += [str(value) for name, value in attrs if name in names]
        if tag not in ("meta", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that it closes what is open."""
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def compared() -> str:
    """Return a page with a comparison."""
    request = GenerationRequest(generation_type="text-to-video", parameters={"duration": 5})
    found = compare(request)
    return page("Compared <b>", ["a & b"], comparison_charts(found), comparison_tables(found))


def storyboard() -> str:
    """Return a page with a storyboard."""
    board = compare_shots([GenerationRequest(generation_type="text-to-video")] * 2)
    return page("Board", [], storyboard_charts(board), storyboard_tables(board))


def spent() -> str:
    """Return a page with what was spent."""
    report = reported(DONE, FAILED, RUNNING, LOST)
    return page("Spent", [], spending_charts(report), report.tables())


@pytest.mark.parametrize("made", [compared, storyboard, spent])
def test_a_page_is_whole_and_loads_nothing(made: Callable[[], str]) -> None:
    """Closed tags, a chart, tables; no link, no script, no address but names of XML."""
    text, reader = made(), Reader()
    reader.feed(text)
    assert reader.wrong == reader.open == []
    assert reader.links == []
    assert not {"script", "img", "iframe", "link"} & set(reader.tags)
    assert {"svg", "table", "h1", "figcaption"} <= set(reader.tags)
    outside = text.replace("http://www.w3.org/2000/svg", "").replace(
        "http://www.w3.org/1999/xlink", ""
    )
    assert "http" not in outside.replace("http-equiv", "")
    assert "prefers-color-scheme: dark" in text
    assert "Compared <b>" not in text


def test_one_long_name_does_not_break_a_chart() -> None:
    """Its middle is left out; jobs that cost nothing are in no chart."""
    name = "acme/" + "x" * 90 + "/text-to-video"
    typo = but(model=name, actual=Decimal(0), estimated=None, reserved=Decimal(0))
    charts = spending_charts(reported(DONE, typo))
    assert not any(name in str(chart.labels) for chart in charts)
    drawn = page("x", [], spending_charts(reported(but(model=name))), [])
    assert name not in drawn
    assert "…" in drawn
    assert "/text-to-video" in drawn


def test_an_offer_is_named_with_what_it_is_compared_by() -> None:
    """A second with sound and one without stand in one chart only if it says which is which."""
    [chart] = comparison_charts(
        compare(GenerationRequest(generation_type="text-to-video", parameters={"duration": 5}))
    )
    assert any(label.endswith("720p sound on") for label in chart.labels)
    assert any(label.endswith("720p sound off") for label in chart.labels)
    assert list(chart.series) == sorted(chart.series)


def test_an_empty_chart_is_left_out() -> None:
    """Nothing to draw is no error."""
    assert "<svg" not in page("x", [], [Chart("none", [], {"a": []})], [])


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_in_a_browser(tmp_path: Path, dark: bool) -> None:
    """Headless Chromium draws the bars in the page's colours, light and dark."""
    from PIL import Image

    file, picture = tmp_path / "page.html", tmp_path / "page.png"
    file.write_text(compared(), "utf-8")
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--hide-scrollbars", f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1200,900", f"--screenshot={picture}", file.as_uri(),
    ]  # fmt: skip
    if dark:
        command.insert(2, "--blink-settings=preferredColorScheme=0")
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(picture) as drawn:
        colours = {colour for count, colour in drawn.convert("RGB").getcolors(1 << 24) or ()}
    paper, bars = ("14171a", "6cb0f2") if dark else ("ffffff", "2166ac")
    assert tuple(bytes.fromhex(paper)) in colours
    assert any(_near(colour, bytes.fromhex(bars)) for colour in colours)


def _near(one: tuple[int, ...], other: bytes) -> bool:
    return all(abs(a - b) <= 3 for a, b in zip(one, other, strict=True))


# ── storyboards ──


def test_a_storyboard_is_priced_on_every_route() -> None:
    """The cheapest way at each provider, with each model, and mixed; nothing missing is free."""
    shots = shots_of(
        [
            {"prompt": "a lake", "task": "text-to-video", "duration": 10},
            {"prompt": "a boat", "task": "image-to-video", "duration": 5, "resolution": "1080p"},
            {"prompt": "rain", "model": "kling-v2.6-pro-text", "duration": 10},
        ]
    )
    board = compare_shots(shots)
    assert board.mix.expected is not None
    assert board.mix.seconds == 25
    assert {total.name for total in board.providers} == {"fal", "kling"}
    assert all(board.mix.expected <= (total.expected or 0) for total in board.providers)
    chosen = [offer.estimate.expected for offer in board.mix.offers if offer]
    assert sum(filter(None, chosen), Decimal(0)) == board.mix.expected
    assert board.routes == ()
    shown = json.loads(json.dumps(board.to_json()))
    assert len(shown["shots"]) == 3


def test_each_currency_has_its_own_mix_unless_a_rate_brings_them_together() -> None:
    """Nobody can say whether 2 yuan are less than 0.225 dollars."""
    shots = shots_of([{"model": "kling-v1.6-std-image", "duration": 5}])
    board = compare_shots(shots, region="cn")
    assert [mix.name for mix in board.mixes] == ["cheapest mix in CNY", "cheapest mix in USD"]
    titles = [table.title for table in storyboard_tables(board)]
    assert titles[-2:] == [f"The cheapest offer for each shot, {code}" for code in ("CNY", "USD")]
    rates = parse_rates("CNY:USD=0.139@2026-11-20")
    [mix] = compare_shots(shots, region="cn", rates=rates).mixes
    assert (mix.name, mix.currency) == ("cheapest mix", "USD")


def test_every_price_says_when_it_was_read() -> None:
    """Totals name their oldest price; near offers and shots have day, confidence and source."""
    board = compare_shots(shots_of([{"model": "kling-v1.6-std-image", "duration": 5}]))
    for table in storyboard_tables(board):
        day = "oldest price" if "oldest price" in table.columns else "price of"
        cells = [row[table.columns.index(day)] for row in table.rows]
        assert all(str(cell).startswith("20") for cell in cells), table.title
    near = comparison_tables(
        compare(
            GenerationRequest(
                generation_type="text-to-video", parameters={"duration": 5, "resolution": "1080p"}
            )
        )
    )[1]
    assert {"price of", "confidence", "source"} <= set(near.columns)


def test_a_shot_that_nobody_prices_leaves_no_total() -> None:
    """Two of three shots are not a price for three."""
    shots = shots_of([{"task": "text-to-video"}, {"task": "effects"}])
    board = compare_shots(shots)
    assert board.mix.expected is None
    assert board.mix.reason == "no offer of known price for shot 2"
    assert board.mix.per_second is None


def test_the_mix_is_in_the_currency_that_has_all_shots() -> None:
    """Yuan come first in the alphabet; only dollars have both shots."""
    shots = shots_of(
        [
            {"model": "kling-v1.6-pro-text"},
            {"model": "kling-v4-text", "resolution": "1080p", "duration": 5},
        ]
    )
    board = compare_shots(shots, region="cn")
    assert (board.mix.currency, board.mix.reason) == ("USD", None)
    yuan = next(total for total in board.providers if total.name == "kling")
    assert yuan.reason == "no offer of known price for shot 2"


def test_currencies_do_not_mix_in_a_storyboard() -> None:
    """Without a rate the mix stays in one currency; with one it has all."""
    shots = shots_of([{"task": "text-to-video"}])
    board = compare_shots(shots, region="cn")
    assert {total.currency for total in board.providers} == {"CNY", "USD"}
    rates = parse_rates("CNY:USD=0.01@2026-11-20")
    cheap = compare_shots(shots, region="cn", rates=rates)
    assert cheap.mix.currency == "USD"
    assert str(cheap.mix.offers[0].estimate.provider) == "kling"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, "list of objects"),
        ([5], "entry 1"),
        ([{"task": "text-to-video"}, {"task": "nonsense"}], "entry 2"),
    ],
)
def test_a_mistake_in_a_storyboard_is_named(entries: Any, words: str) -> None:
    """The entry and the value."""
    with pytest.raises(RequestError, match=words):
        shots_of(entries)
    with pytest.raises(RequestError, match="at least"):
        compare_shots([])
