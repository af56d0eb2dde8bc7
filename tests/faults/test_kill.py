"""kill -9 at every instant: after that, resuming ends well, and nothing is paid twice.

A real child process runs the real command line against a served sandbox. The same is asked of
both vendors: exactly one charge on Kling, at most one on fal, and the file delivered and whole
wherever the task is known or can be found.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from onetake import JobState
from onetake.engine.measuring import measure
from onetake.files import sha256_of
from onetake.testing import SandboxServer, sandbox_server
from tests.faults.children import Home, until

VENDORS = ("kling", pytest.param("fal", marks=pytest.mark.faults))
CREATES = {"kling": "/kling/text-to-video", "fal": "/fal/queue"}
FILES = {"kling": "/kling/cdn", "fal": "/fal/media"}


@pytest.fixture(scope="module")
def slow_server() -> Iterator[SandboxServer]:
    """Jobs take long enough to be seen queued and running."""
    with sandbox_server(seconds_per_job=0.6) as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.thorough)])
def home(tmp_path: Path, slow_server: SandboxServer, request: pytest.FixtureRequest) -> Home:
    """A fresh user on an empty sandbox, with an empty ledger on either database."""
    slow_server.reset()
    return Home.on(request.param, tmp_path / "home", slow_server, request)


def delivered(home: Home) -> None:
    """Resume; check that there is one job, one charge, and one whole file."""
    home.resumed()
    [job] = home.jobs()
    assert job.state is JobState.DELIVERED, job
    [charge] = home.server.charges()
    assert charge["task_id"] == job.task_id
    [artifact] = job.artifacts
    path = Path(artifact["path"])
    assert sha256_of(path) == artifact["sha256"]
    assert measure(path, None).duration == pytest.approx(5, abs=0.1)
    assert not list((home.folder / "media").glob(".*.part"))


@pytest.mark.parametrize("vendor", VENDORS)
def test_before_the_intent(home: Home, vendor: str) -> None:
    """Nothing was written and nothing sent."""
    home.dies_at("connect", home.generate(vendor))
    assert home.resumed() == home.jobs() == []
    assert home.server.charges() == []


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    "instant",
    [
        pytest.param("intended", marks=pytest.mark.faults),
        "accepted",
        pytest.param("running", marks=pytest.mark.faults),
        pytest.param("succeeded", marks=pytest.mark.faults),
        pytest.param("before-rename", marks=pytest.mark.thorough),
        "after-rename",
    ],
)
def test_at_an_instant(home: Home, vendor: str, instant: str) -> None:
    """The intent stands, or the task id does: resuming delivers."""
    home.dies_at(instant, home.generate(vendor))
    assert len(home.server.charges()) == (0 if instant == "intended" else 1)
    delivered(home)


@pytest.mark.faults
@pytest.mark.parametrize("vendor", ["kling", "fal"])
def test_after_the_final_row(home: Home, vendor: str) -> None:
    """There is nothing left to do."""
    home.dies_at("delivered", home.generate(vendor))
    delivered(home)
    assert home.resumed_by_command() == []


def test_between_sending_and_the_post(home: Home) -> None:
    """Nobody can tell that nothing was sent: Kling is asked, and sent the same id again."""
    home.dies_at("sending", home.generate("kling"))
    assert home.server.charges() == []
    delivered(home)


@pytest.mark.faults
def test_between_sending_and_the_post_on_fal(home: Home) -> None:
    """fal shows no such request, which proves nothing yet: unknown, and never sent again."""
    home.dies_at("sending", home.generate("fal"))
    [job] = home.resumed_by_command(5)
    assert job["state"] == "unknown"
    assert job["error"]["task_state"] == "may_exist"
    assert home.server.charges() == []


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    "fault", [pytest.param("stall_before_accept", marks=pytest.mark.faults), "stall"]
)
def test_during_the_post(home: Home, vendor: str, fault: str) -> None:
    """Before and after the vendor accepted it; the answer never came."""
    server = home.server
    server.fail(fault, method="POST", path=CREATES[vendor])
    with home.running(*home.generate(vendor)) as child:
        until(lambda: not server.armed() and len(server.charges()) == (fault == "stall"), child)
        child.send_signal(signal.SIGKILL)
        child.wait()
    server.advance(10)  # fal lists what has ended
    if vendor == "fal" and fault == "stall_before_accept":
        [job] = home.resumed()
        assert (job.state, server.charges()) == (JobState.UNKNOWN, [])
    else:
        delivered(home)


@pytest.mark.parametrize("vendor", VENDORS)
def test_while_downloading(home: Home, vendor: str) -> None:
    """Half a file is never taken for one, and the job stays paid and open."""
    home.server.fail("stall_midway", path=FILES[vendor])
    with home.running(*home.generate(vendor)) as child:
        until(
            lambda: [f for f in (home.folder / "media").glob(".*.part") if f.stat().st_size], child
        )
        child.send_signal(signal.SIGKILL)
        child.wait()
    [job] = home.jobs()
    assert job.state is JobState.SUCCEEDED
    delivered(home)
