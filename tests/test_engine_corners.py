"""Corners of the engine: what happens seldom, and must still be right."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import av
import httpx
import pytest
import sqlalchemy as sa
from PIL import Image

from onetake import (
    GenerationRequest,
    InsufficientCredits,
    JobState,
    LedgerError,
    OnetakeError,
    Provider,
    ProviderUnavailable,
    RequestError,
    SubmissionUnknown,
    get_provider,
)
from onetake.driver import Answered, Missing, Snapshot, Task
from onetake.engine import workers
from onetake.engine.delivery import _os_reason
from onetake.engine.measuring import measure
from onetake.engine.recording import TaskTaken, acceptance
from onetake.engine.run import Engine
from onetake.errors import JobTimeout
from onetake.job import Submission, TaskStatus, new_job_id
from onetake.ledger import contents, store, writer
from onetake.ledger.store import Ledger
from onetake.settings import Settings
from onetake.testing import SandboxServer, sandbox_server
from tests.running import LAKE, run, run_once
from tests.test_engine_trouble import with_driver

T2V = "fal-ai/kling-video/v2.6/pro/text-to-video"
FAL_POST = {"method": "POST", "path": "/fal/queue"}
FULL = """
CREATE TRIGGER full BEFORE UPDATE ON jobs WHEN NEW.submission = 'accepted'
BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END
"""


def full(settings: Settings, *, on: bool) -> None:
    """Let the ledger refuse task ids, or let it take them again."""
    with closing(sqlite3.connect(settings.home / "ledger.sqlite3", timeout=20)) as connection:
        connection.execute(FULL if on else "DROP TRIGGER full")
        connection.commit()


async def lost(provider: Provider, server: SandboxServer) -> Any:
    """Return a job of fal whose outcome is unknown."""
    server.fail("drop_after_accept", **FAL_POST)
    server.fail("http_403", times=50, path="/fal/platform")
    request = GenerationRequest(
        "x", model=T2V, parameters={"callback_url": "https://example.org/h"}
    )
    with pytest.raises(SubmissionUnknown) as caught:
        await provider.submit(request)
    return await provider.job(caught.value.job_id or "")


def address(server: SandboxServer) -> str:
    """Return the callback address that fal was given."""
    [post] = [row for row in server.requests(**FAL_POST) if "fal_webhook" in row["query"]][-1:]
    return str(httpx.QueryParams(post["query"])["fal_webhook"])


# ── recording ──


def test_an_id_is_recorded_as_soon_as_the_ledger_takes_it(
    server: SandboxServer, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is tried again and again; meanwhile it stands on standard error and in a file."""

    async def work(provider: Provider) -> None:
        await provider.jobs()
        full(settings, on=True)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.generate, LAKE)
            while not list((settings.home / "emergency").glob("*.json")):  # noqa: ASYNC110
                await anyio.sleep(0.05)
            await anyio.sleep(1.2)  # one more attempt fails: the file alone shows none
            full(settings, on=False)

    run(work, server, settings)
    assert "PAID TASK NOT RECORDED" in capfd.readouterr().err
    assert len(server.charges()) == 1


def test_a_found_task_is_recorded_as_soon_as_the_ledger_takes_it(
    server: SandboxServer, settings: Settings
) -> None:
    """The same for what reconciliation finds."""
    server.fail("drop_after_accept", method="POST", path="/kling/text-to-video")

    async def work(provider: Provider) -> None:
        await provider.jobs()
        full(settings, on=True)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.generate, LAKE)
            while not list((settings.home / "emergency").glob("*.json")):  # noqa: ASYNC110
                await anyio.sleep(0.05)
            full(settings, on=False)
        [job] = await provider.jobs()
        assert job.state is JobState.DELIVERED

    run(work, server, settings)
    assert len(server.charges()) == 1


def test_a_synchronous_answer_survives_a_ledger_that_fails(
    server: SandboxServer, settings: Settings
) -> None:
    """The file keeps the whole result; who resumes delivers it, and nothing is paid again."""
    speech = GenerationRequest("Hello.", model="kling-tts", parameters={"voice": "oversea_male1"})

    async def dies(provider: Provider) -> None:
        await provider.jobs()
        full(settings, on=True)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.generate, speech)
            while not list((settings.home / "emergency").glob("*.json")):  # noqa: ASYNC110
                await anyio.sleep(0.05)
            group.cancel_scope.cancel()

    run(dies, server, settings)
    full(settings, on=False)
    [job] = run(lambda provider: provider.resume(), server, settings)
    assert job.state is JobState.DELIVERED
    assert job.artifacts[0]["media_type"] == "audio/mpeg"
    assert len(server.charges()) == 1


def test_a_task_that_another_job_took_meanwhile(server: SandboxServer, settings: Settings) -> None:
    """Adopting it is refused in the transaction itself."""

    async def work(provider: Provider) -> None:
        done = await provider.submit(GenerationRequest("a", model=T2V))
        other = await lost(provider, server)
        async with provider._engine() as engine:
            record = await engine.journal.claim(other.id)
            assert record is not None
            with pytest.raises(TaskTaken):
                await engine._reconciler._recorder.adopt(record, Task(done.task_id or "", "", T2V))
        assert (await provider.job(other.id)).state is JobState.UNKNOWN

    run_once(work, server, settings, "fal")


def test_a_takeover_in_the_middle_of_recording(server: SandboxServer, settings: Settings) -> None:
    """Whoever changes the job between our read and our write, the id wins."""

    async def work(provider: Provider) -> None:
        job = await lost(provider, server)
        async with provider._engine() as engine:
            recorder = engine._reconciler._recorder
            record = await engine.journal.get(job.id)
            moves = []
            move = type(recorder._journal).move

            async def overtaken(journal: Any, seen: Any, event: str, **values: Any) -> Any:
                moves.append(event)
                if len(moves) == 1:
                    with closing(
                        sqlite3.connect(settings.home / "ledger.sqlite3", timeout=20)
                    ) as connection:
                        connection.execute("UPDATE jobs SET submission = 'sending'")
                        connection.commit()
                return await move(journal, seen, event, **values)

            stale = await engine.journal.get(record.id)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(recorder._journal), "move", overtaken)
                await recorder._late(stale, Task("late", "", T2V), acceptance_of("late"))
        assert (await provider.job(job.id)).task_id == "late"

    run_once(work, server, settings, "fal")


def acceptance_of(task_id: str) -> dict[str, Any]:
    """Return the columns of an accepted job."""
    return acceptance(Task(task_id, "", T2V), 1.0)


# ── callbacks ──


def test_callbacks_that_bring_nothing(server: SandboxServer, settings: Settings) -> None:
    """No id in it, a vendor that cannot be asked, a task that belongs to another job."""

    async def work(provider: Provider) -> None:
        taken = await provider.submit(GenerationRequest("a", model=T2V))
        job = await lost(provider, server)
        url = address(server)
        assert (await provider.read_callback(url, b"{}")).state is JobState.UNKNOWN  # type: ignore[union-attr]
        named = f'{{"request_id":"{taken.task_id}"}}'.encode()

        async def down(tasks: Sequence[Task]) -> Any:
            raise ProviderUnavailable("down")

        async def silent(tasks: Sequence[Task]) -> Any:
            return {}

        async with provider._engine() as engine:
            real = engine.driver.look
            for look in (down, silent, real):
                engine.driver.look = look  # type: ignore[method-assign]
                told = await engine.read_callback(url, named)
                assert told is not None
        assert (await provider.job(job.id)).state is JobState.UNKNOWN

    run_once(work, server, settings, "fal")


def test_a_callback_during_the_post_waits_for_nobody(
    server: SandboxServer, settings: Settings
) -> None:
    """The process that posts will know more in a moment."""
    server.fail("stall", **FAL_POST)
    hasty = settings.model_copy(update={"submit_timeout": 2.0})

    async def work(provider: Provider) -> None:
        request = GenerationRequest(
            "x", model=T2V, parameters={"callback_url": "https://example.org/h"}
        )
        async with anyio.create_task_group() as group:
            group.start_soon(provider.generate, request)
            while not server.charges():  # noqa: ASYNC110 - the vendor is another process
                await anyio.sleep(0.02)
            told = await provider.read_callback(address(server), b'{"request_id":"x"}')
            assert told is not None
            assert told.state is JobState.SENDING

    run(work, server, hasty, "fal")


def test_more_callbacks_than_are_remembered(server: SandboxServer, settings: Settings) -> None:
    """The oldest are forgotten: they were hints."""

    async def work(provider: Provider) -> None:
        async with provider._engine() as engine:
            for number in range(1005):
                engine._watcher.nudge(f"job-{number}")
            assert len(engine._watcher._nudged) == 1000
            assert "job-0" not in engine._watcher._nudged

    run(work, server, settings)


# ── running ──


async def ask(engine: Engine, job_id: str, **arguments: Any) -> Any:
    """Run a job."""
    return await engine.run_job(job_id, **arguments)


def test_a_ledger_that_fails_in_the_middle_names_the_job(
    server: SandboxServer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The error says that the job may be paid; a claim that cannot be given back is a warning."""

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        async with provider._engine() as engine:
            with closing(
                sqlite3.connect(settings.home / "ledger.sqlite3", timeout=20)
            ) as connection:
                connection.execute(
                    "CREATE TRIGGER stop BEFORE UPDATE ON jobs WHEN NEW.task = 'succeeded' OR "
                    "NEW.owner IS NULL BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
                )
                connection.commit()
                with pytest.raises(LedgerError) as caught:
                    await ask(engine, job.id)
                connection.execute("DROP TRIGGER stop")
                connection.commit()
        assert (caught.value.job_id, caught.value.task_state) == (job.id, "exists")

    with caplog.at_level(logging.WARNING):
        run(work, server, settings)
    assert "could not be released" in caplog.text


def test_patience_ends_while_another_caller_is_at_it(
    server: SandboxServer, settings: Settings
) -> None:
    """Two callers, one job: the impatient one leaves, the other gets the file."""
    server.fail("slow", path="/cdn/")

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.wait, job)
            while (await provider.job(job.id)).state is not JobState.SUCCEEDED:  # noqa: ASYNC110
                await anyio.sleep(0.02)
            with pytest.raises(JobTimeout):
                await provider.wait(job, timeout=0.1)

    run(work, server, settings)


def test_a_long_download_whose_signs_of_life_fail(
    server: SandboxServer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes on: the lease may end, but the file is whole."""
    server.fail("slow", path="/cdn/")
    quick = settings.model_copy(update={"lease": 1.5})

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        async with provider._engine() as engine:
            renew = engine.journal.ledger.run

            async def failing(work_: Any, **more: Any) -> Any:
                if "renew" in work_.__qualname__:
                    raise LedgerError("locked")
                return await renew(work_, **more)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(engine.journal.ledger, "run", failing)
                await ask(engine, job.id)

    with caplog.at_level(logging.WARNING):
        run(work, server, quick)
    assert "no sign of life could be given" in caplog.text


def test_a_decision_that_was_overtaken(server: SandboxServer, settings: Settings) -> None:
    """Another process changed the job while the person decided."""

    async def work(provider: Provider) -> None:
        job = await lost(provider, server)
        async with provider._engine() as engine:

            async def decide(record: Any) -> Any:
                with closing(
                    sqlite3.connect(settings.home / "ledger.sqlite3", timeout=20)
                ) as connection:
                    connection.execute("UPDATE jobs SET submission = 'sending'")
                    connection.commit()
                return await engine.journal.move(
                    record, "abandoned", submission=Submission.ABANDONED
                )

            with pytest.raises(RequestError, match="being worked on"):
                await engine.settle(job.id, decide)

    run_once(work, server, settings, "fal")


def test_an_end_without_a_reason(server: SandboxServer, settings: Settings) -> None:
    """An abandoned job has no error of its own; waiting for it says what it is."""

    async def work(provider: Provider) -> None:
        job = await lost(provider, server)
        with closing(sqlite3.connect(settings.home / "ledger.sqlite3", timeout=20)) as connection:
            connection.execute("UPDATE jobs SET submission = 'abandoned', error = NULL")
            connection.commit()
        with pytest.raises(OnetakeError, match="was abandoned"):
            await provider.wait(job)

    run_once(work, server, settings, "fal")


def test_a_draft_whose_patience_ends_was_not_sent(settings: Settings) -> None:
    """The message says how to send it."""
    with sandbox_server(seconds_per_job=600, concurrency=1) as server:

        async def work(provider: Provider) -> None:
            await provider.submit(LAKE)
            later = GenerationRequest("later", model=LAKE.model)
            with pytest.raises(OnetakeError) as caught:
                await provider.submit(later, timeout=0.2)
            assert caught.value.task_state == "not_created"
            with pytest.raises(JobTimeout, match="was not sent yet"):
                await provider.wait(caught.value.job_id or "", timeout=0.0)

        run(work, server, settings.model_copy(update={"submit_patience": 60.0}))


def test_the_vendors_refusal_teaches_how_many_slots_there_are(settings: Settings) -> None:
    """The user said five, the vendor has two: each job is sent in the end, and paid once."""
    with sandbox_server(seconds_per_job=0.6, concurrency=2) as server:
        requests = [GenerationRequest(f"l{n}", model=LAKE.model) for n in range(4)]

        async def work(provider: Provider) -> None:
            async for outcome in provider.generate_many(requests):
                outcome.unwrap()

        run(work, server, settings.model_copy(update={"submit_patience": 60.0}), concurrency=5)
        assert any(row["status"] == 429 for row in server.requests(method="POST"))
        assert len(server.charges()) == 4


def test_impatient_in_the_vendors_queue(settings: Settings) -> None:
    """Refused by the vendor, queued behind others, and the patience ends there."""
    with sandbox_server(seconds_per_job=600, concurrency=1) as server:

        async def work(provider: Provider) -> None:
            await provider.submit(LAKE)
            async with anyio.create_task_group() as group:
                for number in range(3):
                    group.start_soon(impatient, provider, f"later {number}", 1.5 + number)

        run(work, server, settings.model_copy(update={"submit_patience": 60.0}), concurrency=5)
        assert len(server.charges()) == 1


async def impatient(provider: Provider, prompt: str, seconds: float) -> None:
    """Submit with little patience; it ends first."""
    with pytest.raises(OnetakeError) as caught:
        await provider.submit(GenerationRequest(prompt, model=LAKE.model), timeout=seconds)
    assert caught.value.task_state == "not_created"


def test_a_repeat_that_the_vendor_knows_is_looked_up(
    server: SandboxServer, settings: Settings
) -> None:
    """The first POST arrived after all: "already exists" leads to the task."""
    server.fail("drop_after_accept", method="POST", path="/kling/text-to-video")
    server.fail("http_503", times=1, path="/kling/tasks?external")

    async def work(provider: Provider) -> None:
        async with provider._engine() as engine:
            locate, asked = engine.driver.locate, []

            async def first_nothing(lost: Any) -> Sequence[Task]:
                asked.append(lost)
                return () if len(asked) == 1 else await locate(lost)

            engine.driver.locate = first_nothing  # type: ignore[method-assign]
            await provider.generate(LAKE)

    run(work, server, settings.model_copy(update={"submit_patience": 60.0}))
    assert len(server.charges()) == 1


def test_patience_ends_between_two_searches(server: SandboxServer, settings: Settings) -> None:
    """Nothing is decided: the job stays unknown and can be waited for again."""
    server.fail("drop_after_accept", **FAL_POST)
    server.fail("http_503", times=50, path="/fal/platform")

    async def work(provider: Provider) -> None:
        with pytest.raises(OnetakeError) as caught:
            await provider.submit(GenerationRequest("x", model=T2V), timeout=1.2)
        job = await provider.job(caught.value.job_id or "")
        assert job.state is JobState.UNKNOWN

    run(work, server, settings.model_copy(update={"submit_patience": 600.0}), "fal")


def test_a_sending_that_nobody_works_on_can_be_given_up(
    server: SandboxServer, settings: Settings
) -> None:
    """Its process died in the POST."""

    async def work(provider: Provider) -> None:
        job = await lost(provider, server)
        with closing(sqlite3.connect(settings.home / "ledger.sqlite3", timeout=20)) as connection:
            connection.execute("UPDATE jobs SET submission = 'sending', owner = NULL")
            connection.commit()
        assert (await provider.abandon(job)).state is JobState.ABANDONED

    run_once(work, server, settings, "fal")


def test_a_resubmitted_jobs_callback_leads_to_the_child(
    server: SandboxServer, settings: Settings
) -> None:
    """Both have the same address; the newest is meant."""

    async def work(provider: Provider) -> None:
        job = await lost(provider, server)
        url = address(server)
        child = await provider.resubmit(job)
        await provider.wait(child)
        told = await provider.read_callback(url, b"{}")
        assert told is not None
        assert told.id == child.id

    run_once(work, server, settings, "fal")


def test_a_callers_mistake_while_watching(settings: Settings) -> None:
    """No callback at all is fine; one that raises is told to its caller alone."""
    with sandbox_server(seconds_per_job=0.5) as server:

        async def work(provider: Provider) -> None:
            job = await provider.submit(LAKE)
            seen: list[JobState] = []

            def tell(told: Any) -> None:
                seen.append(told.state)
                if told.state is not JobState.QUEUED:  # running, unless a look came too late
                    raise ValueError("mine")

            with pytest.raises(ValueError, match="mine"):
                await provider.wait(job, on_update=tell)
            async with provider._engine() as engine:
                await ask(engine, job.id)

        run(work, server, settings)


# ── small things ──


def test_reasons_lengths_and_films_without_a_duration(tmp_path: Path) -> None:
    """An error that is no OSError; a stream that does not say how long it is."""
    assert _os_reason(ValueError("odd")) == "odd"
    path = tmp_path / "live.mkv"
    with av.open(str(path), "w", format="matroska", options={"live": "1"}) as out:
        stream = out.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(3):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 64)))
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    found = measure(path, "video/x-matroska")
    assert (found.width, found.height) == (64, 64)


def test_workers_on_systems_that_tell_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No /proc, no name; another user's process exists."""
    here = workers.new_worker()
    assert not workers.is_gone(here)

    def forbidden(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    assert not workers.is_gone(here)
    monkeypatch.setattr(workers, "_PROC", tmp_path)
    assert workers._place.__wrapped__() is None
    assert not workers.is_gone(here)


def test_two_programs_open_a_new_ledger(tmp_path: Path) -> None:
    """SQLite lets only one of them switch to WAL at a time; the other tries again."""
    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")
        connection.commit()
    holder = sqlite3.connect(path, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.4, holder.rollback)
    timer.start()
    ledger = Ledger(f"sqlite:///{path}", timeout=0.05)
    assert ledger.run_blocking(store.listed) == []
    ledger.close()
    timer.join()
    holder.close()


def test_what_is_done_stays_done_when_the_rest_fails() -> None:
    """A waiter that has its answer does not hear of a later failure."""
    done: Future[int] = Future()
    done.set_result(1)
    other: Future[int] = Future()
    writer._fail([(lambda c: 1, done), (lambda c: 2, other)], LedgerError("gone"))
    assert done.result() == 1
    assert isinstance(other.exception(), LedgerError)


def test_a_file_that_the_vendor_shows_no_longer(server: SandboxServer, settings: Settings) -> None:
    """A delivered job without outputs tells nothing of the vendor's files."""

    async def work(provider: Provider) -> None:
        job = (await provider.generate(LAKE)).job
        sha = job.artifacts[0]["sha256"]

        def known(connection: sa.Connection) -> Any:
            account = store.account_id(connection, provider.account_key)
            return contents.at_vendor(connection, account, sha)

        async with provider._engine() as engine:
            assert (await engine.journal.ledger.run(known)) is not None
            with closing(
                sqlite3.connect(settings.home / "ledger.sqlite3", timeout=20)
            ) as connection:
                connection.execute("UPDATE jobs SET outputs = NULL")
                connection.commit()
            assert (await engine.journal.ledger.run(known)) is None

    run(work, server, settings)


def test_a_driver_that_answers_at_once(server: SandboxServer, settings: Settings) -> None:
    """Task id, facts and end are one step; without files the facts are the delivery."""

    async def at_once(submission: Any, body: bytes) -> Answered:
        snapshot = Snapshot(TaskStatus.SUCCEEDED, facts={"seen": 2})
        return Answered(Task("now", "", ""), snapshot)

    async def gone(tasks: Sequence[Task]) -> Any:
        return {task.id: Missing(final=True) for task in tasks}

    async def work(provider: Provider) -> None:
        result = await with_driver(
            provider, lambda engine: provider.generate(LAKE), submit=at_once, look=gone
        )
        assert result.job.facts == {"seen": 2}
        assert result.artifacts == ()

    run(work, server, settings)


def test_a_vendor_that_names_no_slots(settings: Settings) -> None:
    """Its packs are used up: it tells none, and refuses; nothing is learned from that."""
    with sandbox_server(units=0) as server:
        requests = [GenerationRequest(f"l{n}", model=LAKE.model) for n in range(2)]

        async def work(provider: Provider) -> None:
            outcomes = [outcome async for outcome in provider.generate_many(requests)]
            assert [type(outcome.error) for outcome in outcomes] == [InsufficientCredits] * 2

        run(work, server, settings)


def test_who_waits_behind_another_leaves_unsent(settings: Settings) -> None:
    """The turn does not come within the patience: the job is still a draft."""
    with sandbox_server(seconds_per_job=600, concurrency=1) as server:

        async def work(provider: Provider) -> None:
            await provider.submit(LAKE)
            async with anyio.create_task_group() as group:
                group.start_soon(impatient, provider, "first in the queue", 2.5)
                async with provider._engine() as engine:
                    turns = engine._submitter._admission._turns
                    while not turns._waiting:  # noqa: ASYNC110
                        await anyio.sleep(0.01)
                with pytest.raises(JobTimeout, match="was not sent yet"):
                    await provider.submit(
                        GenerationRequest("second", model=LAKE.model), timeout=0.3
                    )

        run(work, server, settings.model_copy(update={"submit_patience": 60.0}))
        assert len(server.charges()) == 1


def test_a_ledger_that_stays_locked(tmp_path: Path) -> None:
    """Switching to WAL is tried for two seconds; then it is told."""
    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("CREATE TABLE other (x)")
        holder.execute("BEGIN EXCLUSIVE")
        ledger = Ledger(f"sqlite:///{path}", timeout=0.01)
        with pytest.raises(LedgerError, match="locked"):
            ledger.run_blocking(store.listed)
        ledger.close()


def test_two_processes_insert_one_key_at_once(postgres_database: str, tmp_path: Path) -> None:
    """PostgreSQL lets both look before either has written: the slower one gets the other's job."""
    one, other = (
        Settings(home=tmp_path / name, ledger=postgres_database, sandbox_seconds_per_job=0.0)
        for name in ("one", "other")
    )
    request = GenerationRequest("a lake", model=LAKE.model, key="k")
    inserted, go_on = threading.Event(), threading.Event()

    async def main() -> None:
        async with (
            get_provider("kling", sandbox=True, settings=one) as first,
            get_provider("kling", sandbox=True, settings=other) as second,
            first._engine() as fast,
            second._engine() as slow,
        ):
            intent = await first._intent(request, True, None, None)
            ids = [new_job_id(1.0), new_job_id(2.0)]
            values = [await fast._intents._values(intent, job_id) for job_id in ids]

            def hold(connection: sa.Connection) -> Any:
                found = fast._intents._insert(connection, intent, ids[0], values[0])
                inserted.set()
                go_on.wait(5)
                return found

            async def insert_fast() -> None:
                await fast.journal.ledger.run(hold)

            async with anyio.create_task_group() as group:
                group.start_soon(insert_fast)
                await anyio.to_thread.run_sync(inserted.wait, 5)
                threading.Timer(0.5, go_on.set).start()
                record, created = await slow.journal.ledger.run(
                    lambda c: slow._intents._insert(c, intent, ids[1], values[1])
                )
            assert (record.id, created) == (ids[0], False)

    anyio.run(main)


def rival(
    settings: Settings,
    server: SandboxServer,
    look: int = 2,
    at: str = "jobs.key_current",
    **how: Any,
) -> list[str]:
    """Let another process ask for the same between two statements of this one's transaction.

    It comes in after this process has looked so many times for the key's holder, or by another
    column; the second time is inside the transaction that writes. Return the ids of both answers.
    """
    request = GenerationRequest("a lake", model=LAKE.model, key="k")
    ids: list[str] = []

    async def ask(name: str) -> None:
        home = settings.home
        assert home is not None
        alone = settings.model_copy(update={"home": home / name})
        async with get_provider("kling", sandbox=server.url, settings=alone) as provider:
            if name == "first":
                async with provider._engine() as engine:
                    interrupt(await engine.journal.ledger.run(lambda c: c))
            ids.append((await provider.submit(request, **how)).id)

    def interrupt(database: sa.Connection) -> None:
        looks = itertools.count(1)

        @sa.event.listens_for(database, "after_cursor_execute")
        def looked(*about: Any) -> None:
            if at in about[2].partition("WHERE")[2] and next(looks) == look:
                thread = threading.Thread(target=anyio.run, args=(ask, "second"))
                thread.start()
                thread.join(20)

    anyio.run(ask, "first")
    return ids


@pytest.mark.parametrize("retry", [False, True])
def test_a_key_taken_in_the_middle_of_a_transaction(
    postgres_database: str, tmp_path: Path, retry: bool
) -> None:
    """The other's live job is never taken for an ended one whose key is free: one job, one POST."""
    settings = Settings(home=tmp_path, ledger=postgres_database)
    with sandbox_server(seconds_per_job=0.0) as server:
        one, other = rival(settings, server, retry=retry)
        assert one == other
        assert len(server.charges()) == 1


def made_before(settings: Settings, server: SandboxServer, **request: Any) -> str:
    """Generate the same shot; return the job's id, whatever became of it."""

    async def main() -> str:
        async with get_provider("kling", sandbox=server.url, settings=settings) as provider:
            wanted = GenerationRequest("a lake", model=LAKE.model, **request)
            with contextlib.suppress(OnetakeError):
                await provider.generate(wanted)
            return (await provider.jobs())[0].id

    return anyio.run(main)


def test_a_failed_job_gets_one_child_from_two_that_retry(
    postgres_database: str, tmp_path: Path
) -> None:
    """Both saw that the key's job has failed; the one whose view is old joins the other's child."""
    settings = Settings(home=tmp_path, ledger=postgres_database)
    with sandbox_server(seconds_per_job=0.0) as server:
        server.fail("fail_task")
        failed = made_before(settings, server, key="k")
        one, other = rival(settings, server, retry=True)
        assert one == other != failed
        assert len(server.charges()) == 2


def test_a_reused_job_gets_its_key_once(postgres_database: str, tmp_path: Path) -> None:
    """Both found the delivered twin; the one that is too late to bind the key finds it bound."""
    settings = Settings(home=tmp_path, ledger=postgres_database)
    with sandbox_server(seconds_per_job=0.0) as server:
        twin = made_before(settings, server)
        found = rival(settings, server, look=1, at="jobs.fingerprint", reuse=True)
        assert found == [twin, twin]
        assert len(server.charges()) == 1


def test_a_reused_job_takes_the_key_of_one_that_failed(
    server: SandboxServer, settings: Settings
) -> None:
    """The key then stands for the delivered twin; nothing is paid."""
    server.fail("fail_task")
    failed = made_before(settings, server, key="k")
    twin = made_before(settings, server)
    assert failed != twin

    async def main() -> tuple[str, str]:
        async with get_provider("kling", sandbox=server.url, settings=settings) as provider:
            wanted = GenerationRequest("a lake", model=LAKE.model, key="k")
            reused = await provider.submit(wanted, retry=True, reuse=True)
            return reused.id, (await provider.submit(wanted)).id

    assert anyio.run(main) == (twin, twin)
    assert len(server.charges()) == 2
