"""Endpoints that the catalog does not know: checked by their live schema, or passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onetake import Asset, GenerationRequest, RequestError, UnsupportedParameter, get_provider
from onetake.settings import Settings
from onetake.testing import SandboxServer, sandbox_server
from onetake.testing.suite import sample_picture

from .running import generated

PICTURE = "sandbox/picture/text-to-image"
SOLID = "sandbox/model/image-to-3d"
SOUND = "sandbox/sound/text-to-audio"


@pytest.mark.parametrize(
    ("model", "prompt", "files", "kind"),
    [
        (PICTURE, "a lake", [], "image/png"),
        (SOUND, "Good morning.", [], "audio/mpeg"),
        (SOLID, "", [sample_picture(640, 640)], "model/gltf-binary"),
    ],
)
def test_pictures_sounds_and_solids_become_artifacts(
    server: SandboxServer, tmp_path: Path, model: str, prompt: str, files: list[Any], kind: str
) -> None:
    """Whatever kind of file comes out is delivered; the job says what it was checked against."""
    request = GenerationRequest(prompt, model=model, reference_assets=files)
    result = generated(server, tmp_path, request)
    assert result.artifacts[0].media_type == kind
    assert result.artifacts[0].path.stat().st_size > 100
    assert any("fal's own schema" in note for note in result.job.notes)
    assert result.job.actual["units"]


def test_the_schema_refuses_before_anything_is_sent(server: SandboxServer, tmp_path: Path) -> None:
    """An unknown field, a value out of range, and a missing file: no POST."""
    for request in (
        GenerationRequest("a lake", model=PICTURE, parameters={"steps": 99}),
        GenerationRequest("a lake", model=PICTURE, parameters={"colour": "red"}),
        GenerationRequest("", model=PICTURE),
        GenerationRequest("", model=SOLID),
    ):
        with pytest.raises((RequestError, UnsupportedParameter)):
            generated(server, tmp_path, request)
    assert not server.requests(method="POST", path="/fal/queue")


def test_neutral_words_fit_a_foreign_schema(server: SandboxServer, tmp_path: Path) -> None:
    """`n` is num_images there; a local path in a field of the endpoint is uploaded."""
    picture = tmp_path / "style.png"
    picture.write_bytes(sample_picture(640, 640))
    parameters = {"n": 2, "style_image_url": str(picture), "fal": {"extra": 1}}
    request = GenerationRequest("a lake", model=PICTURE, parameters=parameters)
    result = generated(server, tmp_path, request)
    assert len(result.artifacts) == 2
    [sent] = server.requests(method="POST", path="/fal/queue")
    assert sent["body"]["num_images"] == 2
    assert sent["body"]["extra"] == 1
    assert "/fal/cdn/files/" in sent["body"]["style_image_url"]


def test_a_field_that_is_called_like_one_of_ours_keeps_its_sense(
    server: SandboxServer, tmp_path: Path
) -> None:
    """Elsewhere `multi_prompt` means shots with prompt and duration; here it is a list of words."""
    parameters = {"multi_prompt": ["a lake", "the same lake at night"]}
    generated(server, tmp_path, GenerationRequest("two", model=PICTURE, parameters=parameters))
    [sent] = server.requests(method="POST", path="/fal/queue")
    assert sent["body"]["multi_prompt"] == parameters["multi_prompt"]


def test_a_local_path_deep_in_a_field_is_uploaded(server: SandboxServer, tmp_path: Path) -> None:
    """Inside lists and objects, too, in the order in which they stand; remote files stay."""
    picture = tmp_path / "view.png"
    picture.write_bytes(sample_picture(640, 640))
    views = [
        {"image_url": "https://example.com/a.png", "angle": 0},
        {"image_url": picture, "angle": 90},
    ]
    files = [sample_picture(640, 640)]
    request = GenerationRequest(
        "", model=SOLID, parameters={"fal": {"views": views}}, reference_assets=files
    )
    generated(server, tmp_path, request)
    [sent] = server.requests(method="POST", path="/fal/queue")
    first, second = sent["body"]["views"]
    assert first == {"image_url": "https://example.com/a.png", "angle": 0}
    assert "/fal/cdn/files/" in second["image_url"]
    assert second["angle"] == 90


def test_a_schema_is_fetched_once_a_day(server: SandboxServer, tmp_path: Path) -> None:
    """It is kept as a file, and serves checks and estimates without a network."""
    request = GenerationRequest("a lake", model=PICTURE)
    generated(server, tmp_path, request)
    generated(server, tmp_path, request)
    assert len(server.requests(path="/platform/v1/models")) == 1
    fal = get_provider("fal", sandbox=server.url, settings=Settings(home=tmp_path))
    with pytest.raises(UnsupportedParameter, match="1 to 50"):
        fal.check(GenerationRequest("x", model=PICTURE, parameters={"steps": 99}))


def test_that_there_is_no_schema_is_kept_too(server: SandboxServer, tmp_path: Path) -> None:
    """An endpoint that fal does not list is asked for once, not with every job."""
    request = GenerationRequest("a lake", model="owner/private-app")
    for _ in range(2):
        with pytest.raises(RequestError, match="does not know this endpoint"):
            generated(server, tmp_path, request)
    assert len(server.requests(path="/platform/v1/models")) == 1


def test_without_a_schema_it_is_passed_on_unchecked(tmp_path: Path) -> None:
    """The platform cannot be asked: nothing is refused, and the job says so."""
    with sandbox_server(seconds_per_job=0.0) as server:
        server.fail("http_503", path="/platform/v1/models", times=5)
        parameters = {"steps": 28, "colour": "red"}
        request = GenerationRequest("a lake", model=PICTURE, parameters=parameters)
        result = generated(server, tmp_path, request)
        assert any("without checks" in note for note in result.job.notes)
        [sent] = server.requests(method="POST", path="/fal/queue")
        assert sent["body"]["colour"] == "red"


def test_a_file_of_no_known_kind_goes_where_it_is_named(
    server: SandboxServer, tmp_path: Path
) -> None:
    """An archive for training, say; only of files without a field is the kind needed."""
    archive = tmp_path / "faces.zip"
    archive.write_bytes(b"PK\x05\x06" + b"\0" * 18)
    server.fail("http_503", path="/platform/v1/models", times=5)
    files = [Asset(archive, role="images_data_url")]
    request = GenerationRequest("a lake", model=PICTURE, reference_assets=files)
    generated(server, tmp_path, request)
    [sent] = server.requests(method="POST", path="/fal/queue")
    assert sent["body"]["images_data_url"].endswith("/faces.zip")


def test_the_estimate_of_a_foreign_model_is_unknown_with_a_reason(tmp_path: Path) -> None:
    """Never zero."""
    fal = get_provider("fal", settings=Settings(home=tmp_path))
    price = fal.estimate(GenerationRequest("a lake", model="fal-ai/flux/dev"))
    assert price.expected is None
    assert "not in the catalog" in str(price.reason)
