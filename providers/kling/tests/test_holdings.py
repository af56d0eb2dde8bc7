"""Voices, elements, packs, books; explicit endpoints."""

from __future__ import annotations

import functools
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from onetake import Asset, GenerationRequest, RequestError, SubmissionUnknown, get_provider
from onetake.cli import app
from onetake.cli.output import guarded
from onetake.settings import Settings
from onetake.testing import SandboxServer

from .requests_of import PICTURE

FRONT = [Asset(PICTURE, role="frontal"), Asset(PICTURE, role="reference")]


def asked(server: SandboxServer, settings: Settings, work: Any) -> Any:
    """Run work with Kling."""

    async def main() -> Any:
        async with get_provider("kling", sandbox=server.url, settings=settings) as kling:
            return await work(kling)

    return anyio.run(main)


def test_an_element_is_made_used_and_deleted(server: SandboxServer, settings: Settings) -> None:
    """A job like any other: by key, once; its id goes into later requests."""

    async def work(kling: Any) -> None:
        told = {"description": "a girl in a red coat"}
        anna = await kling.create_resource(
            "element", "Anna", reference_assets=FRONT, parameters=told, key="anna"
        )
        again = await kling.create_resource(
            "element", "Anna", reference_assets=FRONT, parameters=told, key="anna"
        )
        assert again.id == anna.id
        assert len(server.charges()) == 1
        assert [item.id for item in await kling.resources("element")] == [anna.id]
        presets = await kling.resources("element", preset=True)
        assert {item.owner for item in presets} == {"kling"}
        film = GenerationRequest(
            "@element_1 by a lake",
            model="kling-v3-pro-image",
            parameters={"elements": [anna.id]},
            reference_assets=[PICTURE],
        )
        await kling.generate(film)
        await kling.delete_resource("element", anna.id)
        assert await kling.resources("element") == []
        with pytest.raises(RequestError, match="already be deleted"):
            await kling.delete_resource("element", anna.id)
        with pytest.raises(RequestError, match="Element id not found"):
            await kling.generate(film)

    asked(server, settings, work)


def test_a_voice_has_a_sample(server: SandboxServer, settings: Settings) -> None:
    """Its trial is delivered as the job's file."""

    async def work(kling: Any) -> None:
        sample = Asset("https://example.com/voice.mp3", role="audio")
        anna = await kling.create_resource("voice", "Anna", reference_assets=[sample])
        job = (await kling.jobs())[0]
        assert job.facts["voice_id"] == anna.id
        assert job.artifacts[0]["media_type"] == "audio/mpeg"
        [listed] = await kling.resources("voice")
        assert (listed.id, listed.name, listed.owner) == (anna.id, "Anna", "own")
        with pytest.raises(RequestError, match="kind"):
            await kling.resources("hat")

    asked(server, settings, work)


def test_the_books_agree_with_the_jobs(server: SandboxServer, settings: Settings) -> None:
    """What the vendor says it took is what our jobs say they cost."""

    async def work(kling: Any) -> None:
        film = await kling.generate(GenerationRequest("a lake", model="kling-v2.6-pro-text"))
        still = await kling.generate(GenerationRequest("a lake", model="kling-image-v3-text"))
        taken = {row.task_id: row for row in await kling.deductions(days=1)}
        for result in (film, still):
            row = taken[result.job.task_id]
            assert row.amount == Decimal(result.job.actual["units"])
        assert taken[still.job.task_id].source == "image"
        left = {pack.name.split("-")[1]: pack.remaining for pack in await kling.account()}
        assert left["Video"] == 100_000 - Decimal(film.job.actual["units"])
        before = len(server.requests(path="/account/costs"))
        await kling.account()
        assert len(server.requests(path="/account/costs")) == before, "once a second at most"

    asked(server, settings, work)


def test_the_books_are_read_page_by_page(server: SandboxServer, settings: Settings) -> None:
    """A cursor leads on."""

    async def work(kling: Any) -> None:
        from onetake_kling import books

        for _ in range(5):
            await kling.generate(GenerationRequest("a lake", model="kling-image-v3-text"))
        async with kling._engine() as engine:
            span = {"start_time": 1, "end_time": 10**15, "limit": 2}
            rows = await books._all(engine.driver._ask, "/account/billing/package", span)
        assert len(rows) >= 5

    asked(server, settings, work)


def typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    """Run the command line; return exit code and standard output."""
    monkeypatch.setattr(sys, "argv", ["onetake", *arguments])
    code = guarded(app)
    return code, capsys.readouterr().out


def test_the_command_line_shows_them(
    server: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """account and resources; a wrong kind is a sentence, not a traceback."""
    monkeypatch.setenv("ONETAKE_SANDBOX", server.url)
    run = functools.partial(typed, monkeypatch, capsys)
    picture = tmp_path / "front.jpg"
    picture.write_bytes(PICTURE)
    files = ("-a", f"frontal={picture}", "-a", f"reference={picture}")
    told = ("--param", "description=a girl")
    code, out = run(
        "resources", "create", "element", "Anna", "-p", "kling", *files, *told, "--json"
    )
    assert code == 0
    element = json.loads(out)["id"]
    _, out = run("resources", "list", "element", "-p", "kling", "--json")
    assert [row["id"] for row in json.loads(out)] == [element]
    assert run("resources", "delete", "element", element, "-p", "kling")[0] == 0
    run("generate", "a lake", "-p", "kling", "-m", "kling-image-v3-text")
    _, out = run("account", "-p", "kling", "--days", "7", "--json")
    found = json.loads(out)
    assert found["balances"][0]["days_left"] in (28, 29)
    assert found["deductions"][0]["unit"] == "units"
    assert "Sandbox-Video" in run("account", "-p", "kling")[1]
    assert run("resources", "list", "hat", "-p", "kling")[0] == 2
    assert run("resources", "list", "voice", "-p", "fal")[0] == 2


def test_an_endpoint_that_there_is_not_is_refused(
    server: SandboxServer, settings: Settings
) -> None:
    """The server's own 404 is no doubt about a task: nothing behind it was asked."""
    own = {"endpoint": "/v1/videos/nope", "prompt": "x"}
    request = GenerationRequest("", parameters={"kling": own})
    with pytest.raises(RequestError, match="there is no path /v1/videos/nope") as caught:
        asked(server, settings, lambda kling: kling.generate(request))
    assert caught.value.task_state == "not_created"


def test_an_explicit_endpoint_takes_the_callers_own_body(
    server: SandboxServer, settings: Settings
) -> None:
    """Whatever the catalog does not know; our id travels, and nothing is sent a second time."""

    async def work(kling: Any) -> None:
        own = {
            "endpoint": "/solutions/virtual_try_on",
            "contents": [
                {"type": "product_image", "url": "https://example.com/coat.jpg"},
                {"type": "person_image", "url": "https://example.com/anna.jpg"},
            ],
        }
        result = await kling.generate(GenerationRequest(parameters={"kling": own}))
        assert result.artifacts[0].media_type == "image/png"
        assert "without checks" in result.notes[0]
        sent = server.requests(path="/solutions/virtual_try_on")[0]["body"]
        assert sent["options"] == {"external_task_id": result.job.id}
        server.fail("drop_after_accept", path="/solutions/virtual_try_on")
        found = await kling.generate(GenerationRequest(parameters={"kling": own}))
        assert found.artifacts, "it is found by our id"
        assert len(server.charges()) == 2
        with pytest.raises(RequestError, match="whole body beside it"):
            await kling.generate(GenerationRequest("x", parameters={"kling": own}))

    hasty = settings.model_copy(update={"submit_patience": 0.0})
    try:
        asked(server, hasty, work)
    except SubmissionUnknown:
        assert len(server.charges()) == 2, "unknown, but paid once"
