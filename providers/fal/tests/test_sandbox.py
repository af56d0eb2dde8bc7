"""The dialect of fal, judged by recorded exchanges and by fal's own client."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from onetake.testing import SandboxServer, sandbox_server
from onetake_fal import openapi
from onetake_fal.sandbox import schema

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


def test_a_post_to_the_url_of_a_result_is_a_new_empty_job(server: SandboxServer) -> None:
    """As observed in 2026: it is accepted, and completes with an inner 404."""
    request = f"fal-ai/kling-video/requests/{submitted(server)}"
    answer = queue(server, "POST", request)
    assert answer.status_code == 200
    again = f"fal-ai/kling-video/requests/{answer.json()['request_id']}"
    assert again != request
    result = queue(server, "GET", again)
    assert (result.status_code, result.json()) == (404, {"detail": "Path / not found"})
    assert [charge["settled"] for charge in server.charges()] == [True, False]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("fal-ai/kling-video/nope", "Path /nope not found"),
        (f"{TEXT}/requests/x/cancel", "Path /v2.6/pro/text-to-video/requests/x/cancel not found"),
    ],
)
def test_only_the_app_knows_its_paths(server: SandboxServer, path: str, told: str) -> None:
    """A path that is none is accepted, completes with the app's 404, and costs nothing."""
    request = queue(server, "POST", path, json={"prompt": "x"}).json()["request_id"]
    answer = queue(server, "GET", f"fal-ai/kling-video/requests/{request}")
    assert (answer.status_code, answer.json()) == (404, {"detail": told})
    assert answer.headers["x-fal-billable-units"] == "0"
    direct = httpx.post(f"{server.url}/fal/run/{path}", headers=KEY, json={"prompt": "x"})
    assert (direct.status_code, direct.json()) == (404, {"detail": told})
    assert not any(charge["settled"] for charge in server.charges())


@pytest.mark.parametrize(
    ("method", "key", "told"),
    [
        ("POST", "Key a:b", "No user found for Key ID and Secret"),
        ("POST", "Key ab", "Invalid Key Authorization header format"),
        ("GET", "Key a:b", "invalid key credentials"),
    ],
)
def test_wrong_keys_are_refused(server: SandboxServer, method: str, key: str, told: str) -> None:
    """In the words that were seen; clients look into them."""
    answer = httpx.request(method, f"{server.url}/fal/queue/{TEXT}", headers={"Authorization": key})
    assert answer.status_code == 401
    assert answer.json()["detail"].startswith(told)
    assert server.charges() == []


def test_unknown_apps_are_refused(server: SandboxServer) -> None:
    """Told at once, by the app's name; nothing is charged."""
    answer = queue(server, "POST", "fal-ai/nothing/here", json={})
    assert (answer.status_code, answer.json()) == (
        404, {"detail": 'Application "nothing" not found'},
    )  # fmt: skip
    assert server.charges() == []


def test_what_does_not_start_in_time_never_does() -> None:
    """``X-Fal-Request-Timeout``: it waits, ends with 504, and is not charged."""
    with sandbox_server(seconds_per_job=100) as server:
        body = {"json": {"prompt": "x"}, "headers": {**KEY, "x-fal-request-timeout": "10"}}
        made = httpx.post(f"{server.url}/fal/queue/{TEXT}", **body).json()
        request = f"fal-ai/kling-video/requests/{made['request_id']}"
        server.advance(9)
        assert queue(server, "GET", f"{request}/status").json()["status"] == "IN_QUEUE"
        behind = httpx.post(f"{server.url}/fal/queue/{TEXT}", **body).json()["request_id"]
        place = f"fal-ai/kling-video/requests/{behind}"
        assert queue(server, "GET", f"{place}/status").json()["queue_position"] == 1
        assert queue(server, "PUT", f"{place}/cancel").json() == {"status": "OK"}
        server.advance(2)
        status = queue(server, "GET", f"{request}/status", params={"logs": 1}).json()
        assert (status["status"], status["error_type"]) == ("COMPLETED", "request_timeout")
        assert status["logs"] == []
        answer = queue(server, "GET", request)
        assert answer.status_code == 504
        assert answer.headers["x-fal-request-timeout-type"] == "user"
        assert answer.headers["x-fal-error-type"] == "request_timeout"
        patient = {**body, "headers": {**KEY, "x-fal-request-timeout": "3600"}}
        httpx.post(f"{server.url}/fal/queue/{TEXT}", **patient)
        for odd in ("-5", "nan", "soon"):
            headers = {**KEY, "x-fal-request-timeout": odd}
            httpx.post(f"{server.url}/fal/queue/{TEXT}", **{**body, "headers": headers})
        server.advance(200)
        settled = [charge["settled"] for charge in server.charges()]
        assert settled == [False, False, True, True, True, True]


def test_own_urls_only() -> None:
    """The switch catches a client that asks below a model's path, which users found closed."""
    with sandbox_server(seconds_per_job=0.0, strict_paths=True) as server:
        made = submitted(server)
        for path in (
            f"{TEXT}/requests/{made}/status",
            f"fal-ai/kling-video/requests/{made}/response",
        ):
            assert queue(server, "GET", path).status_code == 405
        assert queue(server, "GET", f"fal-ai/kling-video/requests/{made}").status_code == 200


def test_log_lines_are_what_typed_clients_read() -> None:
    """Text for the time, a level and a source: fal's clients for Swift, Java and Dart need them."""
    with sandbox_server(seconds_per_job=0.0) as server:
        request = f"fal-ai/kling-video/requests/{submitted(server)}"
        for line in queue(server, "GET", f"{request}/status", params={"logs": 1}).json()["logs"]:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", line["timestamp"])
            assert (line["level"], line["source"]) == ("INFO", "USER")
            assert line["labels"] == {"level": "INFO", "source": "USER"}


def test_a_proxy_has_the_key(server: SandboxServer) -> None:
    """Whoever comes through it brings none; that is what proxies of web apps are for."""
    made = httpx.post(
        f"{server.url}/fal/proxy",
        headers={"x-fal-target-url": f"https://queue.fal.run/{TEXT}"},
        json={"prompt": "x"},
    )
    assert made.json()["status"] == "IN_QUEUE"
    astray = {"x-fal-target-url": "https://example.com/x"}
    assert httpx.post(f"{server.url}/fal/proxy", headers=astray).status_code == 400


def test_browsers_may_ask(server: SandboxServer) -> None:
    """A preflight passes without a key, and answers carry what a page may read."""
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization, content-type"
    before = httpx.options(f"{server.url}/fal/queue/{TEXT}", headers=asked)
    assert before.status_code == 200
    assert "authorization" in before.headers["access-control-allow-headers"]
    answer = queue(server, "POST", TEXT, json={"prompt": "x"})
    assert "access-control-allow-origin" not in answer.headers
    origin = {**KEY, "Origin": "https://a.example"}
    answer = httpx.post(f"{server.url}/fal/queue/{TEXT}", headers=origin, json={"prompt": "x"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "x-fal-request-id" in answer.headers["access-control-expose-headers"]


def test_unknown_kinds_of_storage_are_refused(server: SandboxServer) -> None:
    """fal-client still falls back to ``gcs``, and is let through."""
    url = f"{server.url}/fal/rest/storage/upload/initiate"
    codes = [
        httpx.post(url, headers=KEY, params={"storage_type": kind}, json={}).status_code
        for kind in ("fal-cdn-v3", "gcs", "nonsense")
    ]
    assert codes == [200, 200, 400]


# ── fal's own clients, unmodified, each in a process of its own ──

CLIENTS = Path(__file__).parent / "clients"


def last_line(*command: str | Path, **environment: str) -> dict[str, Any]:
    """Run a client's script and return the JSON that it prints."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=65,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@pytest.mark.capabilities
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
    """A folder with fal's JavaScript client and Vercel's installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("javascript")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    clients = ["@fal-ai/client@1.10.1", "@ai-sdk/fal@2.0.59", "ai@6"]
    command = ["npm", "install", "--no-audit", "--no-fund", *clients]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=80, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("the npm registry does not answer")
    if done.returncode != 0:
        pytest.skip("the npm registry cannot be reached")
    for script in CLIENTS.glob("*.mjs"):
        (folder / script.name).write_text(script.read_text())
    return folder


@pytest.mark.capabilities
@pytest.mark.javascript
@pytest.mark.parametrize("way", ["fetch", "proxy"])
def test_the_javascript_client(javascript: Path, way: str) -> None:
    """Upload, submit, status, stream, result, cancel and subscribe; both ways to point it here."""
    with sandbox_server(seconds_per_job=1.0) as server:
        seen = last_line("node", javascript / "javascript_client.mjs", server.url, way)
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


@pytest.mark.capabilities
@pytest.mark.javascript
def test_vercels_client(javascript: Path) -> None:
    """A film through the queue, a picture through a direct run, and a key that is refused."""
    with sandbox_server(seconds_per_job=0.3) as server:
        seen = last_line("node", javascript / "ai_sdk_client.mjs", server.url)
        assert (seen["video"], seen["image"]) == ("video/mp4", "image/png")
        assert seen["bytes"] > 10_000
        assert "APICallError" in seen["refused"]
        assert len(server.charges()) == 2


# ── what the dialect does beside generating ──


def test_webhooks_are_signed_as_documented() -> None:
    """Anybody can check them with the published key: request, user, time, hash of the body."""
    got: list[tuple[dict[str, str], bytes]] = []
    with listener(got) as address, sandbox_server(seconds_per_job=0.0) as server:
        server.fail("double_webhook")
        submitted_with(server, fal_webhook=f"{address}/done?intent=1")
        deadline = time.monotonic() + 100
        while len(got) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)  # another thread brings it; there is no event to wait for
        [jwk] = httpx.get(f"{server.url}/fal/rest/.well-known/jwks.json").json()["keys"]
    assert len(got) == 2, "the fault doubled it"
    headers, body = got[0]
    told = json.loads(body)
    assert told["status"] == "OK"
    assert told["payload"]["video"]["content_type"] == "video/mp4"
    signed = "\n".join(
        (
            headers["x-fal-webhook-request-id"],
            headers["x-fal-webhook-user-id"],
            headers["x-fal-webhook-timestamp"],
            hashlib.sha256(body).hexdigest(),
        )
    )
    key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(jwk["x"] + "=="))
    key.verify(bytes.fromhex(headers["x-fal-webhook-signature"]), signed.encode())
    assert told["request_id"] == headers["x-fal-webhook-request-id"]


@contextlib.contextmanager
def listener(got: list[tuple[dict[str, str], bytes]]) -> Iterator[str]:
    """Listen for webhooks."""

    class Door(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append(({key.lower(): value for key, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *about: Any) -> None:
            """Be quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as door:
        threading.Thread(target=door.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{door.server_port}"
        door.shutdown()


def submitted_with(server: SandboxServer, **query: str) -> str:
    """Submit with a query; return the request's id."""
    answer = queue(server, "POST", TEXT, json={"prompt": "x"}, params=query)
    return str(answer.json()["request_id"])


def platform(server: SandboxServer, path: str, **query: Any) -> Any:
    """Ask the platform."""
    return httpx.get(f"{server.url}/fal/platform/v1/{path}", headers=KEY, params=query).json()


def test_the_platform_tells_models_prices_and_bills() -> None:
    """Lists have cursors; a price is one number per endpoint; a bill comes with the end."""
    with sandbox_server(seconds_per_job=0.0) as server:
        request_id = submitted(server)
        [model] = platform(server, "models", endpoint_id=TEXT, expand="openapi-3.0")["models"]
        assert f"/{TEXT}" in model["openapi"]["paths"]
        first = platform(server, "models", limit=2)
        second = platform(server, "models", limit=2, cursor=first["next_cursor"])
        assert first["has_more"]
        assert first["models"] != second["models"]
        [price] = platform(server, "models/pricing", endpoint_id=TEXT)["prices"]
        assert (price["unit_price"], price["unit"]) == (0.14, "output second")
        [event] = platform(server, "models/billing-events", request_id=request_id)["billing_events"]
        assert (event["cost_total"], event["output_units"]) == (0.7, 5.0)
        before = platform(server, "account/billing", expand="credits")["credits"]
        assert before == {"current_balance": 999.3, "currency": "USD"}
        assert "error" in platform(server, "models/pricing")
        older = httpx.get(f"{server.url}/fal/rest/billing/user_balance", headers=KEY)
        assert older.json() == 999.3


def test_the_platform_sums_usage() -> None:
    """By endpoint, and by period; what is unknown there is told in its own form."""
    with sandbox_server(seconds_per_job=0.0) as server:
        submitted(server)
        submitted(server, duration="10")
        [row] = platform(server, "models/usage", expand="summary")["summary"]
        assert (row["endpoint_id"], row["quantity"], row["cost_total"]) == (TEXT, 15.0, 2.1)
        for frame in ("minute", "hour", "day", "week", "month"):
            told = platform(server, "models/usage", timeframe=frame, expand="time_series")
            assert sum(row["cost"] for p in told["time_series"] for row in p["results"]) == 2.1
        assert "timeframe" in platform(server, "models/usage", timeframe="year")["error"]["message"]
        assert platform(server, "models/nothing")["error"]["type"] == "not_found"
        anybody = httpx.get(f"{server.url}/fal/platform/v1/models", params={"limit": 1})
        assert len(anybody.json()["models"]) == 1


def test_direct_runs_have_a_limit() -> None:
    """Too many at once are refused, and say that a retry helps."""
    with sandbox_server(seconds_per_job=1000.0, concurrency=1) as server:
        url = f"{server.url}/fal/run/{TEXT}"
        codes: list[int] = []

        def call() -> httpx.Response:
            answer = httpx.post(url, headers=KEY, json={"prompt": "x"}, timeout=100)
            codes.append(answer.status_code)
            return answer

        first = threading.Thread(target=call)
        first.start()
        while not server.charges():
            time.sleep(0.02)  # another thread asks; there is no event to wait for
        for _ in range(2):
            refused = call()
            assert refused.json()["error_type"] == "concurrent_requests_limit"
            assert refused.headers["x-fal-needs-retry"] == "1"
        server.advance(1000)
        first.join(100)
        assert codes == [429, 429, 200]


def test_a_queue_may_be_refused_when_it_is_long() -> None:
    """``fal_max_queue_length``: counted over all callers of the endpoint."""
    with sandbox_server(seconds_per_job=100) as server:
        submitted(server)
        submitted(server)
        answer = queue(
            server, "POST", TEXT, json={"prompt": "x"}, params={"fal_max_queue_length": 1}
        )
        assert answer.status_code == 429
        assert len(server.charges()) == 2


@pytest.mark.parametrize("endpoint", sorted(schema.endpoints()))
def test_openapi_and_back(endpoint: str) -> None:
    """What the dialect publishes, the driver reads as it was captured."""
    wanted, given = openapi.reduced(schema.openapi(endpoint))
    captured = schema.endpoints()[endpoint]
    rules = ("type", "enum", "default", "min", "max", "max_length", "limits")
    for name, rule in captured["input_schema"].items():
        read = wanted[name]
        assert {key: read.get(key) for key in rules} == {key: rule.get(key) for key in rules}
        assert read["required"] == bool(rule.get("required"))
    assert list(given) == list(captured.get("output_schema") or {})
