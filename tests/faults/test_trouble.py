"""A ledger that cannot be used, a full disk, a folder that is none: told, and never paid twice."""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from onetake import JobState
from onetake.testing import SandboxServer
from tests.faults.children import PATIENCE, Home, until
from tests.faults.test_kill import CREATES, VENDORS

FULL = """
CREATE TRIGGER full BEFORE UPDATE ON jobs WHEN NEW.submission = 'accepted'
BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END
"""


@pytest.fixture
def home(tmp_path: Path, server: SandboxServer) -> Home:
    """A fresh user on an empty sandbox."""
    return Home(tmp_path / "home", server)


def refused(home: Home, reason: str, **environment: str) -> None:
    """Run; it must end with one line that names the reason, and nothing may have been sent."""
    done = home.run(*home.generate("kling"), **environment)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert reason in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert home.server.requests(method="POST") == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_id_that_cannot_be_recorded_is_not_lost(home: Home, vendor: str) -> None:
    """It stands on standard error and in a file; resuming reads the file, and removes it."""
    home.open_ledger()
    ledger = home.folder / "ledger.sqlite3"
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute(FULL)
    home.server.fail("http_403", times=50, path="/fal/platform")
    emergency = home.folder / "emergency"
    with home.running(*home.generate(vendor)) as child:
        [file] = until(lambda: list(emergency.glob("*.json")), child)
        child.send_signal(signal.SIGKILL)
        _, err = child.communicate()
    [charge] = home.server.charges()
    assert "PAID TASK NOT RECORDED" in err
    assert charge["task_id"] in err
    entry = json.loads(file.read_text())
    assert entry["task"]["id"] == charge["task_id"]
    assert entry["token"] in err
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("DROP TRIGGER full")
    home.server.fail("http_503", times=50, method="GET", path="/kling/tasks?external")
    [job] = home.resumed()
    assert (job.state, job.task_id) == (JobState.DELIVERED, charge["task_id"])
    assert not list(emergency.iterdir())
    assert len(home.server.requests(method="POST", path=CREATES[vendor])) == 1


@pytest.mark.faults
def test_recording_goes_on_as_soon_as_it_can(home: Home) -> None:
    """The process keeps trying: the id arrives in the ledger, and the job goes on."""
    home.open_ledger()
    ledger = home.folder / "ledger.sqlite3"
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute(FULL)
    with home.running(*home.generate("kling", "--json")) as child:
        until(lambda: list((home.folder / "emergency").glob("*.json")), child)
        with closing(sqlite3.connect(ledger, timeout=20)) as connection:
            connection.execute("DROP TRIGGER full")
        out, err = child.communicate(timeout=PATIENCE)
        assert child.returncode == 0, err
    assert json.loads(out)["state"] == "delivered"
    assert not list((home.folder / "emergency").iterdir())


def test_a_locked_ledger(home: Home) -> None:
    """Another program keeps it: told after the patience, before anything is paid."""
    home.open_ledger()
    with closing(sqlite3.connect(home.folder / "ledger.sqlite3")) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        refused(home, "locked", ONETAKE_LEDGER_TIMEOUT="0.3")


@pytest.mark.faults
def test_a_corrupt_ledger(home: Home) -> None:
    """A file that is no database."""
    home.folder.mkdir()
    (home.folder / "ledger.sqlite3").write_bytes(b"this is not a database at all, sorry. " * 200)
    refused(home, "not a database")


@pytest.mark.faults
def test_a_damaged_ledger(home: Home) -> None:
    """A database whose pages were overwritten."""
    home.open_ledger()
    path = home.folder / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    refused(home, "malformed")


@pytest.mark.faults
def test_a_newer_ledger(home: Home) -> None:
    """Written by a version that knows more."""
    home.open_ledger()
    with closing(sqlite3.connect(home.folder / "ledger.sqlite3")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    refused(home, "newer onetake")


@pytest.mark.faults
def test_a_ledger_that_may_only_be_read(home: Home) -> None:
    """Opened read-only, because modes of files do not bind root."""
    home.open_ledger()
    url = f"sqlite:///file:{home.folder / 'ledger.sqlite3'}?mode=ro&uri=true"
    refused(home, "readonly", ONETAKE_LEDGER=url)


@pytest.mark.faults
def test_a_ledger_whose_folder_is_a_file(home: Home, tmp_path: Path) -> None:
    """It cannot be made."""
    (tmp_path / "file").write_text("")
    refused(home, "file", ONETAKE_LEDGER=str(tmp_path / "file" / "ledger.sqlite3"))


def limited(size: int) -> Callable[[], None]:
    """Return what lets a child write files of at most this size: its disk is as good as full."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def run_limited(home: Home, size: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with such a disk."""
    return subprocess.run(
        [*home.command, *arguments],
        env=home.environment(),
        preexec_fn=limited(size),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.faults
def test_no_room_for_the_intent(home: Home) -> None:
    """Nothing is paid that cannot be written down first."""
    home.open_ledger()
    done = run_limited(home, 8_000, *home.generate("kling"))
    assert done.returncode == 1, done.stderr
    assert "the ledger cannot be used" in done.stderr
    assert home.server.requests(method="POST") == []
    assert home.jobs() == []


@pytest.mark.faults
@pytest.mark.parametrize("vendor", VENDORS)
def test_no_room_for_the_file(
    tmp_path: Path, server: SandboxServer, vendor: str, request: pytest.FixtureRequest
) -> None:
    """The job stays paid and open, no half file stays, and resuming fetches it.

    The ledger is on another machine, as it were, so that only the file meets the full disk.
    """
    home = Home.on("postgres", tmp_path / "home", server, request)
    home.run(*home.generate(vendor, "--no-wait"))
    [whole] = home.jobs()
    done = run_limited(home, 5_000, "jobs", "resume", whole.id, "--json")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["error"]["billed"] == "yes"
    assert "its file is not here yet" in done.stderr
    assert [path for path in (home.folder / "media").rglob("*") if path.is_file()] == []
    [job] = home.resumed()
    assert job.state is JobState.DELIVERED
    assert len(home.server.charges()) == 1


@pytest.mark.faults
def test_a_media_folder_that_is_a_file(home: Home) -> None:
    """Told, with the place; the job stays paid and open."""
    home.folder.mkdir()
    (home.folder / "media").write_text("in the way")
    done = home.run(*home.generate("kling"))
    assert done.returncode == 1
    assert str(home.folder / "media") in done.stderr
    assert "Traceback" not in done.stderr
    [job] = home.jobs()
    assert job.state is JobState.SUCCEEDED
    (home.folder / "media").unlink()
    [job] = home.resumed()
    assert job.state is JobState.DELIVERED
    assert len(home.server.charges()) == 1


def test_the_second_ctrl_c_leaves_at_once(home: Home) -> None:
    """Even in the middle of a POST; after that, resuming ends well."""
    home.server.fail("stall", method="POST", path="/kling")
    with home.running(*home.generate("kling")) as child:
        until(home.server.charges, child)
        child.send_signal(signal.SIGINT)
        assert child.stderr is not None
        until(lambda: "once more" in child.stderr.readline())
        child.send_signal(signal.SIGINT)
        child.wait(PATIENCE)
        assert child.returncode == 130
    [job] = home.resumed()
    assert job.state is JobState.DELIVERED
    assert len(home.server.charges()) == 1
