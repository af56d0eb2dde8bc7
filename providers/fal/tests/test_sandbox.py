"""The dialect of fal, judged by recorded exchanges and by fal's own client."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from onetake.testing import SandboxServer, sandbox_server

KEY = {"Authorization": "Key sandbox:sandbox"}
APP = "fal-ai/kling-video/v2/master/image-to-video"
TEXT = "fal-ai/kling-video/v2.6/pro/text-to-video"


def queue(server: SandboxServer, method: str, path: str, **arguments: Any) -> httpx.Response:
    """Make one request to the queue."""
    return httpx.request(method, f"{server.url}/fal/queue/{path}", headers=KEY, **arguments)


def submitted(server: SandboxServer, **body: Any) -> str:
    """Submit a text request; return its id."""
    answer = queue(server, "POST", TEXT, json={"prompt": "x", **body}).json()
    return str(answer["request_id"])


def test_a_submission_answers_as_recorded(server: SandboxServer) -> None:
    """HTTP 200, the keys in their order, app-only URLs, a UUIDv7 (recorded 2026-06-02)."""
    answer = queue(server, "POST", TEXT, json={"prompt": "x"})
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == [
        "status", "request_id", "response_url", "status_url", "cancel_url", "logs", "metrics",
        "queue_position",
    ]  # fmt: skip
    assert body["logs"] is None
    assert body["metrics"] == {}
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-.+", body["request_id"])
    app = f"{server.url}/fal/queue/fal-ai/kling-video/requests/{body['request_id']}"
    assert body["response_url"] == app
    assert body["status_url"] == f"{app}/status"


def test_states_and_http_codes() -> None:
    """202 until completed, then 200; the result is 400 while running."""
    with sandbox_server(seconds_per_job=100) as server:
        request = f"fal-ai/kling-video/requests/{submitted(server)}"
        seen = []
        for step in (0, 30, 80):
            server.advance(step)
            answer = queue(server, "GET", f"{request}/status", params={"logs": "1"})
            body = answer.json()
            assert {"logs", "metrics", "response_url"} <= set(body)
            seen.append((answer.status_code, body["status"], body.get("queue_position")))
            if body["status"] != "COMPLETED":
                early = queue(server, "GET", request)
                assert early.status_code == 400
                assert early.json() == {"detail": "Request is still in progress"}
        assert seen == [(202, "IN_QUEUE", 0), (202, "IN_PROGRESS", None), (200, "COMPLETED", None)]
        result = queue(server, "GET", request)
        assert set(result.json()["video"]) == {"url", "content_type", "file_name", "file_size"}
        assert result.headers["x-fal-request-id"] == request.rpartition("/")[2]
        assert result.headers["x-fal-billable-units"] == "5"
        whole = f"{TEXT}/requests/{request.rpartition('/')[2]}"
        assert queue(server, "GET", f"{whole}/response").status_code == 200


def test_the_cancel_table() -> None:
    """Queued, running, finished and unknown each have their answer."""
    with sandbox_server(seconds_per_job=100) as server:
        root = "fal-ai/kling-video/requests"
        queued, running = submitted(server), submitted(server)
        answer = queue(server, "PUT", f"{root}/{queued}/cancel")
        assert (answer.status_code, answer.json()) == (200, {"status": "OK"})
        server.advance(50)
        answer = queue(server, "PUT", f"{root}/{running}/cancel")
        assert (answer.status_code, answer.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
        server.advance(100)
        answer = queue(server, "PUT", f"{root}/{running}/cancel")
        assert (answer.status_code, answer.json()) == (400, {"status": "ALREADY_COMPLETED"})
        answer = queue(server, "PUT", f"{root}/nobody/cancel")
        assert (answer.status_code, answer.json()) == (404, {"status": "NOT_FOUND"})
        settled = {charge["task_id"]: charge["settled"] for charge in server.charges()}
        assert settled == {queued: False, running: True}


def test_bad_input_shows_at_the_result_unless_told_otherwise(server: SandboxServer) -> None:
    """As observed 2026-03-23: accepted, completed, then 422 with a list."""
    request = f"fal-ai/kling-video/requests/{submitted(server, duration='7')}"
    assert queue(server, "GET", f"{request}/status").json()["status"] == "COMPLETED"
    answer = queue(server, "GET", request)
    assert answer.status_code == 422
    [item] = answer.json()["detail"]
    assert item["loc"] == ["body", "duration"]
    with sandbox_server(validate="submit") as strict:
        answer = queue(strict, "POST", TEXT, json={"prompt": "x", "duration": 5})
        assert answer.status_code == 422, "durations are text there"
        assert strict.charges() == []


def test_unknown_apps_and_wrong_keys_are_refused(server: SandboxServer) -> None:
    """404 and 401; nothing is charged."""
    assert queue(server, "POST", "fal-ai/nothing/here", json={}).status_code == 404
    wrong = httpx.post(
        f"{server.url}/fal/queue/{TEXT}", json={}, headers={"Authorization": "Key a:b"}
    )
    assert wrong.status_code == 401
    assert server.charges() == []


# ── fal's own clients, unmodified, each in a process of its own ──

CLIENTS = Path(__file__).parent / "clients"


def last_line(*command: str | Path, **environment: str) -> dict[str, Any]:
    """Run a client's script and return the JSON that it prints."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=55,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_the_python_client(picture: Path) -> None:
    """Upload (whole and in parts), submit, status, result, cancel, subscribe, run."""
    with sandbox_server(seconds_per_job=0.4) as server:
        seen = last_line(sys.executable, CLIENTS / "python_client.py", server.url, picture)
        assert set(seen["states"]) <= {"Queued", "InProgress", "Completed"}
        assert seen["states"][-1] == "Completed"
        assert httpx.get(seen["result"]["video"]["url"]).content[4:8] == b"ftyp"
        assert seen["cancel"] == 400
        assert seen["after_cancel"] == "client_cancelled"
        assert seen["subscribe"] == "output.mp4"
        assert seen["run"] == "video/mp4"
        assert seen["bad_duration"] == 422
        assert seen["wrong_key"] == 401
        assert len(httpx.get(seen["big"]).content) == 101 << 20
        assert len(server.charges()) == 6


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fal's JavaScript client installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("javascript")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    command = ["npm", "install", "--no-audit", "--no-fund", "@fal-ai/client@1.10.1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=50, check=False)
    if done.returncode != 0:
        pytest.skip("the npm registry cannot be reached")
    script = CLIENTS / "javascript_client.mjs"
    (folder / script.name).write_text(script.read_text())
    return folder / script.name


@pytest.mark.javascript
@pytest.mark.parametrize("way", ["fetch", "proxy"])
def test_the_javascript_client(javascript: Path, way: str) -> None:
    """Upload, submit, status, stream, result, cancel and subscribe; both ways to point it here."""
    with sandbox_server(seconds_per_job=1.0) as server:
        seen = last_line("node", javascript, server.url, way)
        assert seen["first"] == "IN_QUEUE"
        assert seen["stream"] == sorted(set(seen["stream"]), key=seen["stream"].index)
        assert seen["stream"][-1] == seen["last"] == "COMPLETED"
        assert httpx.get(seen["result"]).content[4:8] == b"ftyp"
        assert seen["sameId"] is True
        assert seen["cancelFinished"] == 400
        assert seen["cancel"] == 200
        assert seen["unknown"] == 404
        assert seen["subscribe"] == "video/mp4"
        assert len(server.charges()) == 3
