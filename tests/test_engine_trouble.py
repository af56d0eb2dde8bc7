"""Drivers that break the contract, ledgers that are slow, workers that come late, odd answers."""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
import threading
import tracemalloc
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from onetake import (
    DeliveryError,
    GenerationRequest,
    JobState,
    LedgerError,
    OnetakeError,
    Provider,
    ProviderUnavailable,
    RequestError,
    SubmissionUnknown,
)
from onetake.driver import Blob, LookError, Missing, RemoteFile, Snapshot, Submission, Task
from onetake.engine import bodies, workers
from onetake.engine.emergency import EmergencyFolder
from onetake.engine.measuring import measure
from onetake.engine.traffic import Turns
from onetake.job import TaskStatus
from onetake.ledger import store
from onetake.ledger.store import Ledger
from onetake.settings import Settings
from onetake.testing import SandboxServer, VirtualClock
from tests.running import LAKE, run, run_once


async def with_driver(provider: Provider, work: Any, **methods: Any) -> Any:
    """Work with a driver some of whose methods are another author's."""
    async with provider._engine() as engine:
        for name, method in methods.items():
            setattr(engine.driver, name, method)
        return await work(engine)


# ── submitting ──


def test_a_driver_that_breaks_the_contract_makes_no_second_post(
    server: SandboxServer, settings: Settings
) -> None:
    """A bare error out of ``submit`` is an unknown outcome, never a reason to send again."""
    sent: list[Submission] = []

    async def submit(submission: Submission, body: bytes) -> Task:
        sent.append(submission)
        raise ZeroDivisionError("oops")

    async def work(provider: Provider) -> None:
        with pytest.raises(SubmissionUnknown, match="ZeroDivisionError"):
            await with_driver(provider, lambda _: provider.submit(LAKE), submit=submit)

    run_once(work, server, settings, "fal")
    assert len(sent) == 1


def test_a_second_task_for_a_recorded_job_is_cried_out(
    server: SandboxServer, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker that was taken for dead comes with an id, and the job has another one by then."""

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        async with provider._engine() as engine:
            record = await engine.journal.get(job.id)
            late = replace(record, submission=store.Submission.SENDING, task_id=None, task=None)
            recorder = engine._reconciler._recorder
            same = await recorder.accepted(late, record.vendor_task)
            assert same.task_id == job.task_id
            assert capsys.readouterr().err == ""
            await recorder.accepted(late, Task("another"))
        assert "another" in capsys.readouterr().err
        assert (await provider.job(job.id)).task_id == job.task_id

    run(work, server, settings)
    assert (settings.home / "emergency").exists()


def test_a_late_id_is_worth_more_than_the_takeover(
    server: SandboxServer, settings: Settings
) -> None:
    """The job is unknown to those who took it over; the id comes all the same, and is kept."""
    server.fail("drop_before_accept", method="POST", path="/fal/queue")

    async def work(provider: Provider) -> None:
        with pytest.raises(SubmissionUnknown) as caught:
            await provider.submit(LAKE)
        async with provider._engine() as engine:
            record = await engine.journal.get(caught.value.job_id or "")
            ours = replace(record, submission=store.Submission.SENDING, owner="someone-else")
            await engine._reconciler._recorder.accepted(ours, Task("late", "r", "p"))
        assert (await provider.job(record.id)).task_id == "late"

    run_once(work, server, settings, "fal")


def test_a_ledger_that_does_not_answer_is_not_waited_for(
    server: SandboxServer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Another program holds it at the wrong moment: the id stands in a file within seconds."""
    server.fail("slow", method="POST", path="/kling")
    ledger = settings.home / "ledger.sqlite3"
    emergency = settings.home / "emergency"
    held, seen = threading.Event(), []

    def hold() -> None:
        while not server.charges():
            pass
        with closing(sqlite3.connect(ledger, timeout=20)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            held.set()
            end = 40.0
            while not (emergency.exists() and list(emergency.glob("*.json"))) and end > 0:
                threading.Event().wait(0.1)
                end -= 0.1
            seen.extend(emergency.glob("*.json"))

    thread = threading.Thread(target=hold)

    async def work(provider: Provider) -> None:
        thread.start()
        await provider.submit(LAKE)

    run(work, server, settings)
    thread.join()
    assert held.is_set()
    assert len(seen) == 1
    assert "does not answer" in caplog.text
    assert list(emergency.iterdir()) == [], "it was recorded in the end"


# ── emergency files ──


def test_emergency_files_that_cannot_be_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A place that cannot be written, a file that says nothing, one that cannot be removed."""
    (tmp_path / "file").write_text("")
    blocked = EmergencyFolder(tmp_path / "file" / "folder")
    blocked.write("job", {"task": {"id": "t"}}, OSError("full"))
    assert "cannot be written" in caplog.text
    assert blocked.read("job") is None
    folder = EmergencyFolder(tmp_path)
    (tmp_path / "odd.json").write_text("[]")
    assert folder.read("odd") is None
    (tmp_path / "kept.json").mkdir()
    folder.settled("kept")
    assert "stays" in caplog.text


# ── looking ──


def looking(answers: list[Any]) -> Any:
    """Return a ``look`` that gives these answers in turn, then the last one for ever."""

    async def look(tasks: Sequence[Task]) -> Mapping[str, Any]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {task.id: answer for task in tasks}

    return look


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([ProviderUnavailable("wrong key", retryable=False)], "wrong key"),
        ([KeyError("status")], "could not be read"),
        ([LookError(ProviderUnavailable("new word", retryable=False))], "new word"),
        ([Missing(final=True)], "no longer knows"),
    ],
)
def test_looks_that_end_the_wait(
    server: SandboxServer, settings: Settings, answers: list[Any], message: str
) -> None:
    """What waiting will not mend is told; only the vendor's word ends the job itself."""

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        with pytest.raises(OnetakeError, match=message):
            await with_driver(provider, lambda _: provider.wait(job), look=looking(answers))
        final = isinstance(answers[0], Missing)
        assert (await provider.job(job.id)).state is (JobState.FAILED if final else JobState.QUEUED)

    run(work, server, settings, clock=VirtualClock())


def test_looks_that_fail_for_now_are_repeated(server: SandboxServer, settings: Settings) -> None:
    """With the pause that the vendor asks for, and not for ever."""
    clock = VirtualClock()
    done = Snapshot(TaskStatus.FAILED, error=OnetakeError("failed", billed="no"))
    asked = LookError(ProviderUnavailable("later"), retry_after=500.0)
    answers = [ProviderUnavailable("later"), asked, Missing(), done]

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        start = clock.now()
        with pytest.raises(OnetakeError, match="failed"):
            await with_driver(provider, lambda _: provider.wait(job), look=looking(answers))
        assert clock.now() - start > 0.5

    run(work, server, settings, clock=clock)


def test_a_callers_own_mistake_is_the_callers(server: SandboxServer, settings: Settings) -> None:
    """An error in ``on_update`` ends that wait alone; the job goes on."""

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)

        def broken(seen: Any) -> None:
            if seen.state is not JobState.QUEUED:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await provider.wait(job, on_update=broken)
        assert (await provider.wait(job)).job.state is JobState.DELIVERED

    run(work, server, settings)


# ── delivering ──


@pytest.mark.parametrize(
    ("answers", "message", "state"),
    [
        ([Missing()], "no link that works", JobState.SUCCEEDED),
        ([Missing(final=True)], "no longer knows the task", JobState.LOST),
        ([ProviderUnavailable("away")], "away", JobState.SUCCEEDED),
    ],
)
def test_a_link_that_expired_and_no_new_one(
    server: SandboxServer, settings: Settings, answers: list[Any], message: str, state: JobState
) -> None:
    """What the vendor says of the task decides whether the file is lost or only late."""
    server.fail("expire_url", times=9, path="/kling/cdn")

    async def work(provider: Provider) -> None:
        with pytest.raises(DeliveryError):
            await provider.generate(LAKE)
        [job] = await provider.jobs()
        with pytest.raises(DeliveryError, match=message):
            await with_driver(provider, lambda _: provider.wait(job), look=looking(answers))
        assert (await provider.job(job.id)).state is state

    run(work, server, settings, clock=VirtualClock(1_795_000_000.0))


def test_a_download_that_never_comes_whole(server: SandboxServer, settings: Settings) -> None:
    """Five attempts, then told; the next wait begins anew."""
    server.fail("http_500", times=5, path="/kling/cdn")

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        with pytest.raises(DeliveryError, match="broke off 5 times"):
            await provider.wait(job)
        assert (await provider.wait(job)).job.state is JobState.DELIVERED

    run(work, server, settings, clock=VirtualClock(1_795_000_000.0))


def test_a_server_that_ignores_ranges_and_lengths(
    server: SandboxServer, settings: Settings, tmp_path: Path
) -> None:
    """The part that is here is thrown away when the whole comes again; no length is no obstacle."""
    film = _film(server, settings)
    answers = [
        httpx.Response(200, headers={"content-length": "9999999"}, stream=_Stream(film[:1000])),
        httpx.Response(200, stream=_Stream(film)),
    ]

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        async with provider._engine() as engine:
            transport = httpx.MockTransport(lambda request: answers.pop(0))
            engine._deliverer._client._transport = transport
            engine._deliverer._client._mounts = {}
            result = await provider.wait(job)
        assert result.path.read_bytes() == film

    run(work, server, settings, clock=VirtualClock(1_795_000_000.0))


class _Stream(httpx.AsyncByteStream):
    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aiter__(self) -> Any:
        yield self._data


def _film(server: SandboxServer, settings: Settings) -> bytes:
    elsewhere = settings.model_copy(update={"home": settings.home / "elsewhere"})
    result = run(lambda p: p.generate(LAKE), server, elsewhere)
    return bytes(result.path.read_bytes())


def test_files_that_are_not_what_they_say(tmp_path: Path) -> None:
    """Half a picture, a page of text, and kinds that nobody knows."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\x00" * 40)
    with pytest.raises(DeliveryError, match="not a whole"):
        measure(broken, None)
    page = tmp_path / "page"
    page.write_text("<html>no</html>")
    with pytest.raises(DeliveryError, match="text/html"):
        measure(page, "text/html")
    assert measure(page, "model/gltf-binary").suffix == ".bin"


# ── small parts ──


def test_a_large_file_is_not_copied_over_and_over() -> None:
    """Beside the file there is the body, and next to nothing else."""
    data = bytes(12_000_000)
    stored = bodies.stored_form({"image": Blob("a" * 64, "base64"), "prompt": "x"})
    tracemalloc.start()
    body = bodies.encode(stored, lambda name: data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(body) > 16_000_000
    assert peak < 1.3 * len(body)
    assert json.loads(body)["image"] == base64.b64encode(data).decode()


def test_bodies_refuse_what_they_cannot_keep(tmp_path: Path) -> None:
    """A field that looks like a placeholder, a blob that is gone, a name that is a path."""
    with pytest.raises(RequestError, match="blob"):
        bodies.stored_form({"$blob": "x"})
    blobs = bodies.BlobStore(tmp_path)
    with pytest.raises(LedgerError, match="is gone"):
        blobs.read("0" * 64)
    with pytest.raises(LedgerError, match="not the name"):
        blobs.read("../../etc/passwd")
    blobs.keep("0" * 64, b"abc")
    blobs.keep("0" * 64, b"abc")
    told = {"$blob": "0" * 64, "encoding": "data_uri", "media_type": "image/png"}
    assert bodies.encode([told], blobs.read) == b'["data:image/png;base64,YWJj"]'


def test_a_worker_is_gone_only_if_that_is_certain() -> None:
    """This process is not; one that never was is; a name from elsewhere tells nothing."""
    import subprocess

    me = workers.new_worker()
    place, pid, started, _ = me.split(".")
    assert not workers.is_gone(me)
    with subprocess.Popen(["true"]) as child:
        assert child.wait() == 0
    assert workers.is_gone(f"{place}.{child.pid}.{started}.x")
    assert workers.is_gone(f"{place}.{pid}.1.x"), "the number went to another process"
    assert not workers.is_gone(f"{place}.1.{started}.x") or workers._started(1) is not None
    for other in (f"elsewhere.{pid}.1.x", "old-name", ""):
        assert not workers.is_gone(other)


def test_turns_are_given_up_by_those_who_leave() -> None:
    """Cancelled while waiting: the next one does not wait for the gone."""

    async def main() -> None:
        turns = Turns()
        order: list[str] = []

        async def one(name: str) -> None:
            with turns.join("k") as turn:
                await turn.take()
                order.append(name)
                await anyio.sleep(0.01)

        async with anyio.create_task_group() as group:
            group.start_soon(one, "a")
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(0):
                await one("never")
            group.start_soon(one, "b")
        assert order == ["a", "b"]
        assert not turns.crowded("k")

    anyio.run(main)


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    """And closing twice is nothing."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'l.sqlite3'}")
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.run_blocking(store.listed)


def test_ids_that_are_not_there_or_not_unique(server: SandboxServer, settings: Settings) -> None:
    """Told apart; a whole unknown id too."""

    async def work(provider: Provider) -> None:
        await provider.submit(LAKE)
        await provider.submit(LAKE)
        with pytest.raises(RequestError, match="several jobs"):
            await provider.job("0")
        with pytest.raises(RequestError, match="no job has"):
            await provider.job("ffffffff")
        async with provider._engine() as engine:
            with pytest.raises(RequestError, match="no such job"):
                await engine.journal.get("nothing")

    run(work, server, settings)


def test_reuse_binds_the_key_to_the_job_that_is_reused(
    server: SandboxServer, settings: Settings
) -> None:
    """Then the key alone finds it."""

    async def work(provider: Provider) -> None:
        first = await provider.generate(LAKE)
        again = await provider.generate(replace(LAKE, key="k"), reuse=True)
        assert again.job.id == first.job.id
        assert (await provider.submit(replace(LAKE, key="k"))).id == first.job.id
        with pytest.raises(RequestError, match="cannot be written as JSON"):
            await provider.generate(
                GenerationRequest("x", model=LAKE.model, parameters={"kling": {"x": {1, 2}}})
            )

    run(work, server, settings)
    assert len(server.charges()) == 1


def test_reuse_joins_a_twin_that_is_under_way(server: SandboxServer, settings: Settings) -> None:
    """The same request while the first one runs: one job, one charge, two results."""

    async def work(provider: Provider) -> None:
        first = await provider.submit(LAKE)
        joined = await provider.generate(LAKE, reuse=True)
        assert joined.job.id == first.id
        assert (await provider.wait(first)).path == joined.path

    run(work, server, settings)
    assert len(server.charges()) == 1


def test_no_sign_of_life_is_only_a_warning(
    server: SandboxServer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A ledger that is locked for a moment does not end a wait."""
    caplog.set_level(logging.WARNING)
    hasty = settings.model_copy(update={"ledger_timeout": 0.1, "sandbox_seconds_per_job": 1.0})

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        async with provider._engine() as engine:
            watcher = engine._watcher
            journal = watcher._journal
            watcher._journal = replace(journal, ledger=_Locked(journal.ledger))  # type: ignore[arg-type]
            await watcher._renew()
            watcher._journal = journal
        assert (await provider.wait(job)).job.state is JobState.DELIVERED

    run(work, server, hasty)
    assert "no sign of life" in caplog.text


class _Locked:
    def __init__(self, ledger: Ledger) -> None:
        self.label = ledger.label

    async def run(self, work: Any, *, urgent: bool = False) -> Any:
        """Fail, as a locked database does."""
        raise LedgerError("the database is locked")


def test_an_output_without_a_link_is_asked_for(server: SandboxServer, settings: Settings) -> None:
    """A succeeded job whose links were not kept gets them from the task."""

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        done = Snapshot(TaskStatus.SUCCEEDED)
        link = RemoteFile(f"{server.url}/kling/cdn/none.mp4")
        answers = [done, Snapshot(TaskStatus.SUCCEEDED, outputs=(link,))]
        with pytest.raises(DeliveryError, match="no longer works"):
            await with_driver(provider, lambda _: provider.wait(job), look=looking(answers))
        assert (await provider.job(job.id)).state is JobState.SUCCEEDED

    run(work, server, settings, clock=VirtualClock(1_795_000_000.0))
