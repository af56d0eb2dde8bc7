"""Every endpoint of the catalog makes its real output on the sandbox, and costs its estimate."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onetake import GenerationRequest
from onetake.catalog import ModelCard
from onetake.cli import app
from onetake.cli.models import example
from onetake.cli.output import guarded
from onetake.errors import UnsupportedParameter
from onetake.fitting import fit
from onetake.plugins import catalog
from onetake.pricing.price_book import load_price_book
from onetake.sandbox.media import sound
from onetake.testing import SandboxServer, sandbox_server
from onetake.testing.charges import check_charge
from onetake.testing.suite import sample_picture
from onetake.testing.typical import typical

from .running import generated

CARDS = {card.name: card for card in catalog("fal").cards}
PRICED = {model for row in load_price_book("onetake_fal").price for model in row.models}
ALIVE = [name for name, card in CARDS.items() if card.status != "discontinued"]
COMMON = {(card.output, len(card.inputs) > 1): card.name for card in reversed(CARDS.values())}
"""One endpoint of each kind of output, from few files and from many; these run in every test run,
the others with `make capabilities`."""

MEDIA = {"video": "video/mp4", "image": "image/png", "audio": "audio/mpeg"}
SHORT_SIDES = {"720p": 720, "1080p": 1080, "4k": 2160}
CLIP = "https://example.com/clip.mp4?seconds=5"
MORE: dict[str, dict[str, Any]] = {
    "kling-v4-text": {"resolution": "720p"},
    "kling-v4-image": {"resolution": "1080p"},
    "kling-v4-image-unlisted": {"resolution": "720p"},
    "kling-v4-reference": {"resolution": "720p"},
}
ROLES = {"kling-voice": ["audio"], "kling-v4-edit": []}


def each() -> list[Any]:
    """Return names as parameters, all but one of each kind marked."""
    rest = pytest.mark.capabilities
    common = set(COMMON.values())
    return [pytest.param(name, marks=[] if name in common else [rest]) for name in ALIVE]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound of five seconds."""
    path = tmp_path_factory.mktemp("speech") / "speech.mp3"
    sound.make(sound.Sound(5.0, "speech"), path, lambda name: b"")
    return path.read_bytes()


@pytest.fixture(scope="module")
def rich() -> Iterator[SandboxServer]:
    """A sandbox; equal films are drawn once."""
    with sandbox_server() as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One ledger for all."""
    return tmp_path_factory.mktemp("home")


def wanted(card: ModelCard, speech: bytes) -> GenerationRequest:
    """Return a typical request."""
    sources = {"image": sample_picture(640, 640), "audio": speech, "video": CLIP}
    return typical(
        card,
        sources,
        values={"text": "Good morning."},
        parameters=MORE.get(card.name),
        roles=ROLES.get(card.name, []),
    )


@pytest.mark.parametrize("name", each())
def test_each_endpoint_delivers(name: str, rich: SandboxServer, home: Path, speech: bytes) -> None:
    """The right kind of file, of the right size; charged as estimated, where both are known."""
    card = CARDS[name]
    result = generated(rich, home, wanted(card, speech))
    if card.output == "voice":
        assert result.job.facts["voice_id"]
        return
    kinds = [artifact.media_type for artifact in result.artifacts]
    assert kinds[0] == MEDIA[card.output]
    artifact = result.artifacts[0]
    if card.output == "video" and card.resolution in SHORT_SIDES:
        area = SHORT_SIDES[card.resolution] ** 2 * 16 / 9
        assert artifact.width * artifact.height == pytest.approx(area, rel=0.02)
    assert check_charge(rich, result.job, 5.0) == (name in PRICED)


@pytest.mark.capabilities
@pytest.mark.parametrize("name", ALIVE)
def test_the_example_really_runs(
    name: str,
    rich: SandboxServer,
    home: Path,
    tmp_path: Path,
    speech: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As `models show` prints it, but for the folder; the file is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONETAKE_SANDBOX", rich.url)
    monkeypatch.setenv("ONETAKE_HOME", str(home))
    (tmp_path / "picture.jpg").write_bytes(sample_picture(640, 640))
    monkeypatch.setattr(sys, "argv", shlex.split(example(CARDS[name])))
    assert guarded(app) == 0
    if CARDS[name].output != "voice":
        assert list(tmp_path.glob("out.*"))


@pytest.mark.parametrize("name", sorted(set(CARDS) - set(ALIVE)))
def test_a_retired_endpoint_is_refused_with_its_successor(name: str) -> None:
    """Nothing is sent; who insists is told so on the job."""
    request = GenerationRequest("a lake", model=name)
    with pytest.raises(UnsupportedParameter, match="Use kling-v1"):
        fit(request, catalog("fal"))


def test_the_catalog_has_every_endpoint_once() -> None:
    """86, of which four are retired."""
    assert len({card.vendor_id for card in CARDS.values()}) == len(CARDS) == 86
    assert len(CARDS) - len(ALIVE) == 4
