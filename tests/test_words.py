"""Requests, assets, jobs, results: the words."""

from __future__ import annotations

import base64
import io
import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from onetake import Asset, ConfigurationError, GenerationRequest, GenerationType, RequestError
from onetake.assets import load, sniff
from onetake.errors import AssetError, OnetakeError
from onetake.job import (
    DELIVERY_STEPS,
    SUBMISSION_STEPS,
    TASK_STEPS,
    Delivery,
    JobState,
    JobToken,
    Submission,
    TaskStatus,
    job_state,
    new_job_id,
    parse_token,
)


def test_a_request_reads_like_a_sentence() -> None:
    """The first argument is the prompt; everything else has a name."""
    request = GenerationRequest("a lake", model="m", generation_type="image_to_video")
    assert request.generation_type is GenerationType.IMAGE_TO_VIDEO
    assert request.prompt == "a lake"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"prompt": 5}, "prompt"),
        ({"parameters": [1]}, "parameters"),
        ({"model": None}, "model"),
        ({"key": ""}, "key"),
        ({"negative_prompt": 1}, "negative_prompt"),
        ({"generation_type": "poem"}, "generation_type"),
    ],
)
def test_a_wrong_request_names_its_field(arguments: dict[str, object], field: str) -> None:
    """Bad input raises RequestError, which is a ValueError."""
    with pytest.raises(RequestError, match=field):
        GenerationRequest(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=field):
        GenerationRequest(**arguments)  # type: ignore[arg-type]


def test_coarse_types_cover_exact_tasks() -> None:
    """VIDEO fits every model that makes a video."""
    assert GenerationType.VIDEO.covers("image-to-video")
    assert not GenerationType.VIDEO.covers("text-to-image")
    assert GenerationType.TEXT_TO_VIDEO.covers("text-to-video")


def test_assets_come_in_every_form(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Path, text, ~, file URL, bytes, file object and data URI give the same bytes."""
    data = picture.read_bytes()
    monkeypatch.setenv("HOME", str(picture.parent))
    uri = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    sources = [
        picture,
        str(picture),
        "~/picture.jpg",
        picture.as_uri(),
        data,
        io.BytesIO(data),
        uri,
    ]
    hashes = {load(Asset(source)).sha256 for source in sources}
    assert len(hashes) == 1
    assert load(Asset(picture)).width == 640


def test_a_remote_asset_is_not_fetched() -> None:
    """A URL stays a URL."""
    loaded = load(Asset("https://example.com/cat.png"))
    assert loaded.url == "https://example.com/cat.png"
    assert loaded.data is None
    assert loaded.kind == "image"


def test_unusable_files_are_told_by_name(tmp_path: Path, picture: Path) -> None:
    """Missing, empty, a folder, text, and a damaged picture: each names file and reason."""
    empty, text, damaged = tmp_path / "e.jpg", tmp_path / "t.jpg", tmp_path / "d.jpg"
    empty.write_bytes(b"")
    text.write_text("hello")
    damaged.write_bytes(b"\xff\xd8\xff" + b"\0" * 50)
    expected = {
        tmp_path / "no.jpg": "no such file",
        tmp_path: "folder",
        empty: "empty",
        text: "not a picture",
        damaged: "cannot be decoded",
    }
    for path, reason in expected.items():
        with pytest.raises(AssetError, match=reason) as caught:
            load(Asset(path))
        assert str(path) in str(caught.value)


def test_sniffing_knows_the_common_types() -> None:
    """Content decides, not the name."""
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP"):
        buffer = io.BytesIO()
        Image.new("RGB", (2, 2)).save(buffer, kind)
        assert sniff(buffer.getvalue()) == f"image/{kind.lower()}"
    assert sniff(b"plain text") is None


def test_every_legal_path_ends_in_a_known_state() -> None:
    """All combinations of the three columns have a state; ended states have no next step."""
    for submission, task, delivery in itertools.product(Submission, [None, *TaskStatus], Delivery):
        state = job_state(submission, task, delivery)
        assert isinstance(state, JobState)
        if submission is Submission.ACCEPTED and task in (TaskStatus.FAILED, TaskStatus.CANCELLED):
            assert state.ended
    assert not SUBMISSION_STEPS[Submission.ACCEPTED]
    assert not TASK_STEPS[TaskStatus.SUCCEEDED]
    assert not DELIVERY_STEPS[Delivery.DELIVERED]


def test_an_accepted_job_never_goes_back_to_sending() -> None:
    """The step that would pay twice does not exist."""
    reachable = {Submission.ACCEPTED}
    for _ in Submission:
        reachable |= {step for state in reachable for step in SUBMISSION_STEPS[state]}
    assert reachable == {Submission.ACCEPTED}


def test_job_ids_sort_by_time_and_differ() -> None:
    """UUIDv7: version and variant bits, order by time."""
    ids = [new_job_id(1_700_000_000 + number) for number in range(50)]
    assert ids == sorted(ids)
    assert len({new_job_id(5.0) for _ in range(1000)}) == 1000
    assert all(job_id[14] == "7" and job_id[19] in "89ab" for job_id in ids)


def test_a_token_survives_the_trip() -> None:
    """What is written is read; damage is told."""
    job_id = new_job_id(1_800_000_000)
    task = {"id": "123", "route": "new", "path": "/p"}
    token = JobToken("kling", "h", "new", "123", job_id, "model", task)
    unsent = replace(token, task_id="", task={})
    assert parse_token(str(token)) == token
    assert parse_token(str(unsent)) == unsent
    for broken in (
        "nonsense",
        str(token)[:-9],
        "onetake1.e30",
        str(replace(token, job_id="../../evil")),
        str(replace(token, task_id="456")),
        str(replace(token, task={"id": "123"})),
        str(replace(token, task={**task, "path": 5})),
        str(replace(token, host=None)),
    ):
        with pytest.raises(ConfigurationError):
            parse_token(broken)


def test_errors_survive_the_ledger() -> None:
    """Every error class comes back as itself, with its fields."""
    pending, seen = [OnetakeError], []
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        seen.append(kind)
        error = kind("it broke", provider="fal", job_id="j", vendor_code="7", hint="do this")
        again = OnetakeError.from_record(error.to_record())
        assert type(again) is kind
        assert again.to_record() == error.to_record()
        assert str(again) == "it broke do this"
    assert len(seen) > 15


def test_random_bytes_are_never_a_traceback(tmp_path: Path) -> None:
    """Whatever a file holds, loading it works or raises AssetError."""
    chance = random.Random(7)
    heads = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF\0\0\0\0WEBP", b"BM"]
    for number in range(120):
        data = chance.choice(heads) + chance.randbytes(chance.randrange(1, 200))
        try:
            load(Asset(data, name=f"{number}"))
        except AssetError:
            continue
