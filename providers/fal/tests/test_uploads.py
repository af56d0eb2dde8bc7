"""Uploads through fal's client, with the key kept at home; loops and threads; what stays open."""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import os
import re
import threading
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from onetake import Asset, GenerationRequest, get_provider
from onetake.assets import LoadedAsset
from onetake.errors import ConfigurationError
from onetake.settings import Settings
from onetake.testing import SandboxServer
from onetake.testing.suite import sample_picture
from onetake_fal.client import KeyGuard

from .running import run

PICTURE = sample_picture(640, 640)
IMAGE = GenerationRequest("a lake", model="kling-v2-master-image", reference_assets=[PICTURE])


def sent(server: SandboxServer) -> list[Any]:
    """Return the bodies of the submissions."""
    return [item["body"] for item in server.requests(method="POST", path="/fal/queue")]


async def twice(fal: Any) -> None:
    """Ask for the same twice."""
    for _ in range(2):
        await fal.submit(IMAGE)


def test_each_job_has_an_upload_of_its_own(server: SandboxServer, tmp_path: Path) -> None:
    """So that its body is unique, and a lost one can be found."""
    run(server, tmp_path, twice)
    first, second = (body["image_url"] for body in sent(server))
    assert first != second
    assert httpx.get(first).content == httpx.get(second).content


def test_uploads_can_be_shared(server: SandboxServer, tmp_path: Path) -> None:
    """By option: one upload for all jobs of this provider."""
    run(server, tmp_path, twice, shared_uploads=True)
    assert len({body["image_url"] for body in sent(server)}) == 1
    assert len(server.requests(path="/fal/cdn/files/upload")) == 1


def test_small_pictures_can_go_into_the_request(server: SandboxServer, tmp_path: Path) -> None:
    """By option: no upload, no token; the ledger keeps the bytes once, and the job is delivered."""
    result = run(server, tmp_path, lambda fal: fal.generate(IMAGE), inline_below=1_000_000)
    [body] = sent(server)
    assert re.fullmatch(r"<\d{5} characters>", body["image_url"]), (
        "the sandbox keeps no inline file"
    )
    assert not server.requests(path="/fal/rest")
    assert result.artifacts


def upload(server: SandboxServer, home: Path, data: bytes) -> str:
    """Upload a file with the driver."""
    digest = hashlib.sha256(data).hexdigest()
    loaded = LoadedAsset(None, "video", "video/mp4", "b.mp4", digest, data)

    async def work(fal: Any) -> str:
        async with fal._engine() as engine:
            return str(await engine.driver.upload(loaded))

    return str(run(server, home, work))


@pytest.mark.capabilities
def test_large_files_go_in_parts(server: SandboxServer, tmp_path: Path) -> None:
    """Above 100 MB, ten at a time; the file is whole."""
    data = os.urandom(1 << 20) * 101
    url = upload(server, tmp_path, data)
    assert hashlib.sha256(httpx.get(url).content).digest() == hashlib.sha256(data).digest()
    parts = server.requests(method="PUT", path="/multipart/")
    assert len(parts) == 11


def test_the_second_storage_is_tried_without_the_key(server: SandboxServer, tmp_path: Path) -> None:
    """fal-client sends its key to whatever place it is told; here it stays at home."""
    server.fail("http_500", path="/fal/cdn/files/upload", times=100)
    url = upload(server, tmp_path, b"film" * 100)
    assert httpx.get(url).content == b"film" * 100
    [put] = server.requests(method="PUT", path="/fal/cdn/put/")
    assert "authorization" not in put["headers"]


@pytest.mark.parametrize("host", ["storage.example.com", "queue.fal.run.example.com"])
def test_the_key_never_leaves_for_a_stranger(host: str) -> None:
    """A file may be put there, without it; nothing else goes there with it."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    async def main() -> None:
        guard = KeyGuard(httpx.MockTransport(answer))
        key = {"Authorization": "Key secret:key"}
        async with httpx.AsyncClient(transport=guard, headers=key) as client:
            await client.put(f"https://{host}/file", content=b"x")
            with pytest.raises(ConfigurationError, match=host):
                await client.get(f"https://{host}/status")

    anyio.run(main)
    assert ["authorization" in request.headers for request in seen] == [False]


def test_a_file_that_nobody_takes_is_told_before_anything_is_sent(
    server: SandboxServer, tmp_path: Path
) -> None:
    """Both storages are down: no submission."""
    for path in ("/fal/cdn/files/upload", "/fal/rest/storage/upload"):
        server.fail("http_500", path=path, times=100)
    with pytest.raises(Exception, match="fal answered HTTP 500"):
        run(server, tmp_path, lambda fal: fal.submit(IMAGE))
    assert not sent(server)


# ── event loops, threads, and what stays open ──


def opened() -> tuple[int, int]:
    """Return how many sockets and threads there are; the sandbox's server has workers, too."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("sockets are counted in /proc")
    links = [str(link.readlink()) for link in folder.iterdir() if link.is_symlink()]
    threads = [one.name for one in threading.enumerate() if not one.name.startswith("AnyIO")]
    return sum(link.startswith("socket:") for link in links), len(threads)


def test_one_provider_in_many_loops_and_threads(server: SandboxServer, tmp_path: Path) -> None:
    """fal-client's own client breaks in the second loop; ours is made anew for each."""
    settings = Settings(home=tmp_path, sandbox_seconds_per_job=0.0)
    fal = get_provider("fal", sandbox=server.url, settings=settings)
    made = Asset(PICTURE, role="first_frame")
    request = GenerationRequest("a lake", model="kling-v2-master-image", reference_assets=[made])

    async def work() -> str:
        return (await fal.generate(request)).job.id

    asyncio.run(work())  # what is loaded once is loaded now
    before = opened()
    ids = [asyncio.run(work()) for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        ids += [job.result() for job in [pool.submit(asyncio.run, work()) for _ in range(4)]]
    assert len(set(ids)) == 6
    assert opened() <= before, "sockets or threads were left open"
    assert len(server.charges()) == 7
