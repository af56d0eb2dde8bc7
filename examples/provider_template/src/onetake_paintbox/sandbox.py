"""Paintbox's API, emulated. Written from the vendor's pages, not from our driver."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from onetake.sandbox import Sandbox, SandboxTask
from onetake.sandbox.app import own_url
from onetake.sandbox.media.film import Film, frame_size, ratio_of
from onetake.sandbox.media.motion import read_motion
from onetake.sandbox.store import DuplicateExternalId
from onetake.sandbox.tasks import outcome_of, seconds_of

KEY = "sandbox"
DURATIONS, SHAPES = (4, 8), ("16:9", "1:1")
RATE = Decimal("0.05")
STATES = {"queued": "waiting", "running": "painting", "succeeded": "done", "failed": "failed"}


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the dialect's routes, under ``/paintbox``."""
    films = Films(sandbox)
    return [
        Mount(
            "/paintbox",
            routes=[
                Route("/v1/films", films.create, methods=["POST"]),
                Route("/v1/films/by-client-id/{client_id}", films.find),
                Route("/v1/films/{id}", films.show),
                Route("/v1/account", films.account),
                Route("/files/{id}.mp4", films.file),
            ],
        )
    ]


def refuse(status: int, code: str, message: str) -> Response:
    """Return a refusal."""
    return JSONResponse({"code": code, "message": message}, status)


class Films:
    """The vendor's films."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def create(self, request: Request) -> Response:
        """Accept a film, or refuse it."""
        if request.headers.get("x-paintbox-key") != KEY:
            return refuse(401, "bad_key", "the key is not valid")
        try:
            body = json.loads(await request.body())
        except ValueError:
            return refuse(400, "bad_request", "the body is not JSON")
        seconds, shape = body.get("seconds", 4), body.get("shape", "16:9")
        if body.get("model") != "one" or seconds not in DURATIONS or shape not in SHAPES:
            return refuse(400, "bad_request", "unknown model, seconds or shape")
        try:
            task = self._sandbox.accept(self._task(body, seconds, shape))
        except DuplicateExternalId:
            return refuse(400, "duplicate_client_id", "client_id exists already")
        return JSONResponse({"id": task.id, "state": "waiting"}, 201)

    def _task(self, body: dict[str, Any], seconds: int, shape: str) -> SandboxTask:
        settings, prompt = self._sandbox.settings, str(body.get("prompt", ""))
        width, height = frame_size("720p", ratio_of(shape))
        film = Film(
            width=width,
            height=height,
            seconds=seconds,
            fps=24,
            prompt=prompt,
            label="paintbox one",
            motion=read_motion(prompt),
            fast=settings.media == "fast",
        )
        return SandboxTask(
            id=f"film_{uuid.uuid4().hex}",
            provider="paintbox",
            model="one",
            endpoint="/v1/films",
            accepted_at=self._sandbox.now(),
            seconds=seconds_of(prompt, settings.seconds_per_job),
            outcome=outcome_of(prompt),
            prompt=prompt,
            external_id=body.get("client_id"),
            film=film.to_json(),
            amount=f"{RATE * seconds:f}",
        )

    async def show(self, request: Request) -> Response:
        """Show a film by id."""
        return self._answer(
            self._sandbox.store.task("paintbox", request.path_params["id"]), request
        )

    async def find(self, request: Request) -> Response:
        """Show a film by the caller's id."""
        client_id = request.path_params["client_id"]
        return self._answer(self._sandbox.store.task_by_external_id("paintbox", client_id), request)

    def _answer(self, task: SandboxTask | None, request: Request) -> Response:
        if request.headers.get("x-paintbox-key") != KEY:
            return refuse(401, "bad_key", "the key is not valid")
        if task is None:
            return refuse(404, "not_found", "no such film")
        phase = task.phase(self._sandbox.now())
        record: dict[str, Any] = {"id": task.id, "state": STATES[phase]}
        if phase == "succeeded":
            record |= {
                "file": f"{own_url(request)}/paintbox/files/{task.id}.mp4",
                "cost": task.amount,
            }
        if phase == "failed":
            content = task.outcome == "moderation"
            record |= {"code": "content" if content else "broken", "reason": "it did not work out"}
        return JSONResponse(record)

    async def account(self, request: Request) -> Response:
        """Show the account."""
        if request.headers.get("x-paintbox-key") != KEY:
            return refuse(401, "bad_key", "the key is not valid")
        return JSONResponse({"name": "sandbox"})

    async def file(self, request: Request) -> Response:
        """Serve a film's file."""
        task = self._sandbox.store.task("paintbox", request.path_params["id"])
        if task is None or task.phase(self._sandbox.now()) != "succeeded":
            return Response(status_code=404)
        return FileResponse(await self._sandbox.film(task.film), media_type="video/mp4")
