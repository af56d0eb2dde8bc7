"""`onetake jobs`: settling, tokens and pruning, by the command line's entry in this process."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from onetake.cli import app
from onetake.cli.output import guarded
from onetake.testing import SandboxServer

Command = Callable[..., tuple[int, str, str]]
T2V = ("-m", "kling-v2.6-pro-text")


@pytest.fixture
def onetake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: SandboxServer
) -> Command:
    """Return the command: arguments to exit code, standard output and standard error."""
    monkeypatch.setenv("ONETAKE_SANDBOX", server.url)
    monkeypatch.setenv("ONETAKE_SUBMIT_PATIENCE", "0")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["onetake", *arguments])
        capsys.readouterr()
        code = guarded(app)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def lost(onetake: Command, server: SandboxServer) -> str:
    """Return the id of a job whose outcome is unknown, because fal's list may not be read."""
    server.fail("drop_after_accept", method="POST", path="/fal/queue")
    server.fail("http_403", path="/fal/platform")
    code, out, _ = onetake("generate", "x", "-p", "fal", *T2V, "--json")
    assert code == 5
    return str(json.loads(out)["job_id"])


def test_attach_then_wait(onetake: Command, server: SandboxServer, tmp_path: Path) -> None:
    """The task that a person found is checked, and the file goes where it is wished."""
    job = lost(onetake, server)
    code, _, err = onetake("jobs", "attach", job, "--task", "0190-nobody")
    assert (code, "does not know it" in err) == (2, True)
    [charge] = server.charges()
    code, out, _ = onetake("jobs", "attach", job, "--task", charge["task_id"])
    assert code == 0
    assert f"jobs wait {job}" in out
    target = tmp_path / "film.mp4"
    code, out, _ = onetake("jobs", "wait", job, "-o", str(target))
    assert (code, out.strip()) == (0, str(target))
    assert target.stat().st_size > 0
    code, _, err = onetake("jobs", "wait", job, "-o", str(target))
    assert (code, "--overwrite" in err) == (2, True)
    code, out, _ = onetake("jobs", "show", job)
    assert "attached" in out


def test_abandon_and_resubmit(onetake: Command, server: SandboxServer) -> None:
    """Resubmitting asks; without anybody to ask it wants --yes."""
    job = lost(onetake, server)
    code, _, err = onetake("jobs", "resubmit", job)
    assert (code, "--yes" in err) == (2, True)
    assert len(server.charges()) == 1
    code, out, _ = onetake("jobs", "resubmit", job, "--yes", "--json")
    child = json.loads(out)
    assert (code, child["state"]) == (0, "draft")
    code, out, err = onetake("jobs", "abandon", child["job_id"])
    assert (code, "abandoned" in out) == (0, True)
    code, _, err = onetake("jobs", "abandon", job)
    assert (code, "nothing to settle" in err) == (2, True)
    assert len(server.charges()) == 1


@pytest.mark.parametrize(("answer", "code"), [(True, 0), (False, 1)])
def test_resubmit_asks_a_person(
    onetake: Command,
    server: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    answer: bool,
    code: int,
) -> None:
    """The question names the price; a no sends nothing."""
    job = lost(onetake, server)
    asked: list[str] = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question: bool(asked.append(question)) or answer)
    assert onetake("jobs", "resubmit", job)[0] == code
    assert "may have job" in asked[0]


def test_a_token_from_the_command_line(
    onetake: Command, server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another home goes on with a job by its token."""
    import anyio

    from onetake import get_provider

    _, out, _ = onetake("generate", "x", "-p", "kling", *T2V, "--no-wait", "--json")
    job = json.loads(out)["job_id"]

    async def token() -> str:
        async with get_provider("kling") as kling:
            return str((await kling.job(job)).token)

    text = anyio.run(token)
    monkeypatch.setenv("ONETAKE_HOME", str(tmp_path / "elsewhere"))
    code, out, _ = onetake("jobs", "wait", text, "--json")
    assert (code, json.loads(out)["job_id"]) == (0, job)
    code, _, err = onetake("jobs", "wait", "onetake1.damaged")
    assert (code, "damaged" in err) == (2, True)
    assert len(server.charges()) == 1


def test_resume_says_what_stands_in_the_emergency_folder(onetake: Command, tmp_path: Path) -> None:
    """A file that belongs to no open job is not silently kept."""
    folder = tmp_path / "home" / "emergency"
    folder.mkdir(parents=True)
    (folder / "some-job.json").write_text("{}")
    code, _, err = onetake("jobs", "resume", "--all")
    assert (code, "some-job.json" in err) == (5, True)


def test_resume_goes_on_with_other_accounts(
    onetake: Command, server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One account whose key is refused does not hold the others up, and is not passed over."""
    onetake("generate", "x", "-p", "kling", *T2V, "--no-wait")
    onetake("generate", "x", "-p", "fal", *T2V, "--no-wait")
    monkeypatch.setenv("FAL_KEY", "wrong:key")
    code, out, err = onetake("jobs", "resume", "--all")
    assert code == 1
    assert "delivered" in out
    assert "still queued" in err


def test_pruning_forgets_inputs_and_keeps_the_books(
    onetake: Command, server: SandboxServer, picture: Path, tmp_path: Path
) -> None:
    """Old prompts and pictures go; state, price and history stay; media only when asked."""
    image = ("-p", "kling", "-m", "kling-v2.6-pro-image", "-a", str(picture))
    code, out, _ = onetake("generate", "a secret wish", *image, "--json")
    done = json.loads(out)
    onetake("generate", "x", "-p", "kling", *T2V, "--no-wait")
    blobs = tmp_path / "home" / "blobs"
    old = time.time() - 90 * 86_400
    for path in [*blobs.rglob("*"), *(tmp_path / "home" / "media").rglob("*")]:
        os.utime(path, (old, old))
    _age(tmp_path / "home" / "ledger.sqlite3", done["job_id"])

    code, out, _ = onetake("jobs", "prune", "--dry-run")
    assert (code, "1 jobs and 1 files" in out) == (0, True)
    code, _, err = onetake("jobs", "prune")
    assert (code, "--yes" in err) == (2, True)
    assert onetake("jobs", "prune", "--yes")[0] == 0
    assert not [path for path in blobs.rglob("*") if path.is_file()]
    film = Path(done["artifacts"][0]["path"])
    assert film.is_file()
    assert "secret wish" not in onetake("jobs", "show", done["job_id"])[1]

    code, out, _ = onetake("jobs", "prune", "--yes", "--media")
    assert (code, "0 jobs and 1 files" in out) == (0, True)
    assert not film.exists()
    code, out, _ = onetake("jobs", "show", done["job_id"], "--json")
    shown = json.loads(out)
    assert (shown["state"], shown["actual"]) == ("delivered", done["actual"])
    code, out, _ = onetake("generate", "a secret wish", *image, "--reuse", "--json")
    assert json.loads(out)["job_id"] != done["job_id"], "its file is gone: it cannot be reused"


def _age(ledger: Path, job: str) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("UPDATE jobs SET ended_at = 1 WHERE id = ?", (job,))
        connection.commit()


def test_what_open_jobs_need_is_not_pruned(
    onetake: Command, server: SandboxServer, picture: Path, tmp_path: Path
) -> None:
    """A picture of a job that may have to be sent again stays, however old."""
    server.fail("drop_before_accept", method="POST", path="/kling", times=5)
    server.fail("http_503", path="/kling/tasks", times=50)
    image = ("-p", "kling", "-m", "kling-v2.6-pro-image", "-a", str(picture))
    code, out, _ = onetake("generate", "x", *image, "--json")
    assert code == 5
    for path in (tmp_path / "home" / "blobs").rglob("*"):
        os.utime(path, (1, 1))
    assert "0 jobs and 0 files" in onetake("jobs", "prune", "--yes", "--older-than", "0")[1]
    server.reset_faults()
    code, out, err = onetake("jobs", "wait", json.loads(out)["job_id"], "--json")
    assert code == 0, err
    assert json.loads(out)["state"] == "delivered"


def test_mistakes_are_told(onetake: Command) -> None:
    """One line each, and the exit code of a wrong request."""
    for arguments in (
        ("jobs", "resume"),
        ("jobs", "wait", "nothing"),
        ("jobs", "attach", "nothing", "--task", "x"),
        ("jobs", "prune", "--older-than", "-1"),
        ("jobs", "attach", "x"),
    ):
        code, _, err = onetake(*arguments)
        assert (code, err.count("\n")) == (2, 1), (arguments, err)
