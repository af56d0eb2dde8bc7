"""Several processes on one ledger: stopped, overtaken, racing for one key, sharing slots."""

from __future__ import annotations

import json
import signal
import time
from decimal import Decimal
from pathlib import Path

import pytest

from onetake import JobState
from onetake.testing import SandboxServer, sandbox_server
from tests.faults.children import MODEL, PATIENCE, Home, until
from tests.faults.test_kill import VENDORS

BOTH = [
    ("kling", "sqlite", 3),
    pytest.param("fal", "postgres", 8, marks=pytest.mark.faults),
    pytest.param("kling", "sqlite", 8, marks=pytest.mark.faults),
    pytest.param("fal", "sqlite", 8, marks=pytest.mark.thorough),
    pytest.param("kling", "postgres", 8, marks=pytest.mark.thorough),
]
SHORT = {"ONETAKE_LEASE": "0.4", "ONETAKE_GUARD": "0.4", "ONETAKE_SUBMIT_TIMEOUT": "0.8"}


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_frozen_worker_does_not_post_when_it_wakes(
    server: SandboxServer, tmp_path: Path, vendor: str
) -> None:
    """Stopped between intent and POST, overtaken after its lease, then continued: one charge."""
    home = Home(tmp_path / "home", server, **SHORT)
    with home.running(
        *home.generate(vendor), DYING_AT="sending", DYING_BY="STOP", ONETAKE_SUBMIT_PATIENCE="1"
    ) as child:
        until(lambda: _stopped(child.pid), child)
        until(lambda: home.records()[0].lease_until < time.time())
        home.resumed()  # claims the job, because the lease has ended
        [overtaken] = home.jobs()
        child.send_signal(signal.SIGCONT)
        out, err = child.communicate(timeout=PATIENCE)
        if vendor == "kling":
            assert overtaken.state is JobState.DELIVERED
            assert child.returncode == 0, err
            assert len(server.charges()) == 1
        else:
            assert overtaken.state is JobState.UNKNOWN
            assert child.returncode == 5, (out, err)
            assert server.charges() == []
    posts = [r for r in server.requests(method="POST") if "/storage/" not in r["path"]]
    assert len(posts) == len(server.charges())


@pytest.mark.faults
def test_a_frozen_worker_alone_tries_again(server: SandboxServer, tmp_path: Path) -> None:
    """Stopped beyond the guard but not overtaken: it knows that it sent nothing, and sends."""
    home = Home(tmp_path / "home", server, **SHORT)
    with home.running(*home.generate("fal"), DYING_AT="sending", DYING_BY="STOP") as child:
        until(lambda: _stopped(child.pid), child)
        until(lambda: home.records()[0].sent_at + 0.5 < time.time())
        while child.poll() is None:  # it stops again each time it says that it sends
            child.send_signal(signal.SIGCONT)
            until(lambda: child.poll() is not None or _stopped(child.pid))
        assert child.returncode == 0
    assert len(server.charges()) == 1


def _stopped(pid: int) -> bool:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize(("vendor", "ledger", "count"), BOTH)
def test_processes_with_one_key_are_one_job(
    tmp_path: Path, vendor: str, ledger: str, count: int, request: pytest.FixtureRequest
) -> None:
    """All but one meet the same job, one of them dies, and there is one charge and one download."""
    with sandbox_server(seconds_per_job=1.5) as server:
        home = Home.on(ledger, tmp_path / "home", server, request)
        arguments = home.generate(vendor, "--key", "shot-1", "--json")
        children = [
            home.start(*arguments, **({"DYING_AT": "accepted"} if number == 0 else {}))
            for number in range(count)
        ]
        told = [child.communicate(timeout=PATIENCE) for child in children]
        dead = [child for child in children if child.returncode == -signal.SIGKILL]
        done = [json.loads(out) for out, _ in told if out]
        assert len(dead) <= 1
        assert len(done) == count - len(dead), told
        assert len({job["job_id"] for job in done}) == 1
        assert {job["state"] for job in done} == {"delivered"}
        assert len(server.charges()) == 1
        assert len(server.requests(path="/kling/cdn" if vendor == "kling" else "/fal/media")) == 1


@pytest.mark.faults
@pytest.mark.parametrize("ledger", ["postgres", pytest.param("sqlite", marks=pytest.mark.thorough)])
def test_slots_hold_across_processes(
    tmp_path: Path, ledger: str, request: pytest.FixtureRequest
) -> None:
    """Three processes, two slots: the vendor never has more, and has to refuse hardly ever."""
    with sandbox_server(seconds_per_job=0.8, concurrency=2) as server:
        patient = {"ONETAKE_SUBMIT_PATIENCE": "60"}
        home = Home.on(ledger, tmp_path / "home", server, request, **patient)
        script = Path(__file__).parent / "many.py"
        children = [home.start_script(script, "kling", MODEL, "2", str(n)) for n in range(3)]
        for child in children:
            _, err = child.communicate(timeout=PATIENCE)
            assert child.returncode == 0, err
        charges = server.charges()
        assert len(charges) == 6
        refused = [r for r in server.requests(method="POST") if r["status"] == 429]
        assert len(refused) <= 3, "the number of slots is learned, not tried each time"


@pytest.mark.faults
def test_a_killed_process_gives_its_slots_back(tmp_path: Path) -> None:
    """Its jobs hold them until somebody has found out what became of them."""
    with sandbox_server(seconds_per_job=2.0, concurrency=1) as server:
        home = Home(tmp_path / "home", server, ONETAKE_SUBMIT_PATIENCE="60")
        home.dies_at("accepted", home.generate("kling"))
        with home.running(*home.generate("kling", "--json")) as second:
            until(lambda: len(home.records()) == 2, second)
            home.resumed()  # both: the dead one's job ends, and makes room
            out, err = second.communicate(timeout=PATIENCE)
            assert json.loads(out)["state"] == "delivered", err
        assert len(server.charges()) == 2
        assert Path(json.loads(out)["artifacts"][0]["path"]).is_file()


LIP_SYNC = (
    "generate", "-p", "kling", "-m", "kling-lipsync", "-a", "video=https://example.com/v.mp4",
    "--param", "text=hello", "--param", "voice=oversea_male1", "--param", "language=en",
)  # fmt: skip


@pytest.mark.faults
def test_a_killed_chain_gives_its_budget_back(server: SandboxServer, tmp_path: Path) -> None:
    """There is room for one chain: the same command, run again, takes the paid step and goes on."""
    home = Home(tmp_path / "home", server, ONETAKE_DAILY_BUDGET="1.00")
    home.dies_at("accepted", list(LIP_SYNC))
    paid = len(server.charges())
    assert paid >= 1
    done = home.run(*LIP_SYNC, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "delivered"
    paths = [r["path"] for r in server.requests(method="POST")]
    assert len(paths) == len(set(paths)) == len(server.charges()), "no step was paid for twice"


@pytest.mark.faults
@pytest.mark.timeout(200)
@pytest.mark.parametrize(("ledger", "count"), [("sqlite", 100), ("postgres", 80)])
def test_a_hundred_processes_do_not_overshoot_a_budget(
    tmp_path: Path, ledger: str, count: int, request: pytest.FixtureRequest
) -> None:
    """All send at the same moment; there is room for seven, and seven are charged.

    Eighty on PostgreSQL, which lets no more than a hundred connections in.
    """
    with sandbox_server(seconds_per_job=0.0, concurrency=1000) as server:
        limits = {"ONETAKE_DAILY_BUDGET": "2.50", "ONETAKE_LEDGER_TIMEOUT": "120"}
        home = Home.on(ledger, tmp_path / "home", server, request, **limits)
        script = Path(__file__).parent / "spender.py"
        with home.start_script(script, MODEL, str(count)) as parent:
            out, err = parent.communicate(timeout=180)
        codes = json.loads(out)
        assert sorted(codes) == [0] * 7 + [4] * (count - 7), err
        charged = sum(Decimal(charge["amount"]) for charge in server.charges())
        assert charged == Decimal("2.45")
