"""Every row of the catalog makes its real output on the sandbox, and costs what was estimated."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from typer.testing import CliRunner

from onetake import GenerationRequest, get_provider
from onetake.catalog import ModelCard
from onetake.cli import app
from onetake.cli.models import example
from onetake.cli.output import guarded
from onetake.driver import Blob, PreparedAsset, Submission
from onetake.engine.bodies import encode, stored_form
from onetake.errors import UnsupportedParameter
from onetake.fitting import fit
from onetake.plugins import catalog
from onetake.pricing.price_book import load_price_book
from onetake.sandbox.media import sound
from onetake.settings import Settings
from onetake.testing import SandboxServer, sandbox_server
from onetake.testing.charges import check_charge
from onetake_kling.wire import submitting

from .requests_of import PICTURE, token, typical

CARDS = {card.name: card for card in catalog("kling").cards}
PRICED = {model for row in load_price_book("onetake_kling").price for model in row.models}
ALIVE = [name for name, card in CARDS.items() if card.status != "discontinued"]
FIRST = {(card.task, "new" in card.wire): card.name for card in reversed(CARDS.values())}
"""One model of each task and generation; these run in every test run, the others with
`make capabilities`."""


def each(names: list[str]) -> list[Any]:
    """Return names as parameters, all but one of each kind marked."""
    rest = pytest.mark.capabilities
    common = set(FIRST.values())
    return [pytest.param(name, marks=[] if name in common else [rest]) for name in names]


MEDIA = {"video": "video/mp4", "image": "image/png", "audio": "audio/mpeg"}
MEDIA |= {"voice": "audio/mpeg", "element": "image/png", "data": "image/png"}
SHORT_SIDES = {"720p": 720, "1080p": 1080, "4k": 2160}


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound of three seconds."""
    path = tmp_path_factory.mktemp("speech") / "speech.mp3"
    sound.make(sound.Sound(3.0, "speech"), path, lambda name: b"")
    return path.read_bytes()


@pytest.fixture(scope="module")
def rich() -> Iterator[SandboxServer]:
    """A sandbox with room and units for everything; equal films are drawn once."""
    with sandbox_server(concurrency=1000) as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One ledger for all."""
    return tmp_path_factory.mktemp("home")


def made_by(server: SandboxServer, home: Path, request: GenerationRequest) -> Any:
    """Generate."""
    settings = Settings(home=home, sandbox_seconds_per_job=0.0)

    async def main() -> Any:
        async with get_provider("kling", sandbox=server.url, settings=settings) as kling:
            return await kling.generate(request, timeout=60)

    return anyio.run(main)


@pytest.mark.parametrize("name", each([name for name in ALIVE if name != "kling-extend"]))
def test_each_model_delivers(name: str, rich: SandboxServer, home: Path, speech: bytes) -> None:
    """The right kind of file, of the right size; charged as estimated, where both are known."""
    card = CARDS[name]
    result = made_by(rich, home, typical(card, speech))
    artifact = result.artifacts[0]
    assert artifact.media_type == MEDIA[card.output]
    if card.output == "video" and card.resolution in SHORT_SIDES:
        area = SHORT_SIDES[card.resolution] ** 2 * 16 / 9
        assert artifact.width * artifact.height == pytest.approx(area, rel=0.02)
    seconds = 3.0 if card.task == "avatar" else 5.0
    assert check_charge(rich, result.job, seconds) == (name in PRICED)


def test_a_video_is_extended_by_its_id(rich: SandboxServer, home: Path) -> None:
    """The longer clip comes whole; other models' videos are refused by the vendor."""
    source = made_by(rich, home, GenerationRequest("a lake", model="kling-v1.6-std-text"))
    video_id = source.artifacts[0].vendor_id
    request = GenerationRequest("on", model="kling-extend", parameters={"video_id": video_id})
    longer = made_by(rich, home, request)
    assert longer.artifacts[0].duration == pytest.approx(10.04, abs=0.05)
    by_file = GenerationRequest("on", model="kling-extend", reference_assets=[source.path])
    again = made_by(rich, home, by_file)
    assert again.artifacts[0].duration == longer.artifacts[0].duration, "our own file is known"


@pytest.mark.capabilities
@pytest.mark.parametrize("name", ALIVE)
def test_the_example_is_a_command_that_works(
    name: str, tmp_path: Path, speech: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `models show` prints can be pasted; here up to the point where it would be sent."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "picture.jpg").write_bytes(PICTURE)
    (tmp_path / "speech.mp3").write_bytes(speech)
    words = shlex.split(example(CARDS[name]))[2:]
    kept = [word for word in words if word != "--sandbox"]
    out = kept.index("-o")
    command = ["estimate", *kept[:out], *kept[out + 2 :], "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model"] == name


@pytest.mark.capabilities
@pytest.mark.parametrize("name", [name for name in ALIVE if name != "kling-extend"])
def test_the_example_really_runs(
    name: str,
    rich: SandboxServer,
    home: Path,
    tmp_path: Path,
    speech: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As printed, but for the folder; the file is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONETAKE_SANDBOX", rich.url)
    monkeypatch.setenv("ONETAKE_HOME", str(home))
    (tmp_path / "picture.jpg").write_bytes(PICTURE)
    (tmp_path / "speech.mp3").write_bytes(speech)
    monkeypatch.setattr(sys, "argv", shlex.split(example(CARDS[name])))
    assert guarded(app) == 0
    assert list(tmp_path.glob("out.*"))


OLD = [
    name
    for name in ALIVE
    if "legacy" in CARDS[name].wire
    and CARDS[name].wire.get("endpoint") not in ("video-extend", "lip-sync", "multi-elements")
]
"""What needs no call before it on the old API; the others have tests of their own."""


@pytest.mark.parametrize("name", each(OLD))
def test_the_old_api_does_it_with_an_access_key(
    name: str, rich: SandboxServer, speech: bytes
) -> None:
    """AK/SK reach every model of the old API; the body is what the driver would send."""
    sent, body = old_submission(CARDS[name], speech)
    assert sent.route == "legacy"
    answer = httpx.post(f"{rich.url}/kling{sent.path}", content=body, headers=token())
    assert answer.json()["code"] == 0, answer.text


def old_submission(card: ModelCard, speech: bytes) -> tuple[Submission, bytes]:
    """Return a typical request as it goes to the old API."""
    fitted = fit(typical(card, speech), catalog("kling"))
    blobs = {item.sha256: item.data for item in fitted.assets}
    assets = [
        PreparedAsset(item, item.url or Blob(item.sha256, "base64", item.media_type))
        for item in fitted.assets
    ]
    sent = submitting.submission(fitted, f"old-{card.name}", assets, has_api_key=False)
    return sent, encode(stored_form(sent.body), lambda name: blobs[name] or b"")


@pytest.mark.parametrize("name", sorted(set(CARDS) - set(ALIVE)))
def test_a_discontinued_model_is_refused_with_its_successor(name: str) -> None:
    """Nothing is sent; who insists is told so on the job."""
    files = [PICTURE] if CARDS[name].inputs else []
    request = GenerationRequest("a lake", model=name, reference_assets=files)
    with pytest.raises(UnsupportedParameter, match="Use kling-v2"):
        fit(request, catalog("kling"))
    fitted = fit(request, catalog("kling"), strict=False)
    assert "discontinued" in fitted.notes[0]
