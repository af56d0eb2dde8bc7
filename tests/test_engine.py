"""The engine, over real HTTP to a sandbox."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from onetake import (
    BudgetExceeded,
    ConcurrencyExceeded,
    DeliveryError,
    GenerationRequest,
    Job,
    JobFailed,
    JobState,
    JobTimeout,
    KeyConflict,
    Provider,
    ProviderUnavailable,
    SubmissionUnknown,
    get_provider,
    plugins,
)
from onetake.engine import pacing
from onetake.hookspecs import hookimpl
from onetake.settings import Settings
from onetake.testing import SandboxServer, VirtualClock, sandbox_server
from tests.running import LAKE, run


def test_updates_tell_every_state_once(server: SandboxServer, settings: Settings) -> None:
    """From draft to delivered, in order, each once."""
    states: list[JobState] = []
    run(
        lambda p: p.generate(LAKE, on_update=lambda job: states.append(job.state)), server, settings
    )
    assert states[0] is JobState.DRAFT
    assert states[-2:] == [JobState.SUCCEEDED, JobState.DELIVERED]
    assert len(states) == len(set(states))


def test_the_intent_is_on_disk_before_the_post(server: SandboxServer, settings: Settings) -> None:
    """When the vendor sees the POST, the row says ``sending``."""
    seen: list[Any] = []

    def look(job: Job) -> None:
        engine = sa.create_engine(settings.ledger_url)
        with engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT submission, task_id FROM jobs")).all()
            seen.append((job.state, [tuple(row) for row in rows]))
        engine.dispose()

    run(lambda p: p.submit(LAKE, on_update=look), server, settings)
    assert seen[0] == (JobState.DRAFT, [("intent", None)])
    assert seen[1][1][0][0] == "accepted"
    assert seen[1][1][0][1] is not None


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_many_waiters_share_their_looks(settings: Settings, backend: str) -> None:
    """Twenty jobs are asked for in one call, and all are delivered."""
    with sandbox_server(concurrency=100, seconds_per_job=0.5) as server:

        async def work(provider: Provider) -> list[Any]:
            requests = [
                GenerationRequest(f"lake {number}", model="kling-v2.6-pro-text")
                for number in range(20)
            ]
            return [outcome async for outcome in provider.generate_many(requests)]

        outcomes = run(work, server, settings, backend=backend)
        assert all(outcome.job.state is JobState.DELIVERED for outcome in outcomes)
        looks = [
            r
            for r in server.requests(method="GET", path="/tasks")
            if r["query"].startswith("task_ids")
        ]
        assert len(looks) <= 15, "one look asks for many tasks"
        assert len(server.charges()) == 20


def test_two_waiters_on_one_job_both_get_it(server: SandboxServer, settings: Settings) -> None:
    """And it is downloaded once."""

    async def work(provider: Provider) -> list[Any]:
        job = await provider.submit(LAKE)
        results: list[Any] = []

        async def wait() -> None:
            results.append(await provider.wait(job))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            group.start_soon(wait)
        return results

    first, second = run(work, server, settings)
    assert first.path == second.path
    assert len(server.requests(path="/cdn/")) == 1


def test_a_leader_that_leaves_hands_over(settings: Settings) -> None:
    """The first waiter is cancelled while it leads; the second still gets its file."""
    with sandbox_server(seconds_per_job=0.6) as server:

        async def work(provider: Provider) -> Any:
            one = await provider.submit(LAKE)
            two = await provider.submit(GenerationRequest("b", model="kling-v2.6-pro-text"))
            scope = anyio.CancelScope()
            outcome: list[Any] = []

            async def leads() -> None:
                with scope:
                    await provider.wait(one)

            async def follows() -> None:
                outcome.append(await provider.wait(two))

            with anyio.fail_after(20):
                async with anyio.create_task_group() as group:
                    group.start_soon(leads)
                    await anyio.lowlevel.checkpoint()
                    group.start_soon(follows)
                    await anyio.lowlevel.checkpoint()
                    scope.cancel()
            return outcome[0]

        assert run(work, server, settings).job.state is JobState.DELIVERED


def test_patience_ends_but_the_job_goes_on(settings: Settings) -> None:
    """A timeout is the caller's; waiting again finishes the job, for one charge."""
    with sandbox_server(seconds_per_job=1.0) as server:

        async def work(provider: Provider) -> Any:
            job = await provider.submit(LAKE)
            with pytest.raises(JobTimeout) as caught:
                await provider.wait(job, timeout=0.01)
            assert caught.value.token
            assert caught.value.job_id == job.id
            return await provider.wait(job)

        result = run(work, server, settings)
        assert result.job.state is JobState.DELIVERED
        assert len(server.charges()) == 1


def test_another_process_goes_on_with_a_submitted_job(
    server: SandboxServer, settings: Settings
) -> None:
    """Submit here, resume there: one charge, one file."""
    job = run(lambda p: p.submit(LAKE), server, settings)
    jobs = run(lambda p: p.resume(), server, settings)
    assert [(each.id, each.state) for each in jobs] == [(job.id, JobState.DELIVERED)]
    assert len(server.charges()) == 1


def test_a_full_account_waits_for_a_slot(settings: Settings) -> None:
    """1303 is refused before anything is created, so it is sent again."""
    with sandbox_server(concurrency=1, seconds_per_job=0.5) as server:

        async def work(provider: Provider) -> list[Any]:
            requests = [GenerationRequest(f"l{n}", model="kling-v2.6-pro-text") for n in range(2)]
            return [outcome async for outcome in provider.generate_many(requests)]

        patient = settings.model_copy(update={"submit_patience": 20.0})
        outcomes = run(work, server, patient)
        assert all(outcome.job.state is JobState.DELIVERED for outcome in outcomes)
        assert len(server.charges()) == 2


def test_patience_with_a_full_account_ends(settings: Settings) -> None:
    """The refusal is told; the job is refused for good, nothing is sent later."""
    with sandbox_server(concurrency=1, seconds_per_job=600) as server:
        run(lambda p: p.submit(LAKE), server, settings)
        with pytest.raises(ConcurrencyExceeded) as caught:
            run(lambda p: p.submit(LAKE), server, settings)
        assert caught.value.task_state == "not_created"
        assert len(server.charges()) == 1
        [latest, _] = run(lambda p: p.jobs(), server, settings)
        assert latest.state is JobState.REFUSED


def test_a_vendor_that_cannot_be_reached_gets_nothing(settings: Settings) -> None:
    """A closed port is NotSent; the job ends as refused, and says that nothing was sent."""
    with sandbox_server() as server:
        url = server.url
    with pytest.raises(ProviderUnavailable) as caught:

        async def main() -> None:
            async with get_provider("kling", sandbox=url, settings=settings) as provider:
                await provider.generate(LAKE)

        anyio.run(main)
    assert caught.value.task_state == "not_created"
    assert caught.value.retryable


def test_fal_stays_unknown_and_is_never_sent_again(
    server: SandboxServer, settings: Settings
) -> None:
    """Where the platform may not be asked, waiting again raises again, without a second POST."""
    server.fail("drop_after_accept", method="POST", path="/fal/queue")
    server.fail("http_403", times=9, path="/fal/platform")

    async def work(provider: Provider) -> None:
        with pytest.raises(SubmissionUnknown) as caught:
            await provider.generate(LAKE)
        with pytest.raises(SubmissionUnknown):
            await provider.wait(caught.value.job_id or "")

    run(work, server, settings, "fal")
    assert len(server.requests(method="POST", path="/fal/queue")) == 1
    assert len(server.charges()) == 1


def test_keys(server: SandboxServer, settings: Settings) -> None:
    """Same key, same job; other request, conflict; a failure is told again, unless retried."""

    async def work(provider: Provider) -> None:
        good = GenerationRequest("a", model="kling-v2.6-pro-text", key="k1")
        one, two = await provider.submit(good), await provider.submit(good)
        assert one.id == two.id
        with pytest.raises(KeyConflict, match=one.id):
            await provider.submit(GenerationRequest("b", model="kling-v2.6-pro-text", key="k1"))
        bad = GenerationRequest("[[fail]]", model="kling-v2.6-pro-text", key="k2")
        for _ in range(2):
            with pytest.raises(JobFailed):
                await provider.generate(bad)
        with pytest.raises(JobFailed):
            await provider.generate(bad, retry=True)

    run(work, server, settings)
    assert len(server.charges()) == 3, "k1 once, k2 twice: the second time on request"


def test_reuse_returns_what_was_paid_for(server: SandboxServer, settings: Settings) -> None:
    """The same request again costs nothing, if that is wished."""

    async def work(provider: Provider) -> None:
        first = await provider.generate(LAKE)
        again = await provider.generate(LAKE, reuse=True)
        other = await provider.generate(LAKE)
        assert again.job.id == first.job.id != other.job.id

    run(work, server, settings)
    assert len(server.charges()) == 2


def test_money_is_guarded_before_anything_is_sent(
    server: SandboxServer, settings: Settings
) -> None:
    """Too dear, unknown price, and an estimate for another request."""

    async def work(provider: Provider) -> None:
        with pytest.raises(BudgetExceeded, match=r"0\.35"):
            await provider.generate(LAKE, max_cost="0.34")
        approved = provider.estimate(LAKE)
        longer = GenerationRequest(
            "a lake", model="kling-v2.6-pro-text", parameters={"duration": 10}
        )
        with pytest.raises(BudgetExceeded, match="approved"):
            await provider.generate(longer, estimate=approved)
        await provider.generate(LAKE, estimate=approved, max_cost="0.35")

    run(work, server, settings)
    assert len(server.charges()) == 1

    async def unpriced(provider: Provider) -> None:
        request = GenerationRequest("x", model="fal-ai/unheard/of")
        with pytest.raises(BudgetExceeded, match="unknown"):
            await provider.generate(request, max_cost=100)

    run(unpriced, server, settings, "fal")
    assert len(server.charges()) == 1


def test_the_actual_charge_stands_beside_the_estimate(
    server: SandboxServer, settings: Settings
) -> None:
    """Units as the vendor deducted them, and money at the list price."""
    job = run(lambda p: p.generate(LAKE), server, settings).job
    assert job.actual == {"amount": "0.35", "currency": "USD", "units": "2.5"}
    assert job.estimate["expected"] == "0.35"


# ── cancellation, takeover ──


def state_of(settings: Settings) -> list[tuple[Any, ...]]:
    """Return submission and task id of every job."""
    engine = sa.create_engine(settings.ledger_url)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT submission, task_id FROM jobs")).all()
    engine.dispose()
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("way", ["anyio", "wait_for", "shutdown"])
def test_no_cancellation_cuts_between_post_and_record(
    server: SandboxServer, settings: Settings, way: str
) -> None:
    """A time limit of anyio or asyncio, and the end of the loop: the id is on disk."""
    server.fail("slow", method="POST", path="/fal/queue")

    async def main() -> None:
        provider = get_provider("fal", sandbox=server.url, settings=settings)
        submitting = provider.submit(LAKE)
        if way == "anyio":
            with anyio.move_on_after(1.0):
                await submitting
        elif way == "wait_for":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(submitting, 1.0)
        else:
            task = asyncio.ensure_future(submitting)
            await asyncio.sleep(1.0)
            del task
            raise RuntimeError("the program ends")

    if way == "shutdown":
        with pytest.raises(RuntimeError, match="the program ends"):
            asyncio.run(main())
    else:
        asyncio.run(main())
    [charge] = server.charges()
    assert state_of(settings) == [("accepted", charge["task_id"])]


def test_a_time_limit_bounds_the_submission_itself(
    server: SandboxServer, settings: Settings
) -> None:
    """The limit inside the unstoppable work still works."""
    server.fail("stall", method="POST", path="/fal/queue")
    server.fail("http_403", times=9, path="/fal/platform")
    hasty = settings.model_copy(update={"submit_timeout": 0.5})
    with pytest.raises(SubmissionUnknown):
        run(lambda p: p.submit(LAKE), server, hasty, "fal")
    assert len(server.charges()) == 1


def test_a_waiter_survives_a_takeover(settings: Settings) -> None:
    """Another worker claims the job and leaves; the first one goes on, and both may look."""
    with sandbox_server(seconds_per_job=2.0) as server:
        short = settings.model_copy(
            update={"lease": 0.3, "sandbox_seconds_per_job": 2.0}  # the guard is not tried here
        )

        async def main() -> Any:
            one = get_provider("kling", sandbox=server.url, settings=short)
            two = get_provider("kling", sandbox=server.url, settings=short)
            async with one, two, anyio.create_task_group() as group:
                job = await one.submit(LAKE)

                async def visit() -> None:
                    await anyio.sleep(0.6)
                    with pytest.raises(JobTimeout):
                        await two.wait(job.id, timeout=0.2)

                group.start_soon(visit)
                with anyio.fail_after(20):
                    return await one.wait(job)

        assert anyio.run(main).job.state is JobState.DELIVERED


# ── delivery ──


def test_a_file_cut_short_is_noticed(server: SandboxServer, settings: Settings) -> None:
    """Its length fits, so only opening it tells; it is not delivered, and comes when whole."""
    server.fail("truncate_file", method="GET", path="/cdn/")

    async def work(provider: Provider) -> Any:
        with pytest.raises(DeliveryError, match="not a whole"):
            await provider.generate(LAKE)
        [job] = await provider.jobs()
        return await provider.wait(job)

    assert run(work, server, settings).job.state is JobState.DELIVERED


def test_a_download_that_breaks_is_resumed(server: SandboxServer, settings: Settings) -> None:
    """The second request asks for the rest only, and the file is whole."""
    server.fail("half_body", method="GET", path="/cdn/")
    result = run(lambda p: p.generate(LAKE), server, settings)
    parts = server.requests(path="/cdn/")
    assert len(parts) == 2
    assert parts[1]["headers"]["range"].startswith("bytes=")
    assert result.artifacts[0].duration == pytest.approx(5.04, abs=0.01)


def test_a_link_that_ended_is_asked_for_anew(server: SandboxServer, settings: Settings) -> None:
    """The vendor still has the file, so a fresh link is fetched from the task."""
    server.fail("expire_url", method="GET", path="/cdn/")
    result = run(lambda p: p.generate(LAKE), server, settings)
    assert result.job.state is JobState.DELIVERED


def test_a_file_that_cannot_be_fetched_does_not_fail_the_job(
    server: SandboxServer, settings: Settings
) -> None:
    """It stays succeeded and paid, and comes when it is asked for again."""
    server.fail("expire_url", 2, method="GET", path="/cdn/")

    async def work(provider: Provider) -> Any:
        with pytest.raises(DeliveryError, match="jobs resume") as caught:
            await provider.generate(LAKE)
        assert caught.value.billed == "yes"
        job = await provider.job(caught.value.job_id or "")
        assert job.state is JobState.SUCCEEDED
        return await provider.wait(job)

    result = run(work, server, settings)
    assert result.job.state is JobState.DELIVERED
    assert len(server.charges()) == 1
    leftovers = list(settings.media_folder.rglob("*.part"))
    assert leftovers == []


def test_an_unwritable_media_folder_is_told(server: SandboxServer, settings: Settings) -> None:
    """The job is paid; nothing is half-written; it comes once there is room."""
    settings.home.mkdir(parents=True)
    settings.media_folder.write_text("a file stands where the folder should be")

    async def work(provider: Provider) -> Any:
        with pytest.raises(DeliveryError) as caught:
            await provider.generate(LAKE)
        settings.media_folder.unlink()
        return await provider.wait(caught.value.job_id or "")

    assert run(work, server, settings).job.state is JobState.DELIVERED


def test_artifacts_are_named_by_their_content(server: SandboxServer, settings: Settings) -> None:
    """And saved copies are equal."""
    artifact = run(lambda p: p.generate(LAKE), server, settings).artifacts[0]
    assert artifact.path.stem == artifact.sha256
    copy = artifact.save(settings.home / "copy.mp4")
    assert copy.read_bytes() == artifact.path.read_bytes()
    with pytest.raises(DeliveryError, match="cannot be written"):
        artifact.save(settings.home / "copy.mp4" / "no.mp4")


# ── time ──


def test_a_long_job_costs_few_requests(settings: Settings) -> None:
    """120 s on the virtual clock: at most 12 requests from submission to result."""
    clock = VirtualClock()
    with sandbox_server(clock=clock, seconds_per_job=120) as server:
        slow = settings.model_copy(update={"sandbox_seconds_per_job": 120.0})
        for name, model in (("fal", "kling-v2.6-pro-text"), ("kling", "kling-v2.6-pro-text")):
            server.reset()
            request = GenerationRequest("a lake", model=model)
            run(lambda p, r=request: p.generate(r), server, slow, name, clock=clock)  # type: ignore[misc]
            assert len(server.requests()) <= 12


def test_pacing_is_late_then_closer_then_slower() -> None:
    """The first look waits, the next ones do not ask more often than is useful."""
    assert pacing.next_look(0, 0, 100) == pytest.approx(55)
    assert pacing.next_look(0, 60, 100) == pytest.approx(70)
    assert pacing.next_look(0, 1000, 100) == pytest.approx(1020)
    assert pacing.next_look(0, 0.2, 0.2) >= 0.4
    assert pacing.backoff(0) == 1.0
    assert pacing.backoff(50) == 30.0
    assert pacing.backoff(0, 90) == 90


# ── events ──


def test_events_and_logs_tell_every_step_and_no_secret(
    server: SandboxServer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Plugins hear each transition; one that fails is logged and changes nothing."""
    heard: list[dict[str, Any]] = []

    class Listener:
        @hookimpl
        def onetake_job_event(self, event: dict[str, Any]) -> None:
            heard.append(event)
            raise RuntimeError("a plugin with a mistake")

    listener = Listener()
    plugins.registry().manager.register(listener)
    try:
        with caplog.at_level(logging.INFO, "onetake"):
            run(lambda p: p.generate(LAKE), server, settings)
    finally:
        plugins.registry().manager.unregister(listener)
    names = [event["event"] for event in heard]
    assert names[:3] == ["intended", "sending", "accepted"]
    assert names[-1] == "delivered"
    assert "sandbox-sk" not in caplog.text
    assert "Bearer" not in caplog.text


def test_live_calls_are_forbidden_in_tests(tmp_path: Path) -> None:
    """The pytest plugin sees to it."""
    with pytest.raises(Exception, match="ONETAKE_LIVE"):

        async def main() -> None:
            async with get_provider("kling", api_key="x", sandbox=False) as provider:
                await provider.generate(LAKE)

        anyio.run(main)
