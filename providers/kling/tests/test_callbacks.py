"""Callbacks: the vendor's vector, and the dialect's letters as they arrive."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import queue
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from onetake.testing import SandboxServer, sandbox_server
from onetake_kling.sandbox.callbacks import signed

KEY = {"Authorization": "Bearer sandbox"}
SECRET = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI="
Letters = "queue.Queue[tuple[dict[str, str], bytes]]"


def test_the_vendors_vector() -> None:
    """From the vendor's page on callbacks, 2026-09-20."""
    body = (
        b'{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,'
        b'"update_time":1781080794151}'
    )
    headers = signed(SECRET, "9876543210", 1781080794, body)
    assert headers["webhook-signature"] == "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4="


@pytest.fixture
def door() -> Iterator[tuple[str, Any]]:
    """A receiver on loopback; what came in is in the queue."""
    letters: Any = queue.Queue()

    class Door(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            letters.put((dict(self.headers), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/called", letters
    server.shutdown()
    server.server_close()
    thread.join()


def create(server: SandboxServer, url: str) -> str:
    """Create a task that calls back."""
    body = {"prompt": "x", "options": {"callback_url": url, "external_task_id": "mine"}}
    answer = httpx.post(f"{server.url}/kling/text-to-video/kling-2.6", json=body, headers=KEY)
    return str(answer.json()["data"]["id"])


def statuses(letters: Any, count: int) -> list[str]:
    """Wait for so many letters; return what they say."""
    return [json.loads(letters.get(timeout=10)[1])["status"] for _ in range(count)]


def test_every_change_is_told_and_signed(door: tuple[str, Any]) -> None:
    """Bare records, in order, with Standard-Webhooks headers where a secret is set."""
    url, letters = door
    with sandbox_server(seconds_per_job=100, webhook_secret=SECRET) as server:
        task = create(server, url)
        headers, body = letters.get(timeout=10)
        assert json.loads(body)["id"] == task
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        wanted = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{wanted}"
        server.advance(30)
        assert statuses(letters, 1) == ["processing"]
        server.advance(80)
        headers, body = letters.get(timeout=10)
        record = json.loads(body)
        assert (record["status"], record["external_id"]) == ("succeeded", "mine")
        assert record["outputs"][0]["url"]


def test_they_are_lost_doubled_and_turned_round(door: tuple[str, Any]) -> None:
    """On demand; unsigned where no secret is set."""
    url, letters = door
    with sandbox_server(seconds_per_job=100) as server:
        server.fail("lose_webhook")
        create(server, url)
        server.advance(30)
        headers, body = letters.get(timeout=10)
        assert json.loads(body)["status"] == "processing"
        assert "webhook-signature" not in headers
        server.fail("double_webhook")
        server.advance(80)
        assert statuses(letters, 2) == ["succeeded", "succeeded"]


def test_nobody_beyond_this_machine_is_called() -> None:
    """The sandbox has no network."""
    with sandbox_server(seconds_per_job=0) as server:
        create(server, "https://example.com/called")
        assert server.charges()
