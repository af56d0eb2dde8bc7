"""fal's storage, as both official clients use it."""

from __future__ import annotations

import datetime
import functools
import json
import secrets
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from onetake.sandbox import Sandbox
from onetake.sandbox.app import own_url

TOKEN_SECONDS = 3600
STORAGE_TYPES = ("fal-cdn-v3", "gcs", "cdn")
"""Two reports of 2026 say that ``gcs`` is refused now; fal-client 1.0.3 still falls back to it."""


class Storage:
    """Uploads of one sandbox. Half-done ones live in memory."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._tokens: set[str] = set()
        self._parts: dict[str, dict[int, bytes]] = {}
        self._waiting: dict[str, tuple[str, str]] = {}

    def rest_routes(self) -> Sequence[BaseRoute]:
        """Return the routes of rest.fal.ai; the caller has checked the key."""
        return [
            Route("/storage/auth/token", self.token, methods=["POST"]),
            Route("/storage/upload/initiate", self.initiate, methods=["POST"]),
            Route("/storage/upload/initiate-multipart", self.initiate, methods=["POST"]),
            Route("/tokens/", self.realtime_token, methods=["POST"]),
            Route("/tokens/realtime", self.realtime_access, methods=["POST"]),
        ]

    def cdn_routes(self) -> Sequence[BaseRoute]:
        """Return the routes of v3.fal.media."""
        upload = functools.partial(Route, methods=["POST"])
        return [
            upload("/files/upload", self.upload),
            upload("/files/upload/multipart", self.multipart),
            Route("/files/{id}/{name}/multipart/{upload}/{part:int}", self.part, methods=["PUT"]),
            upload("/files/{id}/{name}/multipart/{upload}/complete", self.complete),
            Route("/put/{id}", self.put, methods=["PUT"]),
            Route("/put/{id}/{part:int}", self.part, methods=["PUT"]),
            upload("/put/{id}/complete", self.complete),
            Route("/files/{id}/{name}", self.read),
        ]

    async def token(self, request: Request) -> Response:
        """Give an upload token (Python client)."""
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=TOKEN_SECONDS)
        body = {
            "token": token,
            "token_type": "Bearer",
            "base_url": f"{own_url(request)}/fal/cdn",
            "expires_at": ends.isoformat(),
        }
        return JSONResponse(body)

    async def realtime_token(self, request: Request) -> Response:
        """Give a realtime token; the sandbox has no realtime endpoint to use it on."""
        return JSONResponse(secrets.token_urlsafe(24))

    async def realtime_access(self, request: Request) -> Response:
        """The same, for the newer question (fal's documentation, 2026)."""
        return JSONResponse({"token": secrets.token_urlsafe(24)})

    async def initiate(self, request: Request) -> Response:
        """Name the place for an upload (JavaScript client, and Python's fallback)."""
        try:
            wanted = json.loads(await request.body() or b"{}")
        except ValueError:
            wanted = None
        if not isinstance(wanted, dict):
            return JSONResponse({"detail": "the body must be a JSON object"}, 422)
        if request.query_params.get("storage_type", "fal-cdn-v3") not in STORAGE_TYPES:
            return JSONResponse({"detail": "Invalid storage type"}, 400)
        file_id = secrets.token_hex(16)
        name = _name(wanted.get("file_name"))
        media_type = str(wanted.get("content_type") or "application/octet-stream")
        self._waiting[file_id] = (name, media_type)
        base = own_url(request)
        return JSONResponse(
            {
                "upload_url": f"{base}/fal/cdn/put/{file_id}?signature=sandbox",
                "file_url": f"{base}/fal/cdn/files/{file_id}/{name}",
            }
        )

    async def put(self, request: Request) -> Response:
        """Take the bytes of an initiated upload; needs no key, the URL is signed."""
        file_id = request.path_params["id"]
        if file_id not in self._waiting:
            return JSONResponse({"detail": "unknown upload"}, 404)
        name, media_type = self._waiting.pop(file_id)
        self._sandbox.store.add_file(file_id, await request.body(), media_type, name)
        return Response(status_code=200, headers={"etag": f'"{file_id}"'})

    async def upload(self, request: Request) -> Response:
        """Take a whole file (Python client)."""
        if not self._may(request):
            return _unauthorised()
        file_id = secrets.token_hex(16)
        name = _name(request.headers.get("x-fal-file-name"))
        media_type = request.headers.get("content-type", "application/octet-stream")
        self._sandbox.store.add_file(file_id, await request.body(), media_type, name)
        url = f"{own_url(request)}/fal/cdn/files/{file_id}/{name}"
        return JSONResponse({"access_url": url, "url": url})

    async def multipart(self, request: Request) -> Response:
        """Begin an upload in parts (Python client)."""
        if not self._may(request):
            return _unauthorised()
        file_id = secrets.token_hex(16)
        name = _name(request.headers.get("x-fal-file-name"))
        media_type = request.headers.get("content-type", "application/octet-stream")
        self._waiting[file_id] = (name, media_type)
        url = f"{own_url(request)}/fal/cdn/files/{file_id}/{name}"
        return JSONResponse({"access_url": url, "uploadId": secrets.token_hex(8)})

    async def part(self, request: Request) -> Response:
        """Take one part; Python reads the header, JavaScript the body."""
        file_id, number = request.path_params["id"], int(request.path_params["part"])
        if file_id not in self._waiting:
            return JSONResponse({"detail": "unknown upload"}, 404)
        self._parts.setdefault(file_id, {})[number] = await request.body()
        etag = secrets.token_hex(8)
        body: dict[str, Any] = {"partNumber": number, "etag": etag}
        return JSONResponse(body, headers={"etag": f'"{etag}"'})

    async def complete(self, request: Request) -> Response:
        """Put the parts together."""
        file_id = request.path_params["id"]
        parts = self._parts.pop(file_id, None)
        if file_id not in self._waiting or parts is None:
            return JSONResponse({"detail": "unknown upload"}, 404)
        name, media_type = self._waiting.pop(file_id)
        data = b"".join(parts[number] for number in sorted(parts))
        self._sandbox.store.add_file(file_id, data, media_type, name)
        return JSONResponse({"file_url": f"{own_url(request)}/fal/cdn/files/{file_id}/{name}"})

    async def read(self, request: Request) -> Response:
        """Give an uploaded file back."""
        found = self._sandbox.store.file(request.path_params["id"])
        if found is None:
            return JSONResponse({"detail": "not found"}, 404)
        path, media_type, _ = found
        return FileResponse(path, media_type=media_type)

    def _may(self, request: Request) -> bool:
        return request.headers.get("authorization", "").removeprefix("Bearer ") in self._tokens


def _name(text: str | None) -> str:
    return PurePosixPath(text or "upload.bin").name.replace(" ", "_") or "upload.bin"


def _unauthorised() -> Response:
    return JSONResponse({"detail": "Invalid upload token"}, 401)
