"""Delivery: from the vendor's link to a whole, measured file of our own.

A file is streamed to a temporary name, resumed where it broke off, checked, hashed, flushed,
and only then named after its content. A failure here never fails the job: it stays
``succeeded`` and can be resumed, because it is paid.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import anyio
import anyio.to_thread
import httpx

from onetake.clock import Clock
from onetake.driver import Driver, Missing, RemoteFile, Snapshot
from onetake.engine import pacing
from onetake.engine.journal import Journal
from onetake.engine.measuring import measure
from onetake.engine.traffic import Traffic
from onetake.errors import DeliveryError, OnetakeError
from onetake.files import sha256_of, sync_folder, temporary_name
from onetake.http import build_client
from onetake.job import Delivery
from onetake.ledger import contents
from onetake.ledger.records import JobRecord
from onetake.result import Artifact

log = logging.getLogger("onetake.engine")
ATTEMPTS = 5


class _Expired(Exception):
    """The link no longer works."""


class _Lost(Exception):
    """The vendor no longer has the file."""


class Deliverer:
    """Downloads the outputs of finished jobs into the managed media folder."""

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        transport: httpx.AsyncBaseTransport,
        folder: Path,
        clock: Clock,
        timeout: float,
        traffic: Traffic,
    ) -> None:
        self._traffic = traffic
        self._driver = driver
        self._journal = journal
        self._folder = folder
        self._clock = clock
        # a length can only be checked if the file comes as it is
        self._client = build_client(
            transport, timeout=timeout, headers={"Accept-Encoding": "identity"}
        )
        self._client.follow_redirects = True  # links of CDNs may redirect; nothing is paid here

    async def deliver(self, record: JobRecord) -> JobRecord:
        """Fetch every output of a succeeded job.

        Raises:
            DeliveryError: not possible now; the job stays ``succeeded``.
        """
        try:
            async with self._traffic.downloads:
                artifacts = await self._fetch_all(record)
        except _Lost as lost:
            error = record.told(_gone(record, lost))
            return await self._journal.move(record, "lost", delivery=Delivery.LOST, error=error)
        except (OnetakeError, OSError) as error:
            raise self._failed(record, error) from error
        told = [artifact.to_json() for artifact in artifacts]
        return await self._journal.move(
            record,
            "delivered",
            also=lambda connection, changed: contents.keep(connection, changed.id, told),
            delivery=Delivery.DELIVERED,
            error=None,
            artifacts=told,
        )

    async def _fetch_all(self, record: JobRecord) -> list[Artifact]:
        await anyio.to_thread.run_sync(self._clear_up, record.id)
        if record.facts and not record.remote_files:
            return []  # it is the facts that were wanted
        fresh = record.remote_files or await self._fresh_links(record)
        try:
            return [await self._fetch(item, record.id) for item in fresh]
        except _Expired:
            fresh = await self._fresh_links(record)
        try:
            return [await self._fetch(item, record.id) for item in fresh]
        except _Expired as expired:
            ends = [item.expires_at for item in fresh if item.expires_at is not None]
            if ends and min(ends) < self._clock.now():
                raise _Lost(f"its links ended ({expired})") from expired
            raise DeliveryError(f"the vendor's link no longer works ({expired}).") from expired

    async def _fresh_links(self, record: JobRecord) -> tuple[RemoteFile, ...]:
        task = record.vendor_task
        answer = (await self._driver.look([task])).get(task.id)
        if isinstance(answer, Snapshot) and answer.outputs:
            return answer.outputs
        if isinstance(answer, Missing) and answer.final:
            raise _Lost("it no longer knows the task")
        raise DeliveryError("the vendor has finished the job but gives no link that works.")

    def _failed(self, record: JobRecord, error: Exception) -> DeliveryError:
        reason = error.message if isinstance(error, OnetakeError) else _os_reason(error)
        return DeliveryError(
            f"job {record.id} is finished and paid, but its file is not here yet: {reason}",
            provider=record.account.provider,
            job_id=record.id,
            token=record.token,
            hint=f"Run `onetake jobs resume {record.id}` to fetch it.",
        )

    def _clear_up(self, job_id: str) -> None:
        """Remove what a process that died while it downloaded left behind."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for part in self._folder.glob(f".{job_id}.*.part"):
            part.unlink(missing_ok=True)

    async def _fetch(self, remote: RemoteFile, job_id: str) -> Artifact:
        part = temporary_name(self._folder / job_id)
        try:
            await self._download(remote, part)
            return await anyio.to_thread.run_sync(self._store, remote, part)
        finally:
            part.unlink(missing_ok=True)

    async def _download(self, remote: RemoteFile, part: Path) -> None:
        """Stream to ``part``; after a break go on from where it broke."""
        for attempt in range(ATTEMPTS):
            try:
                if await self._stream(remote.url, part):
                    return
                reason = "the connection ended before the file was whole"
            except httpx.HTTPError as error:
                reason = f"{type(error).__name__}: {error}".rstrip(": ")
            log.info("download broke off (%s), attempt %d of %d", reason, attempt + 1, ATTEMPTS)
            if attempt + 1 < ATTEMPTS:
                await self._clock.sleep(pacing.backoff(attempt))
        raise DeliveryError(f"the download broke off {ATTEMPTS} times ({reason}).")

    async def _stream(self, url: str, part: Path) -> bool:
        have = _size(part)
        headers = {"Range": f"bytes={have}-"} if have else {}
        async with self._client.stream("GET", url, headers=headers) as response:
            if response.status_code in (401, 403, 404, 410):
                raise _Expired(f"HTTP {response.status_code}")
            if response.status_code not in (200, 206):
                raise httpx.HTTPError(f"HTTP {response.status_code}")
            expected = _expected_size(response, have)
            if response.status_code == 200:
                part.unlink(missing_ok=True)  # noqa: ASYNC240 - one quick call
            async with await anyio.open_file(part, "ab") as file:
                async for chunk in response.aiter_raw():  # as it comes: what is here stays here
                    await file.write(chunk)
        return expected is None or _size(part) == expected

    def _store(self, remote: RemoteFile, part: Path) -> Artifact:
        facts = measure(part, remote.media_type)
        digest = sha256_of(part)
        path = self._folder / digest[:2] / f"{digest}{facts.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
        return Artifact(
            path=path,
            url=remote.url,
            media_type=facts.media_type,
            bytes=path.stat().st_size,
            sha256=digest,
            width=facts.width,
            height=facts.height,
            duration=facts.duration,
            vendor_id=remote.vendor_id,
            name=remote.name,
        )

    async def aclose(self) -> None:
        """Close the download client."""
        await self._client.aclose()


def _gone(record: JobRecord, lost: _Lost) -> DeliveryError:
    provider = record.account.provider
    return DeliveryError(
        f"job {record.id} was paid, but {provider} no longer has its file: {lost}.",
        provider=provider,
        job_id=record.id,
        token=record.token,
        retryable=False,
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _expected_size(response: httpx.Response, have: int) -> int | None:
    length = response.headers.get("content-length")
    if length is None:
        return None
    return int(length) + (have if response.status_code == 206 else 0)


def _os_reason(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}."
    return str(error)
