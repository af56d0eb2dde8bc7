"""Paths of the official Kling API."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from onetake.sandbox import Sandbox, SandboxTask
from onetake.sandbox.app import own_url
from onetake_kling.sandbox import access, creating, records
from onetake_kling.sandbox.answers import Refusal, invalid, success

MOST_IDS = 20
Handler = Callable[[Sandbox, Request], Awaitable[Response]]


def routes(sandbox: Sandbox) -> Sequence[BaseRoute]:
    """Return the dialect's routes, under ``/kling``."""

    def route(path: str, handler: Handler, *methods: str, new_api: bool = False) -> list[Route]:
        endpoint = functools.partial(_serve, sandbox, handler, new_api)
        return [Route(p, endpoint, methods=list(methods)) for p in (path, f"{path}/")]

    new = functools.partial(route, new_api=True)
    return [
        Mount(
            "/kling",
            routes=[
                *new("/tasks", _get_tasks, "GET"),
                *new("/tasks", _post_tasks, "POST"),
                *route("/v1/videos/{task}", _create_old, "POST"),
                *route("/v1/videos/{task}", _list_old, "GET"),
                *route("/v1/videos/{task}/{id}", _get_old, "GET"),
                *route("/account/costs", _costs, "GET"),
                Route("/cdn/{id}/{name}", functools.partial(_video, sandbox)),
                *new("/{task}/{model}", _create_new, "POST"),
                Route("/{path:path}", _nowhere, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
            ],
        )
    ]


async def _nowhere(request: Request) -> Response:
    """A path or method that does not exist."""
    known = request.url.path.rstrip("/").endswith("/tasks") or "/v1/videos/" in request.url.path
    if known:
        return Refusal(1202, "The request method is invalid").response()
    return Refusal(1203, "The requested resource does not exist").response()


async def _serve(sandbox: Sandbox, handler: Handler, new_api: bool, request: Request) -> Response:
    try:
        access.check(request.headers.get("authorization"), sandbox.clock.now(), new_api=new_api)
        return await handler(sandbox, request)
    except Refusal as refusal:
        return refusal.response()
    except (AttributeError, KeyError, TypeError, ValueError):
        return Refusal(1200, "The request has a value of a wrong type").response()


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise Refusal(1200, "The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise Refusal(1200, "The request body must be an object")
    return body


async def _create_new(sandbox: Sandbox, request: Request) -> Response:
    task, model = request.path_params["task"], request.path_params["model"]
    if task in ("omni-video", "motion-control"):
        raise invalid("model is not supported")  # real paths, not emulated yet
    if task not in ("text-to-video", "image-to-video"):
        raise Refusal(1203, "resource not found")
    order = creating.new_order(task, model, await _body(request))
    return success(records.created(creating.create(sandbox, order)))


async def _create_old(sandbox: Sandbox, request: Request) -> Response:
    task = _old_task(request)
    allow = sandbox.settings.allow_discontinued
    order = creating.old_order(task, await _body(request), allow_discontinued=allow)
    return success(records.created(creating.create(sandbox, order)))


def _old_task(request: Request) -> str:
    task = str(request.path_params["task"])
    if task not in ("text2video", "image2video"):
        raise Refusal(1203, "resource not found")
    return task


async def _get_tasks(sandbox: Sandbox, request: Request) -> Response:
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
    return success([records.new_record(task, now, base) for task in found if task is not None])


def _ids(request: Request, name: str) -> list[str]:
    return [item for item in request.query_params.get(name, "").split(",") if item]


async def _post_tasks(sandbox: Sandbox, request: Request) -> Response:
    body = await _body(request)
    limit, start = int(body.get("limit") or 100), int(body.get("cursor") or 0)
    now = sandbox.now()
    tasks = [task for task in sandbox.store.tasks("kling") if _in_window(task, body, now)]
    tasks = [task for task in tasks if _passes(task, body.get("filters") or (), now)]
    page = tasks[start : start + min(limit, 500)]
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
    words = {"queued": "submitted", "running": "processing"}
    phase = task.phase(now)
    facts = {"status": words.get(phase, phase), "product_type": task.pack}
    return all(facts.get(item.get("key", "")) in item.get("values", ()) for item in filters)


async def _get_old(sandbox: Sandbox, request: Request) -> Response:
    task_id = request.path_params["id"]
    found = sandbox.store.task("kling", task_id) or sandbox.store.task_by_external_id(
        "kling", task_id
    )
    if found is None or not _of_product(found, _old_task(request)):
        raise invalid(f"Task not found by id/external id: {task_id}")
    return success(records.old_record(found, sandbox.now(), own_url(request)))


def _of_product(task: SandboxTask, product: str) -> bool:
    image = "image" in task.endpoint
    return image == (product == "image2video")


async def _list_old(sandbox: Sandbox, request: Request) -> Response:
    product = _old_task(request)
    page = _number(request, "pageNum", 1, 1000)
    size = _number(request, "pageSize", 30, 500)
    tasks = [task for task in sandbox.store.tasks("kling") if _of_product(task, product)]
    chosen = tasks[::-1][(page - 1) * size : page * size]
    now, base = sandbox.now(), own_url(request)
    return success([records.old_record(task, now, base) for task in chosen])


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise invalid(f"{name} value '{text}' is invalid")
    return int(text)


async def _costs(sandbox: Sandbox, request: Request) -> Response:
    for name in ("start_time", "end_time"):
        if not request.query_params.get(name, "").isdigit():
            raise invalid(f"{name} can not be null")
    now = int(sandbox.now() * 1000)
    con = sandbox.settings.concurrency
    pack = {
        "resource_pack_name": f"Sandbox-Video-{sandbox.settings.units:g}Units-{con}Con-1Months",
        "resource_pack_id": "5a6e64626f7800000000000000000001",
        "resource_pack_type": "decreasing_total",
        "total_quantity": sandbox.settings.units,
        "remaining_quantity": creating.remaining_units(sandbox),
        "purchase_time": now - 86_400_000,
        "effective_time": now - 86_400_000,
        "invalid_time": now + 29 * 86_400_000,
        "status": "online",
    }
    return success({"code": 0, "msg": "success", "resource_pack_subscribe_infos": [pack]})


async def _video(sandbox: Sandbox, request: Request) -> Response:
    task = sandbox.store.task("kling", request.path_params["id"])
    if task is None or task.phase(sandbox.now()) != "succeeded":
        return Response(status_code=404)
    expires = request.query_params.get("Expires", "0")
    if not expires.isdigit() or int(expires) < sandbox.now():
        return Response("<Error><Code>AccessDenied</Code></Error>", 403)
    return FileResponse(await sandbox.film(task.film), media_type="video/mp4")
