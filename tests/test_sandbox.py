"""The vendor-neutral half of the sandbox: films, faults, control."""

from __future__ import annotations

import io
import time
from pathlib import Path

import anyio
import av
import httpx
import pytest
from PIL import Image, ImageChops, ImageStat

from onetake import GenerationRequest, get_provider
from onetake.sandbox.media import caption, motion, scene
from onetake.sandbox.media.film import Film, frame_size
from onetake.sandbox.media.render import render
from onetake.sandbox.tasks import SandboxTask
from onetake.settings import Settings
from onetake.testing import SandboxServer

FILM = Film(640, 360, 3, 24, "a lake", "model")


def frames(path: Path) -> list[Image.Image]:
    """Decode a film."""
    with av.open(str(path)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]  # type: ignore[no-untyped-call]


def drawn(film: Film, path: Path, files: dict[str, bytes] | None = None) -> list[Image.Image]:
    """Render a film and decode it."""
    render(film, path, (files or {}).__getitem__)
    return frames(path)


def plain(colour: str, size: tuple[int, int] = (800, 450)) -> bytes:
    """Return a picture of one colour with a white left half."""
    image = Image.new("RGB", size, colour)
    image.paste("white", (0, 0, size[0] // 2, size[1]))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def difference(one: Image.Image, two: Image.Image) -> float:
    """Return the mean difference of two pictures, captions left out."""
    box = (0, one.height // 5, one.width, one.height * 3 // 4)
    stat = ImageStat.Stat(ImageChops.difference(one.crop(box), two.crop(box)))
    return sum(stat.mean) / 3


@pytest.mark.parametrize("audio", [False, True])
def test_a_film_is_what_was_asked_for(tmp_path: Path, audio: bool) -> None:
    """H.264, size, frame rate, one frame more than asked, and sound if wished."""
    film = Film(640, 360, 3, 24, "a lake", "model", audio=audio)
    render(film, tmp_path / "a.mp4", {}.__getitem__)
    with av.open(str(tmp_path / "a.mp4")) as container:
        video = container.streams.video[0]
        assert video.codec_context.name == "h264"
        assert (video.width, video.height) == (640, 360)
        assert video.average_rate == 24
        assert video.frames == 73
        kinds = sorted(stream.type for stream in container.streams)
        assert kinds == (["audio", "video"] if audio else ["video"])


def test_fast_films_keep_size_and_duration(tmp_path: Path) -> None:
    """Four frames, the same length."""
    film = Film(1920, 1080, 15, 24, "a lake", "model", fast=True)
    render(film, tmp_path / "a.mp4", {}.__getitem__)
    with av.open(str(tmp_path / "a.mp4")) as container:
        video = container.streams.video[0]
        assert video.frames == 4
        assert video.duration is not None
        assert float(video.duration * video.time_base) == pytest.approx(15.04, abs=0.01)  # type: ignore[operator]


def test_the_callers_picture_moves_as_told(tmp_path: Path) -> None:
    """It is there at the start, moves with the camera, and stands still when told to."""
    files = {"p": plain("red")}
    still = drawn(
        Film(640, 360, 3, 24, "x", "m", first="p", motion="static"), tmp_path / "s", files
    )
    assert difference(still[0], still[-1]) < 2
    original = Image.open(io.BytesIO(files["p"])).resize((640, 360))
    assert difference(still[0], original) < 6
    right = drawn(
        Film(640, 360, 3, 24, "x", "m", first="p", motion="pan_right"), tmp_path / "r", files
    )
    white = [ImageStat.Stat(frame.crop((0, 100, 640, 250))).mean[1] for frame in right]
    assert white[-1] < white[0] - 20, "panning right leaves the white half"


def test_a_turned_photo_stands_upright(server: SandboxServer, settings: Settings) -> None:
    """A portrait that is stored lying (EXIF orientation 6) gives a portrait film."""
    image = Image.new("RGB", (1600, 900), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)

    async def main(name: str) -> tuple[int | None, int | None]:
        async with get_provider(name, sandbox=server.url, settings=settings) as provider:
            request = GenerationRequest(
                "x", model="kling-v2.6-pro-image", reference_assets=[buffer.getvalue()]
            )
            artifact = (await provider.generate(request)).artifacts[0]
            return artifact.width, artifact.height

    assert anyio.run(main, "kling") == anyio.run(main, "fal") == (1080, 1920)


def test_first_and_last_frame_become_one_another(tmp_path: Path) -> None:
    """It begins with the one and ends with the other."""
    files = {"a": plain("red"), "b": plain("blue")}
    film = Film(640, 360, 3, 24, "x", "m", first="a", last="b")
    seen = drawn(film, tmp_path / "f", files)
    first, last = (Image.open(io.BytesIO(files[n])).resize((640, 360)) for n in "ab")
    assert difference(seen[0], first) < 6
    assert difference(seen[-1], last) < 6
    assert difference(seen[36], first) > 20


def test_every_frame_says_what_it_is(tmp_path: Path) -> None:
    """The badge and the foot are laid over frames; without them the pixels differ."""
    seen = drawn(FILM, tmp_path / "f")
    bare = scene.drawn("a lake", 640, 360).resize((640, 360))
    strips = caption.caption(640, 360, "a lake", "model")
    x, y = strips.badge_at
    box = (x, y, x + strips.badge.width, y + strips.badge.height)
    for frame in (seen[0], seen[36], seen[-1]):
        badge = frame.crop(box)
        data = badge.tobytes()
        pixels = zip(data[0::3], data[1::3], data[2::3], strict=True)
        amber = sum(1 for r, g, b in pixels if r > 180 and 120 < g < 230 and b < 150)
        assert amber > 60, "the word is there, in its colour"
        assert ImageStat.Stat(badge).mean[0] < ImageStat.Stat(bare.crop(box)).mean[0] + 80
    assert caption.WORD == "SANDBOX"


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("The camera slowly zooms in.", "zoom_in"),
        ("slow zoom out over the city", "zoom_out"),
        ("camera pans left", "pan_left"),
        ("The camera pans right.", "pan_right"),
        ("The camera tilts up.", "tilt_up"),
        ("crane down to the street", "tilt_down"),
        ("The camera stays completely still.", "static"),
        ("The camera dollies forward.", "zoom_in"),
        ("a quiet lake", "auto"),
    ],
)
def test_the_camera_is_read_from_the_prompt(prompt: str, expected: str) -> None:
    """As models do."""
    assert motion.read_motion(prompt) == expected


def test_every_neutral_motion_is_understood() -> None:
    """What onetake says in words, the sandbox reads."""
    from onetake.camera import SENTENCES

    silent = [name for name, text in SENTENCES.items() if motion.read_motion(text) == "auto"]
    assert silent == []


def test_boxes_stay_inside_the_picture() -> None:
    """At every moment of every motion."""
    for box in motion.BOXES.values():
        for step in range(101):
            left, top, right, bottom = box(step / 100)
            assert -1e-9 <= left < right <= 1 + 1e-9
            assert -1e-9 <= top < bottom <= 1 + 1e-9


@pytest.mark.parametrize(
    ("resolution", "ratio", "size"),
    [
        ("720p", 16 / 9, (1280, 720)),
        ("1080p", 16 / 9, (1920, 1080)),
        ("1080p", 9 / 16, (1080, 1920)),
        ("720p", 1.0, (960, 960)),
        ("4k", 16 / 9, (3840, 2160)),
    ],
)
def test_frame_sizes(resolution: str, ratio: float, size: tuple[int, int]) -> None:
    """Even pixels, about the same number for every ratio."""
    assert frame_size(resolution, ratio) == size


def test_an_interrupted_rendering_leaves_nothing(tmp_path: Path) -> None:
    """The film appears whole or not at all."""

    def missing(_: str) -> bytes:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        render(Film(64, 64, 1, 24, "x", "m", first="p"), tmp_path / "a.mp4", missing)
    assert list(tmp_path.iterdir()) == []


def test_phases_follow_from_time() -> None:
    """Queued, running, done; a cancelled queued task never runs."""
    task = SandboxTask("1", "kling", "m", "/e", accepted_at=100, seconds=100)
    assert [task.phase(now) for now in (100, 125, 199.9, 200)] == [
        "queued", "running", "running", "succeeded",
    ]  # fmt: skip
    from dataclasses import replace

    assert replace(task, cancelled_at=110).phase(300) == "cancelled"
    assert replace(task, cancelled_at=150).phase(300) == "succeeded"


def test_control_routes_check_their_input(server: SandboxServer) -> None:
    """A mistake in a test is told, and arms nothing."""
    control = f"{server.url}/_sandbox"
    for body in (
        {"fault": "nonsense"},
        {"fault": "http_999"},
        {"fault": "reset", "times": 0},
        {"fault": "reset", "match": {"method": 5}},
        {"fault": "reset", "match": {"colour": "red"}},
        [],
    ):
        assert httpx.post(f"{control}/faults", json=body).status_code == 400, body
    for seconds in (-1, "x", 1e300, None):
        assert httpx.post(f"{control}/advance", json={"seconds": seconds}).status_code == 400
    assert set(httpx.get(f"{control}/").json()) >= {"kling", "fal_queue", "control"}


def test_faults_break_connections_for_real(server: SandboxServer) -> None:
    """On a socket: closed, reset, half an answer, a gateway's page; each request is recorded."""
    url = f"{server.url}/kling/text-to-video/kling-2.6"

    def post() -> httpx.Response:
        headers = {"Authorization": "Bearer sandbox"}
        return httpx.post(url, json={"prompt": "x"}, headers=headers, timeout=2)

    for fault, raised in {
        "drop_before_accept": httpx.RemoteProtocolError,
        "drop_after_accept": httpx.RemoteProtocolError,
        "reset": httpx.NetworkError,
        "half_body": httpx.RemoteProtocolError,
        "stall": httpx.ReadTimeout,
    }.items():
        server.fail(fault, method="POST")
        with pytest.raises(raised):
            post()
    server.fail("nginx_502", method="POST")
    answer = post()
    assert answer.status_code == 502
    assert "nginx" in answer.text
    server.fail("http_503", method="POST")
    assert post().status_code == 503
    assert len(server.requests(method="POST")) == 7, "every request is seen, answered or not"
    assert len(server.charges()) == 5, "all but the two that were not accepted"


@pytest.mark.full_media
def test_a_1080p_film_of_five_seconds_is_quick(tmp_path: Path) -> None:
    """Not a benchmark: it only catches a rendering that has become useless (60 s)."""
    started = time.monotonic()
    render(Film(1920, 1080, 5, 24, "a lake", "m"), tmp_path / "a.mp4", {}.__getitem__)
    assert time.monotonic() - started < 60
