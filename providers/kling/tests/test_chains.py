"""Chains, synchronous calls, editing: what takes more than one call, each paid once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from onetake import (
    Asset,
    GenerationRequest,
    RequestError,
    SubmissionUnknown,
    UnsupportedParameter,
    get_provider,
)
from onetake.errors import AssetError, BudgetExceeded
from onetake.money import parse_money
from onetake.settings import Settings
from onetake.testing import SandboxServer

TALK = "https://example.com/talk.mp4?seconds=8"
SPOKEN = GenerationRequest(
    model="kling-lipsync",
    parameters={"text": "Good morning to you all.", "voice": "oversea_male1", "language": "en"},
    reference_assets=[Asset(TALK, role="video")],
)


def done(
    server: SandboxServer,
    settings: Settings,
    request: GenerationRequest,
    backend: str = "asyncio",
    **arguments: Any,
) -> Any:
    """Generate."""

    async def main() -> Any:
        async with get_provider("kling", sandbox=server.url, settings=settings) as kling:
            return await kling.generate(request, **arguments)

    return anyio.run(main, backend=backend)


def paid(server: SandboxServer) -> list[str]:
    """Return what was charged, in order."""
    return [row["model"] for row in server.charges()]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_text_is_spoken_first_and_each_step_is_paid_once(
    server: SandboxServer, settings: Settings, backend: str
) -> None:
    """Speech, faces, lip-sync; the same again pays the last alone, for it is a new take."""
    first = done(server, settings, SPOKEN, backend)
    assert paid(server) == ["tts", "identify-face", "lip-sync"]
    assert first.artifacts[0].media_type == "video/mp4"
    assert any(note.startswith("speech: job") for note in first.notes)
    done(server, settings, SPOKEN)
    assert paid(server) == ["tts", "identify-face", "lip-sync", "lip-sync"]


def test_a_chain_goes_on_in_the_middle(server: SandboxServer, settings: Settings) -> None:
    """The last step is refused; asked again with the same key, the first two are not paid again."""
    refused = GenerationRequest(
        model=SPOKEN.model,
        parameters={**SPOKEN.parameters, "insert_at": 7},
        reference_assets=SPOKEN.reference_assets,
        key="talk",
    )
    with pytest.raises(UnsupportedParameter, match="2 s are needed"):
        done(server, settings, refused)
    assert paid(server) == ["tts", "identify-face"]
    mended = GenerationRequest(
        model=SPOKEN.model,
        parameters=SPOKEN.parameters,
        reference_assets=SPOKEN.reference_assets,
        key="talk",
    )
    job = done(server, settings, mended).job
    assert paid(server) == ["tts", "identify-face", "lip-sync"]
    assert done(server, settings, mended).job.id == job.id, "the key is the whole chain's"
    assert len(server.charges()) == 3


def test_several_faces_are_told_and_one_is_chosen(
    server: SandboxServer, settings: Settings
) -> None:
    """Finding the faces is not paid again when one of them is named."""
    video = Asset(TALK + "&faces=2", role="video")
    parameters = dict(SPOKEN.parameters)
    with pytest.raises(UnsupportedParameter, match="there are several: 0 from 0 to 8 s"):
        done(server, settings, GenerationRequest("", None, SPOKEN.model, parameters, [video]))
    parameters["face"] = "1"
    done(server, settings, GenerationRequest("", None, SPOKEN.model, parameters, [video]))
    assert paid(server) == ["tts", "identify-face", "lip-sync"]
    body = server.requests(path="/kling/v1/videos/advanced-lip-sync")[-1]["body"]
    assert body["face_choose"][0]["face_id"] == "1"
    nobody = Asset(TALK + "&faces=0", role="video")
    with pytest.raises(RequestError, match="no face"):
        done(server, settings, GenerationRequest("", None, SPOKEN.model, parameters, [nobody]))


def test_a_limit_counts_the_whole_chain(server: SandboxServer, settings: Settings) -> None:
    """Nothing is sent when speech, faces and lip-sync together may cost more."""
    with pytest.raises(BudgetExceeded):
        done(server, settings, SPOKEN, max_cost="0.01")
    assert not server.requests(method="POST")


def test_a_budget_has_room_for_the_whole_chain_or_for_nothing(
    server: SandboxServer, settings: Settings
) -> None:
    """The first steps would fit into it, the last would not."""
    poor = settings.model_copy(update={"daily_budget": parse_money("0.05")})
    with pytest.raises(BudgetExceeded):
        done(server, poor, SPOKEN)
    assert server.charges() == []


def test_a_synchronous_call_is_at_most_once(server: SandboxServer, settings: Settings) -> None:
    """Its answer is lost: nothing can be looked up, so nothing is sent again."""
    server.fail("drop_after_accept", path="/v1/audio/tts")
    hasty = settings.model_copy(update={"submit_patience": 0.0})
    request = GenerationRequest(
        "Good morning.", model="kling-tts", parameters={"voice": "oversea_male1"}
    )
    with pytest.raises(SubmissionUnknown) as caught:
        done(server, hasty, request)
    assert caught.value.billed == "unknown"
    assert len(server.charges()) == 1
    spoken = {"text": "Good morning.", "voice": "oversea_male1"}
    chain = GenerationRequest("", None, "kling-lipsync", spoken, [Asset(TALK)])
    with pytest.raises(SubmissionUnknown, match="a step of this one"):
        done(server, hasty, chain)
    assert len(server.charges()) == 1, "a step whose outcome is unknown is not paid again"


def test_editing_marks_first_and_pays_once(server: SandboxServer, settings: Settings) -> None:
    """The session of the selection goes into the paid call; bad marks never get that far."""
    video = Asset("https://example.com/clip.mp4?seconds=5", role="video")
    given = {"edit": "removal", "selection": [[0, 0.5, 0.5], [3, 0.1, 0.9]]}
    request = GenerationRequest(
        "remove the bird from @video_1", None, "kling-multi-elements-std", given, [video]
    )
    done(server, settings, request)
    posts = [row for row in server.requests(method="POST") if "multi-elements" in row["path"]]
    assert [row["path"].rpartition("/")[2] for row in posts] == [
        "init-selection",
        "add-selection",
        "add-selection",
        "multi-elements",
    ]
    assert posts[-1]["body"]["prompt"] == "remove the bird from <<<video_1>>>"
    assert posts[-1]["body"]["session_id"]
    assert paid(server) == ["kling-v1-6"]
    for selection in ([], [[0, 2, 0.5]], [["a", 0, 0]]):
        bad = GenerationRequest(
            "x", None, "kling-multi-elements-std", {"edit": "swap", "selection": selection}, [video]
        )
        with pytest.raises(RequestError, match="selection"):
            done(server, settings, bad)
    assert len(server.charges()) == 1


def test_a_delivered_file_is_given_by_its_id(server: SandboxServer, settings: Settings) -> None:
    """Our own file needs no host: the vendor has it."""
    made = done(server, settings, GenerationRequest("a lake", model="kling-v1.6-std-text"))
    faces = GenerationRequest(model="kling-face-detection", reference_assets=[made.path])
    found = done(server, settings, faces)
    body = server.requests(path="identify-face")[-1]["body"]
    assert body == {"video_id": made.artifacts[0].vendor_id}
    assert found.job.facts["faces"][0]["face_id"] == "0"
    motion = GenerationRequest(
        model="kling-v2.6-std-motion",
        parameters={"orientation": "image"},
        reference_assets=[Asset("https://example.com/p.jpg", role="image"), made.path],
    )
    done(server, settings, motion)
    sent = server.requests(path="motion-control")[-1]["body"]
    assert sent["contents"][1]["url"].startswith(server.url), "by URL where no id is taken"


def test_a_foreign_file_needs_a_host(
    server: SandboxServer, settings: Settings, tmp_path: Path, clip: Path
) -> None:
    """None set up: refused, saying what could be; else it is put there, once per content."""
    request = GenerationRequest(model="kling-face-detection", reference_assets=[clip])
    with pytest.raises(AssetError, match="ONETAKE_ASSET_HOST"):
        done(server, settings, request)
    folder = tmp_path / "public"
    hosted = settings.model_copy(
        update={"asset_host": f"file://{folder}", "asset_host_url": "https://media.example.com/x"}
    )
    done(server, hosted, request)
    body = server.requests(path="identify-face")[-1]["body"]
    assert body["video_url"].startswith("https://media.example.com/x/")
    assert [item.read_bytes() for item in folder.iterdir()] == [clip.read_bytes()]
    at_fal = settings.model_copy(update={"asset_host": "fal", "home": tmp_path / "other"})
    done(server, at_fal, request)
    body = server.requests(path="identify-face")[-1]["body"]
    assert "/fal/" in body["video_url"] or "fal.media" in body["video_url"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A local film of three seconds."""
    from onetake.sandbox.media.film import Film
    from onetake.sandbox.media.render import render

    path = tmp_path / "clip.mp4"
    film = Film(1280, 720, 3, 24, "clip", "clip", fast=True)
    render(film, path, lambda name: b"")
    return path
