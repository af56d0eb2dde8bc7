"""The command line, run as users run it: in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from onetake.testing import SandboxServer, sandbox_server

ONETAKE = [sys.executable, "-m", "onetake"]


def onetake(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [*ONETAKE, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


Inside = Callable[..., subprocess.CompletedProcess[str]]


def probe(path: Path) -> tuple[str, int, int, float, int]:
    """Return codec, width, height, seconds and number of different frames."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        assert video.duration is not None
        assert video.time_base is not None
        seconds = float(video.duration * video.time_base)
        frames = {frame.to_image().resize((32, 18)).tobytes() for frame in container.decode(video)}  # type: ignore[no-untyped-call]
        return video.codec_context.name, video.width, video.height, seconds, len(frames)


@pytest.mark.parametrize(
    ("provider", "model", "size"),
    [
        ("kling", "kling-v2.6-pro-image", (1920, 1080)),
        ("fal", "fal-ai/kling-video/v2/master/image-to-video", (1280, 720)),
    ],
)
def test_generate_prints_one_json_object(
    provider: str, model: str, size: tuple[int, int], picture: Path, tmp_path: Path
) -> None:
    """The documented object, and a file that is what it says."""
    out = tmp_path / "out.mp4"
    arguments = ["generate", "a lake", "-p", provider, "-m", model, "-a", str(picture)]
    done = onetake(*arguments, "--duration", "5", "--sandbox", "-o", str(out), "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    keys = [
        "job_id",
        "provider",
        "model",
        "task_id",
        "state",
        "artifacts",
        "estimate",
        "actual",
        "notes",
        "error",
    ]
    assert list(shown) == keys
    assert shown["state"] == "delivered"
    assert shown["artifacts"][0]["path"] == str(out)
    assert isinstance(shown["estimate"]["expected"], str)
    codec, width, height, seconds, different = probe(out)
    assert codec == "h264"
    assert (width, height) == size
    assert seconds == pytest.approx(5, abs=0.1)
    assert different > 1, "the film moves"


def create_posts(server: SandboxServer) -> list[dict[str, Any]]:
    """Return the requests that would create a job."""
    return [
        request
        for request in server.requests(method="POST")
        if "storage" not in request["path"] and "/cdn/" not in request["path"]
    ]


I2V = ["-m", "kling-v2.6-pro-image"]
T2V = ["-m", "kling-v2.6-pro-text"]


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "words"),
    [
        (["-p", "kling", *T2V], {"KLING_API_KEY": "wrong"}, 3, "KLING_API_KEY"),
        (["-p", "fal", *T2V], {"FAL_KEY": "wrong"}, 3, "FAL_KEY"),
        (["-p", "kling", *T2V, "--region", "mars"], {}, 2, "global, singapore, cn"),
        (["-p", "kling", "-m", "kling-v2.6-pro-tex"], {}, 2, "Did you mean kling-v2.6-pro-text"),
        (["-p", "kling", *I2V], {}, 2, "first_frame"),
        (["-p", "kling", *I2V, "-a", "no.jpg"], {}, 2, "no such file"),
        (["-p", "fal", *I2V, "-a", "TEXT"], {}, 2, "not a picture"),
        (["-p", "kling", *T2V, "--duration", "7"], {}, 2, "5, 10"),
        (["-p", "fal", *T2V, "--max-cost", "0.01"], {}, 4, "0.01"),
        (["-p", "kling", *T2V, "--max-cost", "cheap"], {}, 2, "--max-cost"),
        (["-p", "kling", *T2V, "-o", "/no/such/folder/x.mp4"], {}, 2, "does not exist"),
        (["-p", "kling", *T2V, "--param", "nonsense"], {}, 2, "NAME=VALUE"),
        (["-p", "nobody", *T2V], {}, 2, "installed: fal, kling"),
        (T2V, {}, 2, "choose one with -p"),
        (["-p", "kling", *T2V, "--zzz"], {}, 2, "--zzz"),
        (["-p", "kling", *T2V, "--timeout", "-1"], {}, 2, "--timeout"),
        (["-p", "kling", *T2V, "--param", "a=1", "--param", "a.b=2"], {}, 2, "--param"),
        (["-p", "kling", *T2V, "--max-cost", "NaN"], {}, 2, "--max-cost"),
        ([], {}, 2, "-m"),
    ],
)
def test_mistakes_cost_nothing_and_are_one_line(
    server: SandboxServer,
    tmp_path: Path,
    arguments: list[str],
    environment: dict[str, str],
    code: int,
    words: str,
    inside: Inside,
) -> None:
    """The right exit code, a clear line on standard error, one JSON object, no POST."""
    text = tmp_path / "TEXT"
    text.write_text("not a picture at all")
    given = [str(text) if item == "TEXT" else item for item in arguments]
    done = inside(
        "generate",
        "a lake",
        *given,
        "--sandbox",
        "--json",
        ONETAKE_SANDBOX=server.url,
        **environment,
    )
    assert done.returncode == code, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert words in lines[0]
    assert "Traceback" not in done.stderr
    assert create_posts(server) == []
    assert json.loads(done.stdout)["error"]["message"]


def test_a_failed_job_exits_with_1_and_an_unknown_one_with_5(
    server: SandboxServer, inside: Inside
) -> None:
    """Exit codes say what became of the money."""
    failed = inside(
        "generate", "[[fail]]", "-p", "kling", *T2V, "--json", ONETAKE_SANDBOX=server.url
    )
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["state"] == "failed"
    server.fail("drop_after_accept", method="POST", path="/fal/queue")
    server.fail("http_403", times=9, path="/fal/platform")
    unknown = inside("generate", "x", "-p", "fal", *T2V, "--json", ONETAKE_SANDBOX=server.url)
    assert unknown.returncode == 5
    shown = json.loads(unknown.stdout)
    assert shown["error"]["task_state"] == "may_exist"


def test_no_wait_then_wait(tmp_path: Path, inside: Inside) -> None:
    """Two processes meet the same task on the in-process sandbox."""
    environment = {"ONETAKE_SANDBOX_SECONDS_PER_JOB": "1"}
    first = onetake(
        "generate", "x", "-p", "kling", *T2V, "--sandbox", "--no-wait", "--json", **environment
    )
    shown = json.loads(first.stdout)
    assert shown["state"] in ("queued", "running")
    assert shown["artifacts"] == []
    again = onetake("jobs", "wait", shown["job_id"][:18], "--json", **environment)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["state"] == "delivered"
    listed = json.loads(inside("jobs", "list", "--json").stdout)
    assert [job["job_id"] for job in listed] == [shown["job_id"]]
    described = inside("jobs", "show", shown["job_id"]).stdout
    for event in ("intended", "sending", "accepted", "delivered"):
        assert event in described


def test_an_existing_file_is_not_overwritten(
    tmp_path: Path, server: SandboxServer, inside: Inside
) -> None:
    """Said before anything is paid, unless it is wished."""
    out = tmp_path / "out.mp4"
    out.write_text("mine")
    arguments = ["generate", "x", "-p", "kling", *T2V, "-o", str(out)]
    refused = inside(*arguments, ONETAKE_SANDBOX=server.url)
    assert refused.returncode == 2
    assert "--overwrite" in refused.stderr
    assert out.read_text() == "mine"
    assert inside(*arguments, "--overwrite", ONETAKE_SANDBOX=server.url).returncode == 0
    assert out.stat().st_size > 1000


def test_ctrl_c_stops_waiting_and_says_how_to_come_back() -> None:
    """Exit code 130; the job goes on and can be waited for."""
    with sandbox_server(seconds_per_job=600) as server:
        environment = {**os.environ, "ONETAKE_SANDBOX": server.url}
        with subprocess.Popen(
            [*ONETAKE, "generate", "x", "-p", "kling", *T2V],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            while "queued" not in process.stderr.readline():
                assert process.poll() is None, "it ended before the vendor accepted the job"
            process.send_signal(signal.SIGINT)
            told = process.stderr.read()
        assert process.returncode == 130
        found = re.search(r"onetake jobs wait (\S+)`", told)
        assert found, told
        server.advance(1000)
        done = onetake("jobs", "wait", found.group(1), ONETAKE_SANDBOX=server.url)
        assert done.returncode == 0, done.stderr
        assert len(server.charges()) == 1


def test_tables_in_a_pipe_are_plain() -> None:
    """No colour codes, no box drawing; one line per model."""
    done = onetake("models", "list")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "│" not in done.stdout
    assert len(done.stdout.splitlines()) > 30
    listed = json.loads(onetake("models", "list", "-p", "kling", "--json").stdout)
    assert set(listed[0]) == {"provider", "model", "vendor_id", "aliases", "task", "status"}


def test_models_show_gives_a_command_that_works(
    picture: Path, tmp_path: Path, inside: Inside
) -> None:
    """The example runs as printed."""
    shown = inside("models", "show", "kling-v2.6-pro-image", "-p", "kling").stdout
    found = re.search(r"try +onetake (.+)", shown)
    assert found
    import shlex

    command = [
        str(tmp_path / "lake.mp4")
        if item == "out.mp4"
        else item.replace("picture.jpg", str(picture))
        for item in shlex.split(found.group(1))
    ]
    assert inside(*command).returncode == 0
    assert (tmp_path / "lake.mp4").exists()


def test_compare_and_estimate_in_json(inside: Inside) -> None:
    """Money is text, never a float."""
    arguments = ["--task", "image-to-video", "--duration", "5", "--resolution", "1080p"]
    shown = json.loads(inside("compare", "a lake", *arguments, "--audio", "off", "--json").stdout)
    assert len(shown["offers"]) >= 8
    keys = [
        "provider", "model", "expected", "low", "high", "per_second", "per_output_second", "units",
        "seconds", "currency", "basis", "row", "as_of", "checked_on", "stale", "source",
        "confidence", "reason", "hash", "per_minute", "resolution", "sound", "typical_seconds",
        "least_purchase", "notes", "differs",
    ]  # fmt: skip
    assert list(shown["offers"][0]) == keys
    assert list(shown) == ["offers", "nearest", "unavailable"]
    for offer in shown["offers"]:
        assert isinstance(offer["expected"], str) or offer["reason"]
    estimate = json.loads(inside("estimate", "-p", "fal", *T2V, "--json").stdout)
    assert estimate["expected"] == "0.7"


def test_providers_and_doctor(server: SandboxServer, inside: Inside) -> None:
    """What is installed, and whether it works."""
    assert "onetake-kling" in inside("providers").stdout
    assert inside("doctor", "--sandbox").returncode == 0
    wrong = inside("doctor", "--json", ONETAKE_SANDBOX=server.url, FAL_KEY="wrong")
    assert wrong.returncode == 1
    checks = {item["check"]: item["ok"] for item in json.loads(wrong.stdout)}
    assert checks["kling"] is True
    assert checks["fal"] is False


def test_serve_prints_its_urls_and_stops_on_ctrl_c() -> None:
    """One JSON line, then silence."""
    command = [*ONETAKE, "sandbox", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        process.wait(10)
    assert set(urls) == {
        "kling", "fal_queue", "fal_run", "fal_rest", "fal_cdn", "fal_platform",
        "kling_cdn", "fal_media", "control",
    }  # fmt: skip
    assert process.returncode in (0, 130)
    refused = onetake("sandbox", "serve", "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert "loopback" in refused.stderr


def test_the_version_is_told() -> None:
    """And a bare call is help, not an error without words."""
    assert onetake("--version").stdout.strip() == "0.1.0"
    bare = onetake()
    assert "generate" in bare.stdout + bare.stderr
    assert not bare.stderr.strip().endswith("onetake:")


def test_resume_says_what_is_not_settled(server: SandboxServer, inside: Inside) -> None:
    """A lost submission on fal: the code of the worst job, and its reason."""
    server.fail("drop_after_accept", method="POST", path="/fal/queue")
    server.fail("http_403", times=9, path="/fal/platform")
    lost = inside("generate", "x", "-p", "fal", *T2V, "--json", ONETAKE_SANDBOX=server.url)
    resumed = inside("jobs", "resume", "--all", ONETAKE_SANDBOX=server.url)
    assert resumed.returncode == 5
    assert "answer was lost" in resumed.stderr
    cancelled = inside("jobs", "cancel", json.loads(lost.stdout)["job_id"])
    assert cancelled.returncode == 2
    assert "not known" in cancelled.stderr
    assert len(server.charges()) == 1


def test_help_names_every_command() -> None:
    """And `python -m onetake` is the same program."""
    shown = onetake("--help").stdout
    for command in ("generate", "jobs", "models", "providers", "estimate", "compare", "sandbox"):
        assert command in shown
