"""The command line about money: estimate, compare, prices, budget, report."""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from onetake import GenerationRequest, JobState, compare
from onetake.cli import output
from onetake.ledger.reporting import JobCost
from onetake.pricing.storyboard import compare_shots, shots_of
from onetake.reports.comparison import comparison_tables, storyboard_tables
from onetake.reports.spending import spending_report
from onetake.reports.tables import Table
from onetake.testing import SandboxServer

SHOT = ["--task", "image-to-video", "--duration", "5", "--resolution", "1080p", "--audio", "off"]
JOB = ["generate", "a lake", "-p", "kling", "-m", "kling-v2.6-pro-text"]


@pytest.fixture
def onetake(inside: Any) -> Any:
    """Run the command line in this process: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        done = inside(*arguments)
        return done.returncode, done.stdout, done.stderr

    return run


def test_compare_in_every_format(onetake: Any, tmp_path: Path) -> None:
    """By option or by the name of the file; the page says what was asked for."""
    code, told, _ = onetake("compare", "a lake", *SHOT)
    assert code == 0
    assert "Near to it, but not the same" in told
    assert "sound on, not off" in told
    code, told, _ = onetake("compare", *SHOT, "--format", "markdown")
    assert told.startswith("# What image-to-video costs")
    assert re.search(r"\| fal \| kling-v2.5-turbo-pro-image \| 1080p \| off \| 5 \| 0.07 \|", told)
    code, told, _ = onetake("compare", *SHOT, "--format", "csv")
    rows = list(csv.reader(io.StringIO(told)))
    assert rows[0][:3] == ["table", "provider", "model"]
    assert rows[1][:2] == ["Offers", "fal"]
    offers = [row for row in rows if row and row[0] == "Offers"]
    assert len(offers) >= 8
    code, told, _ = onetake("compare", *SHOT, "--format", "json")
    assert len(json.loads(told)["offers"]) == len(offers)
    page = tmp_path / "page.html"
    code, told, hint = onetake("compare", *SHOT, "-o", str(page))
    assert (code, told) == (0, "")
    assert str(page) in hint
    assert "Asked for: duration 5, resolution 1080p, audio off." in page.read_text("utf-8")
    code, _, error = onetake("compare", *SHOT, "-o", str(tmp_path / "page.html" / "x.md"))
    assert code == 2
    assert "cannot be written" in error
    assert [item.name for item in tmp_path.iterdir() if item.suffix == ".html"] == ["page.html"]


def test_compare_a_storyboard(onetake: Any, tmp_path: Path) -> None:
    """From JSON or TOML; a mistake is one line."""
    board = tmp_path / "board.toml"
    board.write_text('[[shot]]\ntask = "text-to-video"\nduration = 10\n' * 3)
    code, told, _ = onetake("compare", "--shots", str(board))
    assert code == 0
    assert "cheapest mix" in told
    assert "With one model for all shots" in told
    shots = tmp_path / "board.json"
    shots.write_text('[{"task": "text-to-video"}]')
    code, told, _ = onetake("compare", "--shots", str(shots), "--json")
    assert json.loads(told)["mix"]["expected"]
    for text in ("nonsense", "{}", "[1]"):
        shots.write_text(text)
        code, told, error = onetake("compare", "--shots", str(shots))
        assert (code, told) == (2, "")
        assert error.count("\n") == 1


def test_estimate_says_how_it_was_calculated(onetake: Any) -> None:
    """Row, basis, day; between what and what where sources differ; the paid steps are in it."""
    code, told, _ = onetake("estimate", "-p", "kling", "-m", "kling-v2.6-pro-text")
    assert code == 0
    assert "basis: 5 s × 0.5 units × USD 0.14" in told
    assert "row kling-v2.6-pro-text,audio=false@2026-07-15" in told
    clip = ["-a", "https://example.com/clip.mp4"]
    code, told, _ = onetake("estimate", "-p", "kling", "-m", "kling-extend", *clip)
    assert "unknown: it depends on the model" in told
    assert "between USD 0.14 and 0.49" in told
    words = ["--param", "text=Hello", "--param", "voice=girlfriend_1_speech02"]
    code, told, _ = onetake(
        "estimate", "-p", "kling", "-m", "kling-lipsync", *clip, *words, "--json"
    )
    assert "kling-tts" in json.loads(told)["row"]


def test_prices_are_listed_with_what_is_doubtful(onetake: Any, monkeypatch: Any) -> None:
    """Every row, what others say, which are stale, packs, and the schema for editors."""
    code, told, _ = onetake("prices", "list")
    assert code == 0
    assert "or 0.126 USD: an older page of a third party" in told
    assert "kling: packs" in told
    assert "60,000 units" in told
    monkeypatch.setenv("ONETAKE_PRICE_AGE", "1")
    code, told, _ = onetake("prices", "list", "-p", "fal", "--format", "csv")
    assert ", stale" in told
    code, told, _ = onetake("prices", "list", "--json")
    assert set(json.loads(told)) == {"fal", "kling"}
    code, told, _ = onetake("prices", "schema")
    assert json.loads(told)["properties"]["price"]
    code, told, _ = onetake("prices", "schema", "--own")
    assert json.loads(told)["additionalProperties"]


def test_prices_are_checked_against_the_vendors_list(
    onetake: Any, server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, another, none; a vendor without a list; no key."""
    monkeypatch.setenv("ONETAKE_SANDBOX", server.url)
    code, told, _ = onetake("prices", "check", "--sandbox", "--json")
    differs = json.loads(told)["differences"]
    assert code == 0
    assert not any(item["is_drift"] for item in differs)
    own = tmp_path / "own.toml"
    entry = 'valid_from = 2026-01-01\nchecked_on = 2026-11-01\nsource = "x"\nunit = "second"\n'
    own.write_text(f'[[fal.price]]\nmodels = ["kling-v3-4k-text"]\namount = "9"\n{entry}')
    monkeypatch.setenv("ONETAKE_PRICES", str(own))
    code, told, _ = onetake("prices", "check", "--sandbox")
    assert code == 0, "the list's own number is among the rows"
    code, _, error = onetake("prices", "check", "-p", "kling", "--sandbox")
    assert code == 2
    assert "no price list" in error
    monkeypatch.delenv("ONETAKE_SANDBOX")
    monkeypatch.setenv("ONETAKE_LIVE", "1")
    code, _, error = onetake("prices", "check")
    assert code == 3
    assert "FAL_KEY" in error


def test_budgets_from_the_command_line(
    onetake: Any, server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set, listed, kept to, removed; mistakes are one line."""
    monkeypatch.setenv("ONETAKE_SANDBOX", server.url)
    monkeypatch.setenv("ONETAKE_TAG_BUDGETS", "trailer=1")
    assert onetake("budget", "set", "tag", "0.50", "spring")[0] == 0
    assert onetake(*JOB, "--tag", "spring", "--tag", "trailer")[0] == 0
    code, _, error = onetake(*JOB, "--tag", "spring")
    assert code == 4
    assert "`onetake budget set tag AMOUNT spring` raises it" in error
    code, told, _ = onetake("budget", "list", "--json")
    used = {(item["scope"], item["name"]): item["left"] for item in json.loads(told)}
    assert used == {("tag", "trailer"): "0.65", ("tag", "spring"): "0.15"}
    assert "0.15" in onetake("budget", "list")[1]
    assert onetake("budget", "remove", "tag", "spring")[0] == 0
    assert onetake("budget", "set", "job", "0.1")[0] == 0
    code, _, error = onetake(*JOB)
    assert code == 4
    assert "budget of a job" in error
    for wrong in (
        ["set", "week", "5"],
        ["set", "tag", "5"],
        ["set", "day", "5", "spring"],
        ["set", "day", "much"],
        ["remove", "day"],
    ):
        code, told, error = onetake("budget", *wrong)
        assert (code, told, error.count("\n")) == (2, "", 1), wrong
    assert len(server.charges()) == 1


def test_a_report_of_what_was_spent(
    onetake: Any, server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By tag, in every format; jobs of the sandbox are kept apart from real ones."""
    monkeypatch.setenv("ONETAKE_SANDBOX", server.url)
    assert onetake(*JOB, "--tag", "spring")[0] == 0
    assert onetake(*JOB)[0] == 0
    code, told, _ = onetake("report", "--sandbox", "--json")
    shown = json.loads(told)
    assert shown["totals"][0]["billed"] == "0.7"
    assert {item["name"]: item["billed"] for item in shown["by_tag"]} == {
        "(no tag)": "0.35",
        "spring": "0.35",
    }
    assert shown["drift"][0]["difference"] == "0"
    code, told, _ = onetake("report", "--sandbox", "--tag", "spring", "--by", "model")
    assert "By model" in told
    assert "By day" not in told
    page = tmp_path / "report.html"
    assert onetake("report", "--sandbox", "-o", str(page))[0] == 0
    assert "<svg" in page.read_text("utf-8")
    code, told, _ = onetake("report", "--json")
    assert json.loads(told)["totals"] == []
    code, told, _ = onetake("report", "--sandbox", "--until", "2020-01-31", "--json")
    assert json.loads(told)["totals"] == []
    code, _, error = onetake("report", "--since", "2026-02-01", "--until", "2026-01-01")
    assert code == 2
    assert "is after" in error


def test_the_vendors_books_are_taken_over(
    onetake: Any, server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of unknown price; fal's result names units only, its billing events an amount."""
    monkeypatch.setenv("ONETAKE_SANDBOX", server.url)
    command = ["generate", "a lake", "-p", "fal", "-m", "kling-v2.6-pro-text"]
    code, told, _ = onetake(*command, "--param", "fal.unheard=1", "--json")
    assert code == 0
    job = json.loads(told)
    assert job["actual"] == {"amount": None, "currency": None, "units": "5"}
    code, told, _ = onetake("jobs", "bill", "-p", "fal", "--json")
    [settled] = json.loads(told)
    assert settled["job_id"] == job["job_id"]
    assert settled["actual"] == {
        "amount": "0.7",
        "currency": "USD",
        "units": "5",
        "source": "books",
    }
    assert json.loads(onetake("jobs", "bill", "-p", "fal", "--json")[1]) == [], "once is enough"
    assert onetake("jobs", "bill", "-p", "fal")[0] == 0


def test_what_a_pack_cost_is_taken_over(
    onetake: Any, server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kling's ledger of packs names units; what a unit cost you stands in your price file."""
    monkeypatch.setenv("ONETAKE_SANDBOX", server.url)
    assert onetake(*JOB)[0] == 0
    assert json.loads(onetake("jobs", "bill", "-p", "kling", "--json")[1]) == []
    own = tmp_path / "own.toml"
    entry = 'valid_from = 2026-01-01\nchecked_on = 2026-11-01\nsource = "our pack"\n'
    own.write_text(f'[[kling.unit_price]]\namount = "0.1"\ncurrency = "USD"\n{entry}')
    monkeypatch.setenv("ONETAKE_PRICES", str(own))
    [settled] = json.loads(onetake("jobs", "bill", "-p", "kling", "--json")[1])
    assert (settled["actual"]["amount"], settled["actual"]["units"]) == ("0.25", "2.5")


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["report", "--until", "9999-12-31"], {}, "2999"),
        (["budget", "set", "day", "1e30"], {}, "not an amount"),
        (["budget", "set", "tag", "5", " "], {}, "name"),
        (["jobs", "bill", "-p", "fal", "--days", "800000", "--sandbox"], {}, "days"),
        (["compare", "--task", "text-to-video", "--region", "cnn"], {}, "region"),
        (["compare", "a lake", "--shots", "x.json"], {}, "--shots"),
        (["compare", "--task", "text-to-video", "-o", "x.pdf"], {}, "x.pdf"),
        (["budget", "list"], {"ONETAKE_TAG_BUDGETS": "a=5,a=50"}, "already"),
        (["budget", "list"], {"ONETAKE_EXCHANGE_RATES": "USD:USD=2@2026-01-01"}, "one rate"),
        (["budget", "list"], {"ONETAKE_LEDGER": "postgresql://u:hidden"}, "ONETAKE_LEDGER"),
        (["compare", "--task", "text-to-video"], {"ONETAKE_PRICES": "x" * 5000}, "cannot be read"),
    ],
)
def test_mistakes_about_money_are_one_line(
    onetake: Any,
    arguments: list[str],
    environment: dict[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No traceback, nothing printed beside it, and no password."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    code, told, error = onetake(*arguments)
    assert (code, told, error.count("\n")) == (2, "", 1), error
    assert words in error
    assert "hidden" not in error


def test_odd_numbers_in_a_storyboard(onetake: Any, tmp_path: Path) -> None:
    """A length that is none has no offer, and the reason is told."""
    shots = tmp_path / "shots.json"
    shots.write_text('[{"task": "text-to-video", "duration": NaN}]')
    code, told, _ = onetake("compare", "--shots", str(shots))
    assert code == 0
    assert "no offer of known price for shot 1" in told
    shots.write_text("[" * 100_000)
    assert onetake("compare", "--shots", str(shots))[0] == 2


def real_tables() -> list[Table]:
    """Return tables as the commands print them, with long names and all kinds of cells."""
    job = JobCost(
        "1", "kling", "default", "acme/" + "x" * 60, "night", ("a tag of some length",) * 2,
        JobState.DELIVERED, "yes", 1.7e9, Decimal("5.04"), "USD", Decimal("1422.71"),
        Decimal("3502.50"), Decimal("7.084"), "a row",
    )  # fmt: skip
    day = datetime.date(2026, 11, 20)
    shots = [{"task": "text-to-video", "prompt": "mist over a lake, 霧"}] * 2
    found = compare(GenerationRequest(generation_type="text-to-video"))
    return [
        *spending_report([job], day, day).tables(),
        *storyboard_tables(compare_shots(shots_of(shots))),
        *comparison_tables(found),
        Table("nothing", ("", "b"), ()),
    ]


@pytest.mark.parametrize("columns", [40, 80, 100, 120, 150, 180, 220, 300])
def test_figures_are_whole_on_any_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text wraps, or the table is printed as into a pipe; no figure is cut or left out."""
    monkeypatch.setenv("COLUMNS", str(columns))
    for table in real_tables():
        output._ruled(table.columns, table.shown(), table.spare)
        told, hint = capsys.readouterr()
        words = told.split()
        gone = hint.partition(": ")[2].partition(";")[0].split(", ")
        assert set(gone) - {""} <= set(table.spare)
        for exact, shown in zip(table.rows, table.shown(), strict=True):
            for place, (cell, text) in enumerate(zip(exact, shown, strict=True)):
                if table.columns[place] in gone:
                    continue
                if place < 2 or isinstance(cell, int | Decimal):
                    assert text in (told if place < 2 else words), (table.title, text)
        for word in " ".join(name for name in table.columns if name not in gone).split():
            assert word in words, (table.title, word)
        ruled = "\u2500" in told
        assert not ruled or max(map(cell_len, told.splitlines())) <= columns


def test_an_output_without_the_character_is_no_crash(tmp_path: Path) -> None:
    """Pipes may be of any encoding; what one lacks is written in ASCII, and JSON stays exact."""
    home = {"ONETAKE_HOME": str(tmp_path / "h\u00e9"), "PYTHONIOENCODING": "ascii"}

    def run(*arguments: str) -> bytes:
        done = subprocess.run(
            [sys.executable, "-m", "onetake", *arguments],
            env={**os.environ, **home, "ONETAKE_SANDBOX_SECONDS_PER_JOB": "0"},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
        return done.stdout

    assert b"\\u2013" in run("compare", *SHOT), "an unknown"
    told = json.loads(run(*JOB, "--sandbox", "--json"))
    assert Path(told["artifacts"][0]["path"]).is_file()


def test_an_estimate_reads_files_of_this_machine(
    onetake: Any, server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is measured has a price then; a file that is not there is told."""
    monkeypatch.setenv("ONETAKE_SANDBOX", server.url)
    [film] = json.loads(onetake(*JOB, "--json")[1])["artifacts"]
    asked = ("estimate", "x", "-p", "fal", "-m", "kling-o3-std-edit", "-a")
    code, told, _ = onetake(*asked, f"video={film['path']}")
    assert code == 0
    assert re.search(r"kling-o3-std-edit: USD 0\.6\d", told)
    assert "between 0.63 and 0.756" in told
    code, told, error = onetake(*asked, "video=none.mp4")
    assert code == 0
    assert "unknown: it depends on the length of the video" in told
    assert "not read: none.mp4" in error
    code, _, error = onetake("estimate", "x", "-p", "fal", "-m", "kling-v2.6-pro-image")
    assert (code, "needs an image" in error) == (2, True)


def test_a_missing_price_says_what_it_depends_on(onetake: Any) -> None:
    """The one that has it can then be asked for."""
    code, told, _ = onetake("estimate", "x", "-p", "fal", "-m", "kling-v4-text")
    assert code == 0
    assert "its prices depend on" in told
    assert "resolution" in told


def test_a_tag_is_the_same_in_either_form(
    onetake: Any, server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Composed or not, it looks the same, and is held by the same budget."""
    monkeypatch.setenv("ONETAKE_SANDBOX", server.url)
    composed, apart = "\u00e9t\u00e9", "e\u0301te\u0301"
    assert onetake("budget", "set", "tag", "0.10", composed)[0] == 0
    assert onetake(*JOB, "--tag", apart)[0] == 4
    assert onetake("budget", "remove", "tag", apart)[0] == 0
    monkeypatch.setenv("ONETAKE_TAG_BUDGETS", f"{apart}=0.10")
    assert onetake(*JOB, "--tag", composed)[0] == 4
    assert onetake("budget", "set", "run", "0.10", apart)[0] == 0
    monkeypatch.setenv("ONETAKE_RUN", apart)
    assert onetake(*JOB)[0] == 4, "names of runs are kept as they are"
    assert server.charges() == []


def test_a_prompt_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal, tables are drawn by a library that has one."""
    output._ruled(["prompt"], [["a [/lake] [red]"]])
    assert "a [/lake] [red]" in capsys.readouterr().out
    assert output._cell("a\x1b[31m\nb") == "a [31m b"
