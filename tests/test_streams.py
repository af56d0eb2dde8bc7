"""Streams beside looks: what a vendor tells by itself, and what happens when it does not."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import pytest

from onetake import GenerationRequest, JobState, JobTimeout, get_provider
from onetake.driver import Snapshot, Task
from onetake.engine import watching
from onetake.errors import ProviderUnavailable
from onetake.job import TaskStatus
from onetake.settings import Settings
from onetake.testing import SandboxServer, VirtualClock, sandbox_server

LAKE = GenerationRequest("a lake", model="kling-v2.6-pro-text")
Watch = Callable[[Task], AsyncGenerator[Snapshot, None]]


async def silent(task: Task) -> AsyncGenerator[Snapshot, None]:
    """Say that it runs, and nothing more."""
    yield Snapshot(TaskStatus.RUNNING, logs=("warming up",))
    await anyio.sleep_forever()


async def breaking(task: Task) -> AsyncGenerator[Snapshot, None]:
    """Break, as connections do."""
    yield Snapshot(TaskStatus.RUNNING)
    raise ProviderUnavailable("the stream broke")


async def misbehaving(task: Task) -> AsyncGenerator[Snapshot, None]:
    """Raise what no driver may."""
    yield Snapshot(TaskStatus.RUNNING)
    raise ValueError("not of the contract")


async def ending(task: Task) -> AsyncGenerator[Snapshot, None]:
    """End before the task does."""
    yield Snapshot(TaskStatus.RUNNING)


def run(server: SandboxServer, settings: Settings, watch: Watch, work: Any, **options: Any) -> Any:
    """Run work with a provider of Kling whose driver has a stream."""

    async def main() -> Any:
        async with get_provider(
            "kling", sandbox=server.url, settings=settings, **options
        ) as provider:
            async with provider._engine() as engine:
                engine.driver.watch = watch  # type: ignore[method-assign]
            return await work(provider)

    return anyio.run(main)


@pytest.mark.parametrize("watch", [silent, breaking, misbehaving, ending])
def test_looks_go_on_where_a_stream_fails(
    watch: Watch, server: SandboxServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence, a break, an early end: the job is delivered all the same."""
    monkeypatch.setattr(watching, "LONGEST_SILENCE", 0.2)
    result = run(server, settings, watch, lambda provider: provider.generate(LAKE))
    assert result.job.state is JobState.DELIVERED


def test_what_a_stream_says_in_between_reaches_the_caller(settings: Settings) -> None:
    """A line of the log is told although the state has not changed."""
    seen: list[str] = []
    settings = settings.model_copy(update={"sandbox_seconds_per_job": 1.0})

    async def telling(task: Task) -> AsyncGenerator[Snapshot, None]:
        yield Snapshot(TaskStatus.RUNNING)
        yield Snapshot(TaskStatus.RUNNING, logs=("half of it",))

    def note(job: Any) -> None:
        seen.extend(job.logs)

    with sandbox_server(seconds_per_job=1.0) as server:
        run(server, settings, telling, lambda p: p.generate(LAKE, on_update=note))
    assert seen == ["half of it"]


def test_only_a_few_jobs_hold_a_stream(settings: Settings) -> None:
    """The others are looked at; each stream is closed with its job."""
    open_ones, most = set(), 0
    settings = settings.model_copy(update={"sandbox_seconds_per_job": 1.0, "concurrency": 10})

    async def counted(task: Task) -> AsyncGenerator[Snapshot, None]:
        nonlocal most
        open_ones.add(task.id)
        most = max(most, len(open_ones))
        try:
            yield Snapshot(TaskStatus.RUNNING)
            await anyio.sleep(0.5)
        finally:
            open_ones.discard(task.id)

    async def work(provider: Any) -> int:
        done = 0
        async for outcome in provider.generate_many([LAKE] * 7):
            done += outcome.error is None
        return done

    with sandbox_server(seconds_per_job=1.0, concurrency=10) as server:
        assert run(server, settings, counted, work) == 7
    assert (most, open_ones) == (4, set())


def test_a_stream_that_broke_gives_its_place_to_the_next_job(settings: Settings) -> None:
    """Although the four jobs that had the broken ones are still running."""
    heard: list[str] = []
    settings = settings.model_copy(update={"sandbox_seconds_per_job": 60.0, "concurrency": 10})

    async def broken(task: Task) -> AsyncGenerator[Snapshot, None]:
        heard.append(task.id)
        if len(heard) <= 4:
            raise ProviderUnavailable("the stream broke", provider="kling")
        yield Snapshot(TaskStatus.RUNNING)

    async def work(provider: Any) -> None:
        jobs = [await provider.submit(LAKE) for _ in range(5)]
        async with anyio.create_task_group() as group:
            for job in jobs[:4]:
                group.start_soon(functools.partial(wait_a_little, provider, job.id, 5.0))
            while len(heard) < 4:
                await anyio.lowlevel.checkpoint()
            await wait_a_little(provider, jobs[4].id, 0.2)
            assert len(heard) == 5
            group.cancel_scope.cancel()

    with sandbox_server(seconds_per_job=60.0, concurrency=10) as server:
        run(server, settings, broken, work)


async def wait_a_little(provider: Any, job_id: str, seconds: float) -> None:
    """Wait for a job that will not be ready."""
    with pytest.raises(JobTimeout):
        await provider.wait(job_id, timeout=seconds)


def test_patience_holds_while_a_look_hangs(settings: Settings) -> None:
    """The answer may take a minute; the caller wanted to wait for half a second."""
    with sandbox_server(seconds_per_job=0.0) as server:

        async def work(provider: Any) -> None:
            job = await provider.submit(LAKE)
            server.fail("stall", method="GET", path="/tasks", times=10)
            with anyio.fail_after(20), pytest.raises(JobTimeout):
                await provider.wait(job, timeout=0.5)

        run(server, settings, ending, work)


def test_patience_is_of_the_clock_that_is_passed_in(settings: Settings) -> None:
    """Ten virtual seconds end at once."""
    clock = VirtualClock()
    settings = settings.model_copy(update={"sandbox_seconds_per_job": 1000.0})

    async def work(provider: Any) -> None:
        job = await provider.submit(LAKE)
        with anyio.fail_after(5), pytest.raises(JobTimeout):
            await provider.wait(job, timeout=10)

    with sandbox_server(clock=clock, seconds_per_job=1000) as server:
        run(server, settings, ending, work, clock=clock)


def test_a_slow_look_does_not_cost_the_lease(settings: Settings) -> None:
    """Signs of life are given while the answer is awaited: nobody takes the job over."""
    settings = settings.model_copy(update={"lease": 0.6})
    with sandbox_server(seconds_per_job=0.0) as server:

        async def work(one: Any) -> Any:
            job = await one.submit(LAKE)
            server.fail("slow", method="GET", path="/tasks")
            other = get_provider("kling", sandbox=server.url, settings=settings)
            async with other, anyio.create_task_group() as group:

                async def visit() -> None:
                    await anyio.sleep(1.5)
                    with pytest.raises(JobTimeout):
                        await other.wait(job.id, timeout=0.2)

                group.start_soon(visit)
                return await one.wait(job)

        result = run(server, settings, ending, work)
        assert result.job.state is JobState.DELIVERED


def test_a_job_that_went_on_before_it_was_claimed(
    server: SandboxServer, settings: Settings
) -> None:
    """Another process finished it between the reading and the claim: it is read again."""

    async def work(one: Any) -> Any:
        job = await one.submit(LAKE)
        async with one._engine() as engine:
            claim = engine.journal.claim

            @functools.wraps(claim)
            async def late(job_id: str) -> Any:
                object.__setattr__(engine.journal, "claim", claim)
                async with get_provider("kling", sandbox=server.url, settings=settings) as other:
                    await other.wait(job_id)
                return await claim(job_id)

            object.__setattr__(engine.journal, "claim", late)
            return await one.wait(job)

    assert run(server, settings, ending, work).job.state is JobState.DELIVERED
    assert len(server.charges()) == 1


def test_a_job_that_is_needed_again_is_not_released(
    server: SandboxServer, settings: Settings
) -> None:
    """By the time the ledger's turn came, another caller had begun to work on it."""

    async def work(provider: Any) -> Any:
        job = await provider.submit(LAKE)
        async with provider._engine() as engine:
            await engine.journal.claim(job.id)
            await engine.journal.release(job.id, unless=lambda: True)
            return await engine.journal.get(job.id), engine.journal.owner

    record, owner = run(server, settings, ending, work)
    assert record.owner == owner
