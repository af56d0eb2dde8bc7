"""Paths of the official Kling API."""

from __future__ import annotations

import datetime
import functools
import json
import mimetypes
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from onetake.sandbox import Sandbox, SandboxTask
from onetake.sandbox.app import own_url
from onetake_kling.sandbox import (
    access,
    audio,
    books,
    callbacks,
    images,
    library,
    records,
    special,
    video_new,
    video_old,
)
from onetake_kling.sandbox.answers import Refusal, invalid, success
from onetake_kling.sandbox.fields import unreadable
from onetake_kling.sandbox.orders import Order, at_once, create

MOST_IDS = 20
_SLASHES = re.compile("/{2,}")
Handler = Callable[[Sandbox, Request], Awaitable[Response]]
Reader = Callable[[Sandbox, Mapping[str, Any]], Order]

CREATES: Mapping[str, Reader] = {
    **{
        f"/v1/videos/{task}": functools.partial(
            lambda task, sandbox, body: video_old.order(sandbox, task, body), task
        )
        for task in ("text2video", "image2video", "multi-image2video")
    },
    "/v1/videos/omni-video": video_old.omni,
    "/v1/videos/motion-control": video_old.motion,
    "/v1/videos/avatar/image2video": special.avatar,
    "/v1/videos/effects": special.effects,
    "/v1/videos/advanced-lip-sync": special.lip_sync,
    "/v1/videos/lip-sync": special.old_lip_sync,
    "/v1/videos/video-extend": special.extend,
    "/v1/videos/multi-elements": special.edit,
    "/v1/images/generations": images.generations,
    "/v1/images/omni-image": images.omni,
    "/v1/images/multi-image2image": images.several,
    "/v1/images/editing/expand": images.expand,
    "/v1/images/kolors-virtual-try-on": images.try_on,
    "/v1/general/ai-multi-shot": images.views,
    "/v1/audio/text-to-audio": audio.from_text,
    "/v1/audio/video-to-audio": audio.from_video,
    "/v1/general/custom-voices": audio.voice,
    "/v1/general/advanced-custom-elements": audio.element,
}
"""Old creates: what reads the body of each. Tasks are listed and shown under the same paths."""

AT_ONCE: Mapping[str, Callable[[Sandbox, Mapping[str, Any]], tuple[Order, dict[str, Any]]]] = {
    "/v1/videos/identify-face": special.identify_face,
    "/v1/videos/image-recognize": images.recognise,
    "/v1/audio/tts": lambda sandbox, body: (audio.speech(sandbox, body), {}),
}
"""Synchronous calls: what reads the body, and what the answer holds."""

_NEWER = {"/v1/videos/text2video": "/text-to-video/", "/v1/videos/image2video": "/image-to-video/"}
SELECTIONS = ("init", "add", "delete", "clear", "preview")


def routes(sandbox: Sandbox) -> Sequence[BaseRoute]:
    """Return the dialect's routes, under ``/kling``."""

    def route(path: str, handler: Handler, *methods: str, new_api: bool = False) -> list[Route]:
        endpoint = functools.partial(_serve, sandbox, handler, new_api)
        return [Route(p, endpoint, methods=list(methods)) for p in (path, f"{path}/")]

    new = functools.partial(route, new_api=True)
    inner: list[BaseRoute] = [
        *new("/tasks", functools.partial(_show, "/tasks"), "GET"),
        *new("/tasks", functools.partial(_page, "/tasks"), "POST"),
        *new("/solutions", functools.partial(_show, "/solutions"), "GET"),
        *new("/solutions", functools.partial(_page, "/solutions"), "POST"),
        *new("/solutions/{name}", _create_solution, "POST"),
        *route("/account/costs", _costs, "GET"),
        *route("/account/billing/package", _deducted, "POST"),
        *route("/account/billing/balance", _nothing_in_cash, "POST"),
    ]
    for path, read_at_once in AT_ONCE.items():
        inner += route(path, functools.partial(_answer_at_once, read_at_once), "POST")
    for step in SELECTIONS:
        path = f"/v1/videos/multi-elements/{step}-selection"
        inner += route(path, functools.partial(_select, f"{step}-selection"), "POST")
    for kind in ("voices", "elements"):
        prefix = "advanced-" if kind == "elements" else ""
        inner += route(f"/v1/general/{prefix}presets-{kind}", _presets(kind), "GET")
        for name in {f"delete-{prefix}{kind}", f"delete-{kind}"}:
            inner += route(f"/v1/general/{name}", _deletes(kind), "POST")
    for path, read in CREATES.items():
        inner += route(path, functools.partial(_create_old, read), "POST")
        inner += route(path, functools.partial(_list_old, path), "GET")
        inner += route(f"{path}/{{id}}", functools.partial(_get_old, path), "GET")
    for family in video_new.FAMILIES:
        inner += new(f"/{family}/{{model}}", functools.partial(_create_new, family), "POST")
    everything = ["GET", "POST", "PUT", "DELETE", "PATCH"]
    nowhere = functools.partial(_nowhere, sandbox, tuple(inner))
    inner.append(Route("/cdn/{id}/{name}", functools.partial(_file, sandbox)))
    inner.append(Route("/{path:path}", nowhere, methods=everything))
    return [Mount("/kling", routes=inner, middleware=[Middleware(_SingleSlashes)])]


class _SingleSlashes:
    """Takes several slashes for one: the vendor's own ComfyUI node asks for try-ons with two."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app({**scope, "path": _SLASHES.sub("/", scope["path"])}, receive, send)


async def _nowhere(sandbox: Sandbox, known: Sequence[BaseRoute], request: Request) -> Response:
    """A path or method that does not exist; of a path the server itself tells (seen 2025-06-14)."""
    path = "/" + request.path_params["path"].rstrip("/")
    if any(route.matches(request.scope)[0] is Match.PARTIAL for route in known):
        return Refusal(1202, "The request method is invalid").response()
    now = datetime.datetime.fromtimestamp(sandbox.clock.now(), datetime.UTC)
    told = {"status": 404, "error": "Not Found", "message": "No message available", "path": path}
    moment = now.isoformat(timespec="milliseconds").replace("+00:00", "+0000")
    return JSONResponse({"timestamp": moment, **told}, 404)


async def _serve(sandbox: Sandbox, handler: Handler, new_api: bool, request: Request) -> Response:
    try:
        access.check(request.headers.get("authorization"), sandbox.clock.now(), new_api=new_api)
        return await handler(sandbox, request)
    except Refusal as refusal:
        return refusal.response()
    except (AttributeError, KeyError, TypeError, ValueError):
        return unreadable().response()


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise unreadable() from None
    if not isinstance(body, dict):
        raise unreadable()
    return body


def _accept(sandbox: Sandbox, request: Request, body: Mapping[str, Any], order: Order) -> Response:
    library.check_things(sandbox, body)
    task = create(sandbox, order)
    callbacks.announce(sandbox, task, own_url(request))
    return success(records.created(task))


async def _create_new(family: str, sandbox: Sandbox, request: Request) -> Response:
    model = request.path_params["model"]
    model = video_new.OTHER_NAMES.get((family, model), model)
    body = await _body(request)
    return _accept(sandbox, request, body, video_new.order(sandbox, family, model, body))


async def _create_solution(sandbox: Sandbox, request: Request) -> Response:
    body = await _body(request)
    order = images.solution(sandbox, request.path_params["name"], body)
    return _accept(sandbox, request, body, order)


async def _create_old(read: Reader, sandbox: Sandbox, request: Request) -> Response:
    body = await _body(request)
    return _accept(sandbox, request, body, read(sandbox, body))


async def _answer_at_once(
    read: Callable[[Sandbox, Mapping[str, Any]], tuple[Order, dict[str, Any]]],
    sandbox: Sandbox,
    request: Request,
) -> Response:
    order, told = read(sandbox, await _body(request))
    task = at_once(sandbox, order)
    base = own_url(request)
    if order.kind == "speech":
        record = records.old_record(task, task.ends_at, base)
        record.pop("task_info")
        return success(record)
    linked = _linked(told, task, base)
    if task.units:
        linked["final_unit_deduction"] = task.units
    return success(linked)


def _linked(told: Any, task: SandboxTask, base: str) -> Any:
    """Put links in the place of file names."""
    names = {item["name"] for item in task.files}
    if isinstance(told, dict):
        return {key: _linked(value, task, base) for key, value in told.items()}
    if isinstance(told, list):
        return [_linked(value, task, base) for value in told]
    return records.file_url(task, told, base) if isinstance(told, str) and told in names else told


async def _select(step: str, sandbox: Sandbox, request: Request) -> Response:
    return success(special.select(sandbox, step, await _body(request)))


def _presets(kind: str) -> Handler:
    async def listed(sandbox: Sandbox, request: Request) -> Response:
        return success(_paged(request, library.presets(sandbox, kind), most=1000))

    return listed


def _deletes(kind: str) -> Handler:
    async def delete(sandbox: Sandbox, request: Request) -> Response:
        return success(library.delete(sandbox, kind, await _body(request)))

    return delete


def _belongs(task: SandboxTask, path: str) -> bool:
    """Say whether a task is shown at ``/tasks`` or at ``/solutions``."""
    solution = bool(task.extra["generation"] == "solution")
    return solution == (path == "/solutions")


async def _show(path: str, sandbox: Sandbox, request: Request) -> Response:
    ids = _ids(request, "task_ids")
    external = _ids(request, "external_task_ids")
    if not ids and not external:
        raise invalid("task_ids or external_task_ids is required")
    if ids and external:
        raise invalid("task_ids and external_task_ids cannot be used together")
    if len(ids) + len(external) > MOST_IDS:
        raise invalid("task_ids and external_task_ids cannot exceed 20 in total")
    found = [sandbox.store.task("kling", item) for item in ids]
    found += [sandbox.store.task_by_external_id("kling", item) for item in external]
    now, base = sandbox.now(), own_url(request)
    shown = [task for task in found if task is not None and _belongs(task, path)]
    return success([records.new_record(task, now, base) for task in shown])


def _ids(request: Request, name: str) -> list[str]:
    return [item for item in request.query_params.get(name, "").split(",") if item]


async def _page(path: str, sandbox: Sandbox, request: Request) -> Response:
    body = await _body(request)
    limit, start = int(body.get("limit") or 100), int(body.get("cursor") or 0)
    now = sandbox.now()
    tasks = [task for task in sandbox.store.tasks("kling") if _belongs(task, path)]
    tasks = [task for task in tasks if _in_window(task, body, now)]
    tasks = [task for task in tasks if _passes(task, body.get("filters") or (), now)]
    page = tasks[start : start + max(1, min(limit, 500))]
    more = start + len(page) < len(tasks)
    data: dict[str, Any] = {"count": len(page), "has_more": more}
    if page:
        data["result"] = [records.new_record(task, now, own_url(request)) for task in page]
    if more:
        data["next_cursor"] = str(start + len(page))
    return success(data)


def _in_window(task: SandboxTask, body: dict[str, Any], now: float) -> bool:
    if body.get("cursor"):
        return True
    start = int(body.get("start_time") or (now - records.KEPT_SECONDS) * 1000)
    end = int(body.get("end_time") or (now + 1) * 1000)
    return start <= task.accepted_at * 1000 < end


def _passes(task: SandboxTask, filters: Sequence[dict[str, Any]], now: float) -> bool:
    phase = task.phase(now)
    words = {records.WORDS_NEW.get(phase, phase), records.WORDS_OLD.get(phase, phase)}
    facts = {"status": words, "product_type": {(task.pack or "").replace("-", "_")}}
    return all(_shares(facts, item) for item in filters)


def _shares(facts: Mapping[str, set[str]], wanted: Mapping[str, Any]) -> bool:
    return bool(facts.get(wanted.get("key", ""), set()) & set(wanted["values"]))


async def _get_old(path: str, sandbox: Sandbox, request: Request) -> Response:
    task_id = request.path_params["id"]
    found = sandbox.store.task("kling", task_id) or sandbox.store.task_by_external_id(
        "kling", task_id
    )
    if found is None or not _of_product(found, path):
        raise invalid(f"Task not found by id/external id: {task_id}")
    return success(records.old_record(found, sandbox.now(), own_url(request)))


def _of_product(task: SandboxTask, path: str) -> bool:
    """The old paths show tasks of their own product, of both generations where it is the same."""
    return task.endpoint == path or task.endpoint.startswith(_NEWER.get(path, "-"))


async def _list_old(path: str, sandbox: Sandbox, request: Request) -> Response:
    tasks = [task for task in sandbox.store.tasks("kling") if _of_product(task, path)]
    now, base = sandbox.now(), own_url(request)
    chosen = _paged(request, tasks[::-1], most=1000 if "voices" in path else 500)
    return success([records.old_record(task, now, base) for task in chosen])


def _paged(request: Request, rows: list[Any], *, most: int) -> list[Any]:
    page = _number(request, "pageNum", 1, 1000)
    size = _number(request, "pageSize", 30, most)
    return rows[(page - 1) * size : page * size]


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise invalid(f"{name} value '{text}' is invalid")
    return int(text)


async def _costs(sandbox: Sandbox, request: Request) -> Response:
    return success(books.costs(sandbox, request.query_params))


async def _deducted(sandbox: Sandbox, request: Request) -> Response:
    return success(books.deducted(sandbox, await _body(request)))


async def _nothing_in_cash(sandbox: Sandbox, request: Request) -> Response:
    """The sandbox pays with packs alone."""
    await _body(request)
    return success({"result": {"detail": [], "count": 0}, "has_more": False})


async def _file(sandbox: Sandbox, request: Request) -> Response:
    task, name = sandbox.store.task("kling", request.path_params["id"]), request.path_params["name"]
    media = None if task is None else records.media_of(task, name)
    if task is None or media is None or task.phase(sandbox.now()) != "succeeded":
        return Response(status_code=404)
    expires = request.query_params.get("Expires", "0")
    if not expires.isdigit() or int(expires) < sandbox.now():
        return Response("<Error><Code>AccessDenied</Code></Error>", 403)
    kind = mimetypes.guess_type(name)[0]
    return FileResponse(await sandbox.film(media), media_type=kind)
