"""What became of a lost submission, and what a person may decide about it."""

from __future__ import annotations

import datetime
from typing import Any

import anyio
import pytest

from onetake import (
    ConfigurationError,
    GenerationRequest,
    JobState,
    Provider,
    RequestError,
    SubmissionUnknown,
    get_provider,
    open_job,
)
from onetake.engine import callbacks
from onetake.job import parse_token
from onetake.ledger import store
from onetake.settings import Settings
from onetake.testing import SandboxServer
from tests.running import LAKE, Work, run, run_once

LOST = {"method": "POST", "path": "/fal/queue"}
PLATFORM = {"path": "/fal/platform"}


def lose(server: SandboxServer, settings: Settings, work: Work, prompt: str = "a lake") -> Any:
    """Lose the answer to a submission on fal whose list of requests may not be read; go on."""
    server.fail("drop_after_accept", **LOST)
    server.fail("http_403", times=50, **PLATFORM)

    async def lost(provider: Provider) -> Any:
        with pytest.raises(SubmissionUnknown) as caught:
            await provider.generate(GenerationRequest(prompt, model=LAKE.model, key="k"))
        assert caught.value.job_id
        return await work(provider, caught.value)

    return run_once(lost, server, settings, "fal")


# ── fal's list of requests ──


@pytest.mark.parametrize("fault", ["drop_after_accept", "reset", "half_body", "bad_json", "stall"])
def test_fal_finds_a_lost_request_by_its_body(
    server: SandboxServer, settings: Settings, fault: str
) -> None:
    """One POST, one charge, one file; the id came from the list of requests."""
    server.fail(fault, **LOST)
    hasty = settings.model_copy(update={"submit_timeout": 1.0})
    result = run(lambda p: p.generate(LAKE), server, hasty, "fal")
    assert result.job.state is JobState.DELIVERED
    [charge] = server.charges()
    assert charge["task_id"] == result.job.task_id
    assert len(server.requests(**LOST)) == 1


def test_unfinished_requests_are_not_listed_yet(server: SandboxServer, settings: Settings) -> None:
    """Absence proves nothing: it is looked for again until it turns up."""
    server.fail("drop_after_accept", **LOST)
    patient = settings.model_copy(update={"submit_patience": 30.0})
    slow = GenerationRequest("a lake [[slow]]", model=LAKE.model)  # 0 s here, but listed later
    server.fail("http_503", times=2, **PLATFORM)
    result = run(lambda p: p.generate(slow), server, patient, "fal")
    assert result.job.state is JobState.DELIVERED
    assert len(server.charges()) == 1


def test_another_jobs_request_is_not_taken(server: SandboxServer, settings: Settings) -> None:
    """An equal body that belongs to a delivered job is left out; the lost one stays unknown."""
    server.fail("drop_before_accept", **LOST)

    async def work(provider: Provider) -> None:
        with pytest.raises(SubmissionUnknown, match="nothing is sent again"):
            await provider.generate(LAKE)
        other = await provider.generate(LAKE)
        [_, unknown] = await provider.jobs()
        with pytest.raises(SubmissionUnknown):
            await provider.wait(unknown)
        assert other.job.task_id == server.charges()[0]["task_id"]

    run(work, server, settings, "fal")
    assert len(server.charges()) == 1


def test_two_equal_bodies_in_flight_are_ambiguous(
    server: SandboxServer, settings: Settings
) -> None:
    """Which is whose cannot be told; the message says how to choose, and choosing works."""
    server.fail("drop_after_accept", times=2, **LOST)
    server.fail("http_403", times=2, **PLATFORM)

    async def work(provider: Provider) -> None:
        for _ in range(2):
            with pytest.raises(SubmissionUnknown):
                await provider.generate(LAKE)
        second, first = await provider.jobs()
        with pytest.raises(SubmissionUnknown, match="cannot be told") as caught:
            await provider.wait(first)
        one, two = [charge["task_id"] for charge in server.charges()]
        assert one in str(caught.value)
        assert second.id in str(caught.value)
        await provider.attach(first, one)
        assert (await provider.wait(first)).job.task_id == one
        assert (await provider.wait(second)).job.task_id == two, "only one is left: it is certain"

    run(work, server, settings, "fal")
    assert len(server.charges()) == 2


def test_past_its_window_an_absent_request_is_said_to_be_absent(
    server: SandboxServer, settings: Settings
) -> None:
    """Still unknown and still not sent again, but with what is known."""
    server.fail("drop_before_accept", **LOST)

    async def work(provider: Provider) -> None:
        with pytest.raises(SubmissionUnknown):
            await provider.generate(LAKE)
        [job] = await provider.jobs()
        long_ago = {"sent_at": job.created_at - 3 * 3600}
        async with provider._engine() as engine:
            table = store.jobs
            await engine.journal.ledger.run(
                lambda c: c.execute(table.update().values(**long_ago)).rowcount
            )
        with pytest.raises(SubmissionUnknown, match="would by now"):
            await provider.wait(job)

    run(work, server, settings, "fal")
    assert server.charges() == []


# ── what a person decides ──


def test_attach_needs_a_task_that_the_vendor_knows(
    server: SandboxServer, settings: Settings
) -> None:
    """And that no other job has; then the job goes on, and its history says how it came."""

    async def work(provider: Provider, lost: SubmissionUnknown) -> None:
        job_id = lost.job_id or ""
        [charge] = server.charges()
        with pytest.raises(RequestError, match="does not know it"):
            await provider.attach(job_id, "00000000-0000-7000-8000-000000000000")
        other = await provider.submit(LAKE)
        with pytest.raises(RequestError, match=other.id):
            await provider.attach(job_id, other.task_id or "")
        server.fail("http_503", path="/fal/queue")
        with pytest.raises(Exception, match="503"):
            await provider.attach(job_id, charge["task_id"])
        assert (await provider.job(job_id)).state is JobState.UNKNOWN
        attached = await provider.attach(job_id, charge["task_id"])
        assert attached.task_id == charge["task_id"]
        assert (await provider.wait(job_id)).job.state is JobState.DELIVERED
        async with provider._engine() as engine:
            events = await engine.journal.ledger.run(lambda c: store.history(c, job_id))
        assert "attached" in [event["event"] for event in events]
        with pytest.raises(RequestError, match="nothing to settle"):
            await provider.attach(job_id, charge["task_id"])

    lose(server, settings, work)
    assert len(server.charges()) == 2


def test_abandon_ends_the_job_and_frees_nothing_else(
    server: SandboxServer, settings: Settings
) -> None:
    """An abandoned job is not looked for any more; its key tells so."""

    async def work(provider: Provider, lost: SubmissionUnknown) -> None:
        job = await provider.abandon(lost.job_id or "")
        assert job.state is JobState.ABANDONED
        with pytest.raises(SubmissionUnknown):
            await provider.generate(GenerationRequest("a lake", model=LAKE.model, key="k"))
        with pytest.raises(RequestError, match="nothing to settle"):
            await provider.abandon(job)

    lose(server, settings, work)
    assert len(server.requests(**LOST)) == 1


def test_resubmit_makes_a_child_that_has_the_key(server: SandboxServer, settings: Settings) -> None:
    """By the user's word alone; the parent stays in the books as abandoned."""

    async def work(provider: Provider, lost: SubmissionUnknown) -> None:
        child = await provider.resubmit(lost.job_id or "")
        assert child.state is JobState.DRAFT
        result = await provider.generate(GenerationRequest("a lake", model=LAKE.model, key="k"))
        assert result.job.id == child.id
        assert (await provider.job(lost.job_id or "")).state is JobState.ABANDONED

    lose(server, settings, work)
    assert len(server.charges()) == 2, "the user was asked, and said that it may cost twice"


def test_kling_needs_nobodys_word(server: SandboxServer, settings: Settings) -> None:
    """While Kling cannot be reached the job is unknown; it is not to be sent anew, but resumed."""
    server.fail("drop_after_accept", method="POST", path="/kling")
    server.fail("http_503", times=20, method="GET", path="/kling/tasks")

    async def work(provider: Provider) -> None:
        with pytest.raises(SubmissionUnknown) as caught:
            await provider.generate(LAKE)
        with pytest.raises(RequestError, match="carries our id"):
            await provider.resubmit(caught.value.job_id or "")
        server.reset_faults()
        assert (await provider.wait(caught.value.job_id or "")).job.state is JobState.DELIVERED

    run_once(work, server, settings)
    assert len(server.charges()) == 1


def test_a_job_that_another_worker_holds_cannot_be_settled(
    server: SandboxServer, settings: Settings
) -> None:
    """Its process may know more."""

    async def work(provider: Provider, lost: SubmissionUnknown) -> None:
        async with provider._engine() as engine:
            now = engine.journal.clock.now()
            await engine.journal.ledger.run(
                lambda c: store.claim(c, lost.job_id or "", "somebody", now, 60)
            )
        with pytest.raises(RequestError, match="being worked on"):
            await provider.abandon(lost.job_id or "")

    lose(server, settings, work)


# ── tokens ──


def test_a_token_goes_on_elsewhere(
    server: SandboxServer, settings: Settings, tmp_path: Any
) -> None:
    """Another machine has another ledger: the file comes there too, and nothing is paid."""
    job = run(lambda p: p.submit(LAKE), server, settings)
    other = Settings(home=tmp_path / "elsewhere", sandbox_seconds_per_job=0.0)

    async def elsewhere() -> Any:
        async with open_job(job.token, settings=other) as opened:
            assert (await opened.job()).state is JobState.QUEUED
            result = await opened.wait()
            assert not await opened.cancel()
            return result

    result = anyio.run(elsewhere)
    assert result.job.task_id == job.task_id
    assert result.path.is_relative_to(other.home)
    assert len(server.charges()) == 1


def test_a_token_of_another_place_is_refused(server: SandboxServer, settings: Settings) -> None:
    """Another region is another host; the wrong provider, an unknown text, a damaged token."""
    job = run(lambda p: p.submit(LAKE), server, settings)

    async def main() -> None:
        async with open_job(job.token, region="cn", settings=settings) as opened:
            with pytest.raises(ConfigurationError, match="does not know"):
                await opened.wait()
        async with get_provider("fal", sandbox=server.url, settings=settings) as fal:
            with pytest.raises(ConfigurationError, match="kling"):
                await fal.wait(job.token)

    anyio.run(main)
    for text in ("onetake9.abc", "onetake1.abc", "nonsense"):
        with pytest.raises(ConfigurationError):
            open_job(text)


def test_a_token_without_a_task_needs_its_own_ledger(
    server: SandboxServer, settings: Settings, tmp_path: Any
) -> None:
    """An unknown job has one, so that its error can carry it."""

    async def work(provider: Provider, lost: SubmissionUnknown) -> str:
        token = lost.token or ""
        assert parse_token(token).task_id == ""
        assert (await provider.job(token)).id == lost.job_id
        return token

    token = lose(server, settings, work)
    elsewhere = Settings(home=tmp_path / "elsewhere")

    async def main() -> None:
        async with open_job(token, settings=elsewhere) as opened:
            with pytest.raises(RequestError, match="not accepted"):
                await opened.wait()

    anyio.run(main)


def test_a_token_of_a_task_that_is_known_is_that_job(
    server: SandboxServer, settings: Settings
) -> None:
    """Two ledgers may have named the same task differently; here it is one job."""
    job = run(lambda p: p.submit(LAKE), server, settings)
    told = parse_token(job.token)
    renamed = str(type(told)(**{**_fields(told), "job_id": job.id[:-4] + "ffff"}))
    assert run(lambda p: p.job(renamed), server, settings).id == job.id


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


# ── callbacks ──


def calling_back(url: str = "https://example.org/hook?x=1&empty=") -> GenerationRequest:
    """Return a request with a callback address."""
    return GenerationRequest("a lake", model=LAKE.model, parameters={"callback_url": url})


def called(server: SandboxServer, vendor: str) -> str:
    """Return the address that the vendor was given."""
    import urllib.parse

    [post] = server.requests(method="POST", path="/fal/queue" if vendor == "fal" else "/kling")
    if vendor == "fal":
        query = urllib.parse.parse_qs(post["query"])
        return query["fal_webhook"][0]
    body = post["body"]
    return str((body.get("options") or body)["callback_url"])


@pytest.mark.parametrize("vendor", ["kling", "fal"])
def test_callbacks_are_hints(server: SandboxServer, settings: Settings, vendor: str) -> None:
    """Lost, doubled, early, late and lying ones change nothing; the truth is fetched."""

    async def work(provider: Provider) -> None:
        job = await provider.submit(calling_back())
        url = called(server, vendor)
        assert url.startswith("https://example.org/hook?x=1&empty=&")
        lie = b'{"status":"ERROR","task_status":"failed","request_id":"x","id":"x"}'
        for body in (lie, lie, b"", b"[]", b"\xff", b'{"request_id": 5, "id": 5}'):
            told = await provider.read_callback(url, body)
            assert told is not None
            assert told.id == job.id
        forged = url[:-4] + "0000"
        stranger = url.replace(job.id, "0" * 36)
        for address in (forged, stranger, "https://example.org/hook", "", "http://["):
            assert await provider.read_callback(address, lie) is None
        result = await provider.wait(job)
        assert result.job.state is JobState.DELIVERED
        assert (await provider.read_callback(url, lie)) is not None

    run(work, server, settings, vendor)
    assert len(server.charges()) == 1


def test_a_callback_wakes_the_waiter(server: SandboxServer, settings: Settings) -> None:
    """Who waits looks at once; by itself it would look after most of a minute."""

    async def work(provider: Provider) -> None:
        job = await provider.submit(calling_back())
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(provider.wait, job)
                async with provider._engine() as engine:
                    while not engine._watcher._open():  # noqa: ASYNC110 - there is no event
                        await anyio.sleep(0.01)
                await provider.read_callback(called(server, "kling"), b"{}")

    usual = settings.model_copy(update={"sandbox_seconds_per_job": 100.0})
    run(work, server, usual)


@pytest.mark.parametrize("good", [True, False])
def test_a_callback_brings_the_id_of_a_lost_request(
    server: SandboxServer, settings: Settings, good: bool
) -> None:
    """With the right proof, and only if the vendor shows the task to us."""
    server.fail("drop_after_accept", **LOST)
    server.fail("http_403", times=50, **PLATFORM)

    async def work(provider: Provider) -> None:
        with pytest.raises(SubmissionUnknown) as caught:
            await provider.generate(calling_back())
        url = called(server, "fal")
        [charge] = server.charges()
        task_id = charge["task_id"] if good else "00000000-0000-7000-8000-000000000000"
        body = f'{{"request_id":"{task_id}","status":"OK"}}'.encode()
        assert await provider.read_callback(url[:-4] + "0000", body) is None
        job = await provider.read_callback(url, body)
        assert job is not None
        assert job.id == caught.value.job_id
        if good:
            assert (await provider.wait(job)).job.task_id == task_id
        else:
            assert job.state is JobState.UNKNOWN

    run(work, server, settings, "fal")
    assert len(server.charges()) == 1


def test_the_address_keeps_what_the_caller_wrote() -> None:
    """Its own query, its fragment, and characters that need care."""
    told = callbacks.address("https://x.org/a%20b?q=%C3%A4&q=2#part", "job", "proof")
    assert told == "https://x.org/a%20b?q=%C3%A4&q=2&onetake_job=job&onetake_proof=proof#part"


def test_the_platforms_refusals_are_told(server: SandboxServer, settings: Settings) -> None:
    """A key without the scope, a plea to wait, a fault: what it means stands in the message."""
    from onetake.driver import LostSubmission, Submission
    from onetake.errors import OnetakeError

    lost = LostSubmission("j", Submission("fal-ai/x", {}), b"{}", 0.0, 60.0)

    async def work(provider: Provider) -> dict[int, OnetakeError]:
        told = {}
        async with provider._engine() as engine:
            for status in (400, 401, 403, 429, 500):
                server.fail(f"http_{status}", **PLATFORM)
                with pytest.raises(OnetakeError) as caught:
                    await engine.driver.locate(lost)
                told[status] = caught.value
            server.fail("bad_json", **PLATFORM)
            with pytest.raises(OnetakeError, match="could not be read"):
                await engine.driver.locate(lost)
        return told

    told = run(work, server, settings, "fal")
    retryable = {status for status, error in told.items() if error.retryable}
    assert retryable == {429, 500}
    assert "may not be read with this key" in str(told[403])


def test_only_the_time_of_the_submission_counts() -> None:
    """The same body, sent an hour earlier or later, is another request."""
    from onetake.driver import LostSubmission, Submission
    from onetake_fal import platform

    lost = LostSubmission("j", Submission("fal-ai/x", {}), b'{"a":1,"b":[2]}', 1_800_000_000, 180)

    def item(request_id: str, seconds: float, body: Any) -> dict[str, Any]:
        sent = datetime.datetime.fromtimestamp(1_800_000_000 + seconds, datetime.UTC)
        return {"request_id": request_id, "sent_at": sent.isoformat(), "json_input": body}

    same = {"b": [2], "a": 1}
    listed = [
        item("earlier", -3600, same),
        item("later", 3600, same),
        item("other", 1, {"a": 1, "b": [3]}),
        {"request_id": "undated", "sent_at": None, "json_input": same},
        item("it", 1, same),
        item("it", 1, same),
    ]
    assert [task.id for task in platform.matching(listed, lost)] == ["it"]
