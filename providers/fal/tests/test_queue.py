"""fal's queue as our driver uses it: streams and looks, headers, what comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onetake import GenerationRequest, Job, JobState
from onetake.errors import (
    ConfigurationError,
    InsufficientCredits,
    JobFailed,
    OnetakeError,
    ProviderUnavailable,
)
from onetake.plugins import catalog
from onetake.testing import SandboxServer, VirtualClock, sandbox_server

from .running import run

TEXT = "kling-v2.6-pro-text"
LAKE = GenerationRequest("a lake", model=TEXT)


def asked(server: SandboxServer) -> list[str]:
    """Return the calls to fal's API; downloads are not among them."""
    calls = [f"{item['method']} {item['path']}" for item in server.requests()]
    return [call for call in calls if "/fal/media/" not in call]


def test_a_long_job_with_the_stream_takes_four_requests(tmp_path: Path) -> None:
    """120 s on the virtual clock: key check, submission, stream, result."""
    clock = VirtualClock()
    with sandbox_server(clock=clock, seconds_per_job=120) as server:
        run(server, tmp_path, lambda fal: fal.generate(LAKE), 120.0, clock=clock)
        calls = asked(server)
        assert len(calls) <= 4, calls
        assert sum("/status/stream" in call for call in calls) == 1


def test_without_the_stream_it_takes_twelve(tmp_path: Path) -> None:
    """The stream is refused: paced looks do it, downloads and key check included."""
    clock = VirtualClock()
    with sandbox_server(clock=clock, seconds_per_job=120) as server:
        server.fail("http_503", path="/status/stream", times=100)
        run(server, tmp_path, lambda fal: fal.generate(LAKE), 120.0, clock=clock)
        assert len(server.requests()) <= 12


def test_progress_and_log_come_with_the_stream(tmp_path: Path) -> None:
    """Each state once, with the place in the queue; each line of the log once."""
    seen: list[Job] = []
    with sandbox_server(seconds_per_job=2.0) as server:
        run(server, tmp_path, lambda fal: fal.generate(LAKE, on_update=seen.append), 2.0)
    states = [job.state for job in seen]
    for state in (JobState.QUEUED, JobState.RUNNING, JobState.DELIVERED):
        assert state in states
    assert any(job.position == 0 for job in seen)
    lines = [line for job in seen for line in job.logs]
    assert lines == ["sandbox: started", "sandbox: finished"]


def test_logs_come_with_looks_too(tmp_path: Path) -> None:
    """The whole log comes with each look; each line is told once."""
    seen: list[Job] = []
    with sandbox_server(seconds_per_job=1.0) as server:
        server.fail("http_503", path="/status/stream", times=100)
        run(server, tmp_path, lambda fal: fal.generate(LAKE, on_update=seen.append), 1.0)
    lines = [line for job in seen for line in job.logs]
    assert lines[-1] == "sandbox: finished"
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize("fault", ["half_body", "reset", "bad_json", "http_404"])
def test_a_stream_that_breaks_is_replaced_by_looks(tmp_path: Path, fault: str) -> None:
    """Nothing is lost, and nothing is sent again."""
    with sandbox_server(seconds_per_job=0.5) as server:
        server.fail(fault, path="/status/stream")
        result = run(server, tmp_path, lambda fal: fal.generate(LAKE), 0.5)
        assert result.job.state is JobState.DELIVERED
        assert len(server.requests(method="POST", path="/fal/queue")) == 1


def test_a_request_that_goes_back_into_the_queue(tmp_path: Path) -> None:
    """fal may take a runner away: running, queued, running; the job waits on and is delivered."""
    seen: list[JobState] = []

    def note(job: Job) -> None:
        seen.append(job.state)

    with sandbox_server(seconds_per_job=3.0) as server:
        server.fail("requeue")
        run(server, tmp_path, lambda fal: fal.generate(LAKE, on_update=note), 3.0)
    short = [state for n, state in enumerate(seen) if state not in seen[n - 1 : n]]
    where = short.index(JobState.RUNNING)
    assert short[where : where + 3] == [JobState.RUNNING, JobState.QUEUED, JobState.RUNNING]


def test_completed_with_an_error_inside_is_a_failure(tmp_path: Path) -> None:
    """Of the infrastructure: unbilled, and a new job may succeed."""
    with sandbox_server(seconds_per_job=0.0) as server:
        server.fail("inner_error")
        with pytest.raises(JobFailed) as caught:
            run(server, tmp_path, lambda fal: fal.generate(LAKE))
        assert caught.value.vendor_code == "runner_disconnected"
        assert caught.value.retryable
        assert caught.value.billed == "no"


def test_bad_input_shows_at_the_result_only(tmp_path: Path) -> None:
    """fal takes everything and judges later; the message names our field."""
    wrong = GenerationRequest("a lake", model=TEXT, parameters={"fal": {"cfg_scale": 7}})
    with sandbox_server(seconds_per_job=0.0) as server:
        with pytest.raises(JobFailed) as caught:
            run(server, tmp_path, lambda fal: fal.generate(wrong))
        assert "cfg_scale" in caught.value.message
        assert caught.value.vendor_code == "less_than_equal"
        assert caught.value.payload["detail"][0]["ctx"] == {"le": 1.0}, "fal's own answer is kept"
        assert len(server.requests(method="POST", path="/fal/queue")) == 1


def test_a_path_that_the_app_does_not_have_is_a_failure(tmp_path: Path) -> None:
    """A mistyped endpoint is accepted by fal; the app's own 404 is no lost result."""
    wrong = GenerationRequest("a lake", model="fal-ai/kling-video/v2.6/por/text-to-video")
    with sandbox_server(seconds_per_job=0.0) as server:
        with pytest.raises(JobFailed, match=r"Path /v2\.6/por/text-to-video not found") as caught:
            run(server, tmp_path, lambda fal: fal.generate(wrong))
        assert caught.value.billed == "no"


def test_an_account_that_cannot_pay(tmp_path: Path) -> None:
    """fal locks it; nothing was created, and it is told as what it is."""
    with sandbox_server(seconds_per_job=0.0) as server:
        server.fail("lock_account")
        with pytest.raises(InsufficientCredits, match="Top up"):
            run(server, tmp_path, lambda fal: fal.generate(LAKE))
        assert server.charges() == []


def test_a_result_that_is_gone_leaves_the_job_open(tmp_path: Path) -> None:
    """404 after about an hour: the wait ends, and the job is not taken for failed."""
    clock = VirtualClock()
    with sandbox_server(clock=clock, seconds_per_job=10) as server:
        server.fail("forget_task")
        with pytest.raises(ProviderUnavailable, match="does not show"):
            run(server, tmp_path, lambda fal: fal.generate(LAKE), 10.0, clock=clock)


OPTIONS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {"x-fal-request-timeout": "3600.0"}),
    ({"start_timeout": 60}, {"x-fal-request-timeout": "60.0"}),
    ({"priority": "low"}, {"x-fal-queue-priority": "low"}),
    ({"runner_hint": "lake"}, {"x-fal-runner-hint": "lake"}),
    ({"recoverable": False}, {"x-fal-store-io": "0"}),
    (
        {"expires_in": "1d"},
        {"x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": 86400}'},
    ),
    (
        {"expires_in": 90},
        {"x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": 90}'},
    ),
]


@pytest.mark.parametrize(("options", "headers"), OPTIONS, ids=[str(row[0]) for row in OPTIONS])
def test_options_become_headers(
    server: SandboxServer, tmp_path: Path, options: dict[str, Any], headers: dict[str, str]
) -> None:
    """Of the submission; the start timeout always."""
    run(server, tmp_path, lambda fal: fal.submit(LAKE), **options)
    [sent] = server.requests(method="POST", path="/fal/queue")
    assert headers.items() <= sent["headers"].items()
    if "recoverable" not in options:
        assert "x-fal-store-io" not in sent["headers"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("start_timeout", 1),
        ("priority", "high"),
        ("expires_in", "2h"),
        ("expires_in", 0),
        ("recoverable", "no"),
        ("inline_below", "1k"),
        ("runner_hint", 5),
        ("runner_hint", "lä"),
        ("expires_in", [1]),
        ("start_timeout", float("inf")),
        ("expire_in", "1h"),
    ],
)
def test_a_wrong_option_names_itself(
    server: SandboxServer, tmp_path: Path, option: str, value: Any
) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match=option):
        run(server, tmp_path, lambda fal: fal.submit(LAKE), **{option: value})
    assert not server.requests()


def test_what_was_not_stored_cannot_be_found_again(tmp_path: Path) -> None:
    """recoverable=False: a lost answer stays unknown, and the error says why."""
    with sandbox_server(seconds_per_job=0.0) as server:
        server.fail("drop_after_accept", method="POST", path="/fal/queue")
        with pytest.raises(OnetakeError) as caught:
            run(server, tmp_path, lambda fal: fal.generate(LAKE), recoverable=False)
        assert caught.value.task_state == "may_exist"
        assert len(server.charges()) == 1


def test_actual_cost_is_the_billed_units(server: SandboxServer, tmp_path: Path) -> None:
    """As many seconds as estimated cost what was estimated; the books say the same."""

    async def work(fal: Any) -> Any:
        result = await fal.generate(LAKE)
        return result.job, await fal.deductions(days=1), await fal.account(), await fal.findings()

    job, books, balances, findings = run(server, tmp_path, work)
    assert job.actual == {"amount": "0.7", "currency": "USD", "units": "5"}
    assert [(item.task_id, str(item.amount)) for item in books] == [(job.task_id, "0.7")]
    assert balances[0].unit == "USD"
    assert "ADMIN" in findings[0]


def test_live_prices_are_a_hint(server: SandboxServer, tmp_path: Path) -> None:
    """By neutral name or id, fifty at a time; one number, whatever the tier."""
    names = [card.name for card in catalog("fal").cards]
    names.append("sandbox/picture/text-to-image")
    prices = run(server, tmp_path, lambda fal: fal.list_prices(names))
    found = {price.vendor_id: price for price in prices}
    assert str(found["fal-ai/kling-video/v2.6/pro/text-to-video"].amount) == "0.14"
    assert found["sandbox/picture/text-to-image"].unit == "image"
    assert len(server.requests(path="/platform/v1/models/pricing")) == 2


def test_a_key_that_may_not_read_the_books_is_told(server: SandboxServer, tmp_path: Path) -> None:
    """Generating needs less than reading bills."""
    server.fail("http_403", path="/platform/v1/account", times=3)
    [finding] = run(server, tmp_path, lambda fal: fal.findings())
    assert "scope API" in finding
