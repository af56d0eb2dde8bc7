"""Sorting failures by where they happened, against real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import anyio
import httpx
import pytest

from onetake import ConfigurationError, ProviderUnavailable, SubmissionUnknown
from onetake.errors import NotSent
from onetake.http import AtMostOnce, Rerouted, build_client, judge_submission, retry_after, world

Behaviour = Callable[[socket.socket], None]


@contextlib.contextmanager
def raw_server(behave: Behaviour) -> Iterator[tuple[str, list[bytes]]]:
    """Accept connections, read each request whole, then behave as told; counts requests."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                data = b""
                while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < 2:
                    data += connection.recv(65536)
                seen.append(data)
                behave(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        listener.close()
        thread.join(0.2)


def reset(connection: socket.socket) -> None:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def say(text: str) -> Behaviour:
    """Answer with raw text and close."""
    return lambda connection: connection.sendall(text.encode())


HALF = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"id":'
UNKNOWN: dict[str, Behaviour] = {
    "closes": lambda connection: None,
    "resets": reset,
    "half an answer": say(HALF),
    "no HTTP": say("hello\r\n\r\n"),
}


def post(url: str, timeout: float = 5.0, backend: str = "asyncio") -> object:
    """POST two bytes through the at-most-once transport."""

    async def main() -> object:
        once = AtMostOnce(world(), provider="test", is_submission=lambda r: r.method == "POST")
        async with build_client(once, timeout=timeout) as client:
            return await client.post(url, content=b"{}")

    return anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", UNKNOWN)
def test_after_the_first_byte_the_outcome_is_unknown(name: str, backend: str) -> None:
    """One POST, and SubmissionUnknown, whatever the server does after reading it."""
    with raw_server(UNKNOWN[name]) as (url, seen):
        with pytest.raises(SubmissionUnknown) as caught:
            post(url, backend=backend)
        assert len(seen) == 1
    assert caught.value.task_state == "may_exist"


def test_a_hanging_server_is_unknown() -> None:
    """A timeout while waiting for the answer says nothing about the job."""
    stop = threading.Event()
    with raw_server(lambda connection: stop.wait(5) and None) as (url, seen):
        with pytest.raises(SubmissionUnknown):
            post(url, timeout=0.2)
        stop.set()
        assert len(seen) == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_before_the_first_byte_nothing_was_sent(backend: str) -> None:
    """No connection, no name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NotSent) as caught:
        post(f"http://127.0.0.1:{port}", backend=backend)
    assert caught.value.error.task_state == "not_created"


def test_reads_are_never_unknown_submissions() -> None:
    """A failed GET is only that."""

    async def main(url: str) -> None:
        once = AtMostOnce(world(), provider="test", is_submission=lambda r: r.method == "POST")
        async with build_client(once, timeout=5) as client:
            await client.get(url, params={"padding": "x"})

    with raw_server(lambda connection: None) as (url, _), pytest.raises(ProviderUnavailable):
        anyio.run(main, url)


def answer(status: int, **kwargs: object) -> httpx.Response:
    """Make a response."""
    return httpx.Response(status, request=httpx.Request("POST", "https://v.example"), **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 409, 301, 302, 307, 308])
def test_answers_that_do_not_say_no(status: int) -> None:
    """They leave the outcome unknown, even with a JSON body."""
    with pytest.raises(SubmissionUnknown, match=str(status)):
        judge_submission(answer(status, json={"detail": "x"}), "test")


def test_answers_that_can_be_read() -> None:
    """2xx must be JSON; 4xx may be anything."""
    assert judge_submission(answer(200, json={"id": 1}), "test") == {"id": 1}
    assert judge_submission(answer(422, json={"detail": "x"}), "test") == {"detail": "x"}
    assert judge_submission(answer(400, text="<html>"), "test") == {}
    for body in ("{", "", "[1]", "null"):
        with pytest.raises(SubmissionUnknown, match="unreadable"):
            judge_submission(answer(200, text=body), "test")


def test_retry_after_in_both_forms() -> None:
    """Seconds and dates; nonsense is ignored."""
    assert retry_after(answer(429, headers={"retry-after": "7"}), 0) == 7
    date = "Thu, 01 Jan 1970 00:01:00 GMT"
    assert retry_after(answer(429, headers={"retry-after": date}), 0) == 60
    assert retry_after(answer(429, headers={"retry-after": "soon"}), 0) is None
    assert retry_after(answer(429), 0) is None


def test_the_sandbox_reaches_no_stranger() -> None:
    """A host outside the table is refused, the sandbox's own URLs pass."""
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.url} {request.headers['host']}")
        return httpx.Response(200)

    async def main() -> None:
        inner = httpx.MockTransport(handler)
        rerouted = Rerouted(inner, "http://127.0.0.1:1", {"queue.fal.run": "/fal/queue"})
        async with build_client(rerouted, timeout=5) as client:
            await client.get("https://queue.fal.run/a/b?c=1")
            await client.get("http://127.0.0.1:1/x")
            with pytest.raises(ConfigurationError, match=r"evil\.example"):
                await client.get("https://evil.example/")

    anyio.run(main)
    assert seen == [
        "http://127.0.0.1:1/fal/queue/a/b?c=1 127.0.0.1:1",
        "http://127.0.0.1:1/x 127.0.0.1:1",
    ]
