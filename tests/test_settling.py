"""Decisions, closing and clocks at the wrong moment: nothing is paid twice, no id is lost."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from onetake import (
    BudgetExceeded,
    GenerationRequest,
    JobState,
    OnetakeError,
    Provider,
    ProviderUnavailable,
    RequestError,
    SubmissionUnknown,
    get_provider,
)
from onetake.engine.emergency import EmergencyFolder
from onetake.ledger import store
from onetake.settings import Settings
from onetake.testing import SandboxServer, VirtualClock, sandbox_server
from tests.running import LAKE, run, run_once

FAL_POST = {"method": "POST", "path": "/fal/queue"}
PLATFORM = {"path": "/fal/platform"}


WRONG = replace(LAKE, parameters={"kling": {"settings": {"duration": 99}}})
"""Refused by the vendor, not by us: its own fields pass untouched."""


async def charged(server: SandboxServer) -> None:
    """Wait until the vendor, which is another process as it were, has accepted a job."""
    while not server.charges():  # noqa: ASYNC110 - there is no event to wait for
        await anyio.sleep(0.02)


@pytest.mark.parametrize("decision", ["resubmit", "abandon", "attach"])
def test_no_decision_about_a_job_whose_post_is_under_way(
    server: SandboxServer, settings: Settings, decision: str
) -> None:
    """In the same provider: it is refused, and the POST comes to its own end."""
    server.fail("stall", **FAL_POST)
    hasty = settings.model_copy(update={"submit_timeout": 2.0})

    async def work(provider: Provider) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(provider.generate, LAKE)
            await charged(server)
            [job] = await provider.jobs()
            arguments = [server.charges()[0]["task_id"]] if decision == "attach" else []
            with pytest.raises(RequestError, match="being worked on"):
                await getattr(provider, decision)(job, *arguments)
        [job] = await provider.jobs()
        assert job.state is JobState.DELIVERED

    run(work, server, hasty, "fal")
    assert len(server.charges()) == 1


def test_leaving_the_provider_waits_for_what_must_be_written(settings: Settings) -> None:
    """One call fails and the block ends, while another's POST is under way: its id is kept."""
    with sandbox_server(seconds_per_job=0) as server:
        server.fail("slow", method="POST", path="/kling")
        jobs: list[Any] = []

        async def main() -> None:
            kling = get_provider("kling", sandbox=server.url, settings=settings)

            async def submit() -> None:
                jobs.append(await kling.submit(LAKE))

            async with anyio.create_task_group() as group, kling:
                group.start_soon(submit)
                await charged(server)
            assert jobs[0].task_id == server.charges()[0]["task_id"]

        anyio.run(main)
    assert not (settings.home / "emergency").exists()


def test_a_provider_may_be_entered_twice(server: SandboxServer, settings: Settings) -> None:
    """The inner block's end does not close the ledger under the outer one."""

    async def main() -> None:
        async with get_provider("kling", sandbox=server.url, settings=settings) as kling:
            async with kling:
                await kling.submit(LAKE)
            assert len(await kling.jobs()) == 1

    anyio.run(main)


def test_an_old_unknown_job_is_not_sent_again(server: SandboxServer, settings: Settings) -> None:
    """Nobody has seen how long Kling keeps our id unique: after a day it is a person's decision."""
    server.fail("drop_after_accept", method="POST", path="/kling")
    server.fail("http_503", times=9, method="GET", path="/kling/tasks")
    clock = VirtualClock()

    async def lose(provider: Provider) -> None:
        with pytest.raises(SubmissionUnknown):
            await provider.generate(LAKE)

    hasty = settings.model_copy(update={"submit_patience": 0.0})
    run(lose, server, hasty, clock=clock)
    server.reset()  # the vendor has forgotten it
    clock.advance(40 * 86_400)

    async def resume(provider: Provider) -> None:
        [job] = await provider.resume()
        assert job.state is JobState.UNKNOWN
        assert (await provider.abandon(job)).state is JobState.ABANDONED

    run(resume, server, hasty, clock=clock)
    assert server.requests(method="POST") == []


def test_a_first_post_that_never_came_and_a_second_that_is_refused(
    server: SandboxServer, settings: Settings
) -> None:
    """The no is believed once the first one can no longer arrive, not before; it is asked once."""
    clock = VirtualClock()
    server.fail("drop_before_accept", method="POST", path="/kling")
    patient = settings.model_copy(update={"submit_patience": 600.0})

    async def work(provider: Provider) -> None:
        with pytest.raises(RequestError):
            await provider.generate(WRONG)
        [job] = await provider.jobs()
        assert job.state is JobState.REFUSED

    run(work, server, patient, clock=clock)
    assert len(server.requests(method="POST", path="/kling")) == 2
    assert server.charges() == []


def test_an_emergency_file_stands_above_a_decision(
    server: SandboxServer, settings: Settings
) -> None:
    """It names a paid task: resume takes it from there, and nothing is sent or given up."""
    server.fail("drop_after_accept", **FAL_POST)
    server.fail("http_403", times=9, **PLATFORM)

    async def work(provider: Provider) -> None:
        with pytest.raises(SubmissionUnknown) as caught:
            await provider.generate(LAKE)
        job_id = caught.value.job_id or ""
        [charge] = server.charges()
        entry = {"task": {"id": charge["task_id"], "route": "fal-ai/kling-video", "path": "x"}}
        entry["task"]["path"] = "fal-ai/kling-video/v2.6/pro/text-to-video"
        folder = EmergencyFolder(settings.home / "emergency")
        folder.write(job_id, entry, LedgerTrouble("gone"))
        folder.write(job_id, entry, LedgerTrouble("told once"))
        for decide in (provider.resubmit, provider.abandon):
            with pytest.raises(RequestError, match="emergency"):
                await decide(job_id)
        result = await provider.wait(job_id)
        assert result.job.task_id == charge["task_id"]

    run_once(work, server, settings, "fal")
    assert len(server.charges()) == 1


class LedgerTrouble(Exception):
    """Stands for whatever kept an id from the ledger."""


def test_a_gateways_404_does_not_end_a_paid_job(server: SandboxServer, settings: Settings) -> None:
    """fal says COMPLETED, then something in between says 404: the job goes on."""

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        app = job.task_id or ""
        server.fail("http_404", method="GET", path=f"requests/{app}", times=1)
        result = await provider.wait(job)
        assert result.job.state is JobState.DELIVERED

    run(work, server, settings, "fal")


def test_a_task_that_is_shown_no_longer_can_be_given_up(
    server: SandboxServer, settings: Settings
) -> None:
    """Not while it is shown; after that its slot is free, and the books say what is not known."""
    clock = VirtualClock()

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        with pytest.raises(RequestError, match="only be cancelled or waited for"):
            await provider.abandon(job)
        server.reset()
        with pytest.raises(ProviderUnavailable, match="does not show"):
            await provider.wait(job)
        given_up = await provider.abandon(job)
        assert given_up.state is JobState.FAILED
        assert given_up.error is not None
        assert given_up.error["billed"] == "unknown"
        with pytest.raises(RequestError, match="nothing to settle"):
            await provider.abandon(job)

    run(work, server, settings, clock=clock)


def test_a_finished_job_without_its_file_can_be_given_up(
    server: SandboxServer, settings: Settings
) -> None:
    """It is lost then: paid, and the file is not to be had."""
    server.fail("expire_url", times=20, path="/fal/media")

    async def work(provider: Provider) -> None:
        with pytest.raises(OnetakeError):
            await provider.generate(LAKE)
        [job] = await provider.jobs()
        assert job.state is JobState.SUCCEEDED
        assert (await provider.abandon(job)).state is JobState.LOST
        with pytest.raises(OnetakeError, match="given up"):
            await provider.wait(job)

    run(work, server, settings, "fal")


def test_a_file_whose_link_ended_is_lost(settings: Settings) -> None:
    """Kling keeps files for 30 days: after that the job is lost, said so, and over."""
    with sandbox_server(seconds_per_job=0) as server:
        clock = VirtualClock(time.time())

        async def work(provider: Provider) -> None:
            job = await provider.submit(LAKE)
            server.fail("expire_url", times=20, path="/kling/cdn")
            with pytest.raises(OnetakeError, match="not here yet"):
                await provider.wait(job)
            clock.advance(10 * 365 * 86_400)
            with pytest.raises(OnetakeError, match="no longer has its file") as caught:
                await provider.wait(job)
            assert not caught.value.retryable
            assert (await provider.job(job.id)).state is JobState.LOST

        run(work, server, settings, clock=clock)


def test_a_search_that_is_too_long_proves_nothing(
    server: SandboxServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More requests than are read: the lost one may be among those that were not."""
    from onetake_fal import driver, platform

    monkeypatch.setattr(driver, "LISTED_PAGES", 1)
    real = platform.listing_query
    short = {"limit": "1"}
    monkeypatch.setattr(platform, "listing_query", lambda lost: real(lost) | short)

    async def work(provider: Provider) -> None:
        for _ in range(2):
            await provider.submit(LAKE)
        server.fail("drop_before_accept", **FAL_POST)
        with pytest.raises(SubmissionUnknown, match="too many to be"):
            await provider.generate(GenerationRequest("another", model=LAKE.model))

    run(work, server, settings, "fal")


def test_another_name_for_the_same_account_keeps_its_tasks(
    server: SandboxServer, settings: Settings
) -> None:
    """Names are ours; at the vendor it is one account, and the task is the other job's."""
    server.fail("drop_before_accept", **FAL_POST)

    async def main() -> None:
        one = get_provider("fal", sandbox=server.url, settings=settings, account="a")
        two = get_provider("fal", sandbox=server.url, settings=settings, account="b")
        async with one, two:
            with pytest.raises(SubmissionUnknown):
                await one.generate(LAKE)
            await two.generate(LAKE)
            [lost] = await one.jobs()
            with pytest.raises(SubmissionUnknown):
                await one.wait(lost)

    anyio.run(main)
    assert len(server.charges()) == 1


def test_a_key_whose_job_was_given_up_can_be_retried(
    server: SandboxServer, settings: Settings
) -> None:
    """The child gets the key."""
    server.fail("drop_before_accept", **FAL_POST)
    keyed = replace(LAKE, key="k")

    async def work(provider: Provider) -> None:
        with pytest.raises(SubmissionUnknown) as caught:
            await provider.generate(keyed)
        await provider.abandon(caught.value.job_id or "")
        result = await provider.generate(keyed, retry=True)
        assert result.job.id != caught.value.job_id

    run_once(work, server, settings, "fal")
    assert len(server.charges()) == 1


def test_a_clock_that_is_set_back_does_not_stop_the_looks(settings: Settings) -> None:
    """The job is looked at within its usual time all the same."""
    with sandbox_server(seconds_per_job=0) as server:
        clock = VirtualClock()

        async def work(provider: Provider) -> None:
            job = await provider.submit(LAKE)
            clock.advance(-3600)
            start = clock.now()
            await provider.wait(job)
            assert clock.now() - start < 120

        run(work, server, settings, clock=clock)


def test_a_vendor_that_tells_no_slots_is_no_trouble(
    server: SandboxServer, settings: Settings
) -> None:
    """The answer is only a hint; nonsense in it does not hold a job up."""
    server.fail("bad_json", times=3, path="/kling/account")
    requests = [GenerationRequest(f"l{n}", model=LAKE.model) for n in range(3)]

    async def work(provider: Provider) -> list[Any]:
        return [outcome async for outcome in provider.generate_many(requests)]

    outcomes = run(work, server, settings)
    assert all(outcome.error is None for outcome in outcomes)


def test_configured_slots_are_kept_to(settings: Settings) -> None:
    """The vendor would take five; the user said two: never more than two are under way."""
    with sandbox_server(seconds_per_job=0.4, concurrency=5) as server:
        requests = [GenerationRequest(f"l{n}", model=LAKE.model) for n in range(5)]

        async def work(provider: Provider) -> None:
            async for outcome in provider.generate_many(requests):
                assert outcome.error is None

        run(work, server, settings.model_copy(update={"submit_patience": 60.0}), concurrency=2)
        spans = [(job["accepted_at"], job["accepted_at"] + 0.4) for job in server.jobs()]
        for start, _ in spans:
            assert sum(a <= start < b for a, b in spans) <= 2
    with pytest.raises(Exception, match="concurrency"):
        run(lambda p: p.submit(LAKE), server, settings, concurrency=0)


def test_the_turn_is_given_up_with_the_patience(settings: Settings) -> None:
    """Who waits behind others for a slot leaves after its own time; nothing was sent for it."""
    with sandbox_server(seconds_per_job=600, concurrency=1) as server:

        async def work(provider: Provider) -> None:
            await provider.submit(LAKE)
            errors: list[OnetakeError] = []

            async def impatient(number: int) -> None:
                request = GenerationRequest(f"later {number}", model=LAKE.model)
                with pytest.raises(OnetakeError) as caught:
                    await provider.submit(request, timeout=2.0)
                errors.append(caught.value)

            async with anyio.create_task_group() as group:
                for number in range(3):
                    group.start_soon(impatient, number)
            assert {error.task_state for error in errors} == {"not_created"}
            states = [job.state for job in await provider.jobs()]
            assert states.count(JobState.DRAFT) == 3

        run(work, server, settings.model_copy(update={"submit_patience": 60.0}))
        assert len(server.charges()) == 1


# ── money ──


def test_a_daily_budget_holds(server: SandboxServer, settings: Settings) -> None:
    """The reserve counts from the intent on; a refusal gives it back, a failure costs nothing."""
    limited = Settings(**{**settings.model_dump(), "daily_budget": "0.70"})

    async def work(provider: Provider) -> None:
        await provider.generate(LAKE)
        with pytest.raises(BudgetExceeded, match=r"0\.70"):
            await provider.generate(replace(LAKE, parameters={"duration": 10}))
        await provider.generate(GenerationRequest("another", model=LAKE.model))
        with pytest.raises(BudgetExceeded):
            await provider.generate(LAKE)

    run(work, server, limited)
    assert len(server.charges()) == 2


def test_a_budget_that_cannot_be_compared_is_exceeded(
    server: SandboxServer, settings: Settings
) -> None:
    """Another currency, and a price that is not known: closed, not open."""
    in_yuan = Settings(**{**settings.model_dump(), "daily_budget": "500 CNY"})
    with pytest.raises(BudgetExceeded, match="cannot be compared"):
        run(lambda p: p.generate(LAKE), server, in_yuan)
    plenty = Settings(**{**settings.model_dump(), "daily_budget": "500"})
    unheard = GenerationRequest("x", model="fal-ai/unheard/of")
    with pytest.raises(BudgetExceeded, match="unknown"):
        run(lambda p: p.generate(unheard), server, plenty, "fal")
    assert server.charges() == []


def test_a_reserve_becomes_what_was_charged(server: SandboxServer, settings: Settings) -> None:
    """Estimate, then the vendor's figure; nothing for a job that was refused."""

    async def work(provider: Provider) -> None:
        await provider.generate(LAKE)
        with pytest.raises(RequestError):
            await provider.generate(WRONG)

    run_once(work, server, settings)
    engine = sa.create_engine(settings.ledger_url)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(store.jobs.c.reserved, store.jobs.c.submission)).all()
    engine.dispose()
    assert sorted(tuple(row) for row in rows) == [(0, "refused"), (350_000, "accepted")]


def test_logs_hold_no_proof(
    server: SandboxServer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """httpx logs addresses; the proof in a callback's address is not to be read there."""
    caplog.set_level(logging.DEBUG)
    request = replace(LAKE, parameters={"callback_url": "https://example.org/hook"})
    run(lambda p: p.generate(request), server, settings, "fal")
    proof = server.requests(**FAL_POST)[0]["query"].rpartition("onetake_proof%3D")[2]
    assert len(proof) == 32
    said = [r.getMessage() + json.dumps(r.__dict__, default=str) for r in caplog.records]
    text = "\n".join(said)
    assert "onetake_proof" in text
    assert proof not in text


def test_every_transition_is_a_structured_log(
    server: SandboxServer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """One record per event, with the same object that plugins get."""
    caplog.set_level(logging.INFO, "onetake.jobs")
    run(lambda p: p.generate(LAKE), server, settings)
    events = [record.onetake["event"] for record in caplog.records if hasattr(record, "onetake")]
    assert events[:3] == ["intended", "sending", "accepted"]
    assert events[-2:] == ["succeeded", "delivered"]
