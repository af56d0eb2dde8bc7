"""Requests: accepting them, and their state and result in fal's words."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping
from typing import Any

from PIL import Image

from onetake.job import new_job_id
from onetake.sandbox import Sandbox, SandboxTask
from onetake.sandbox.media.film import Film, frame_size, ratio_of
from onetake.sandbox.media.motion import read_motion
from onetake.sandbox.tasks import outcome_of, seconds_of
from onetake_fal.sandbox import schema

FPS = 24
FIRST = ("image_url", "start_image_url")
LAST = ("tail_image_url", "end_image_url")
OWN_FILES = "/files/"
SMALLEST_SIDE = 300


def accept(sandbox: Sandbox, endpoint: str, body: Mapping[str, Any]) -> SandboxTask:
    """Take on a request. Input is judged later, as the vendor does."""
    wrong = schema.problems(endpoint, body)
    prompt = str(body.get("prompt") or "")
    seconds = _seconds(endpoint, body)
    first: str | None = None
    last: str | None = None
    if not wrong:
        first, faults = _picture(sandbox, body, FIRST)
        last, more = _picture(sandbox, body, LAST)
        wrong = [*faults, *more]
    cost = schema.price(endpoint, body, seconds)
    outcome, detail = _outcome(prompt, wrong)
    return sandbox.accept(
        SandboxTask(
            id=new_job_id(sandbox.clock.now()),
            provider="fal",
            model=endpoint,
            endpoint=endpoint,
            accepted_at=sandbox.now(),
            seconds=seconds_of(prompt, sandbox.settings.seconds_per_job),
            outcome=outcome,
            prompt=prompt,
            film=None if wrong else _film(sandbox, endpoint, body, first, last).to_json(),
            amount=None if cost is None else f"{cost.normalize():f}",
            units=None if cost is None else str(seconds),
            extra={"input": dict(body), "detail": detail},
        )
    )


def _outcome(prompt: str, wrong: list[schema.Problem]) -> tuple[Any, Any]:
    if wrong:
        return "invalid", wrong
    outcome = outcome_of(prompt)
    if outcome == "moderation":
        message = "The content could not be processed because it was flagged by a content checker."
        item = {"loc": ["body", "prompt"], "msg": message, "type": "content_policy_violation"}
        return outcome, [{**item, "url": "https://docs.fal.ai/errors/#content_policy_violation"}]
    message = "Unexpected error"
    return outcome, [{"loc": ["body"], "msg": message, "type": "internal_server_error"}]


def _seconds(endpoint: str, body: Mapping[str, Any]) -> int:
    try:
        return int(schema.value(endpoint, body, "duration") or 5)
    except (TypeError, ValueError):
        return 5


def _picture(
    sandbox: Sandbox, body: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[str | None, list[schema.Problem]]:
    """Keep the picture of a field; report one that cannot be loaded or is too small."""
    name = next((name for name in names if body.get(name)), None)
    if name is None:
        return None, []
    url = body[name]
    own = sandbox.own_file(url, OWN_FILES)
    if own is None and not url.startswith("data:"):
        if not re.match(r"https?://", url) or "/fal/cdn/files/" in url:
            return None, [_bad(name, "Failed to download the file.", "file_download_error", url)]
        return None, []  # the sandbox has no network: a foreign URL is taken on trust
    try:
        data = sandbox.store.read_file(own) if own else _inline(url)
        with Image.open(io.BytesIO(data)) as picture:
            picture.verify()
            width, height = picture.size
    except (OSError, ValueError, SyntaxError, binascii.Error):
        return None, [_bad(name, "Failed to load the image.", "image_load_error", url)]
    if min(width, height) < SMALLEST_SIDE:
        context = {"min_height": SMALLEST_SIDE, "min_width": SMALLEST_SIDE}
        small = _bad(name, "Image too small.", "image_too_small", url)
        return None, [{**small, "ctx": context}]
    return sandbox.keep_picture(data), []


def _inline(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2], validate=True)


def _bad(name: str, message: str, kind: str, url: str) -> schema.Problem:
    item = {"loc": ["body", name], "msg": message, "type": kind, "input": url[:200]}
    return {**item, "url": f"https://docs.fal.ai/errors/#{kind}"}


def _film(
    sandbox: Sandbox, endpoint: str, body: Mapping[str, Any], first: str | None, last: str | None
) -> Film:
    ratio = ratio_of(str(schema.value(endpoint, body, "aspect_ratio") or "16:9"))
    if first is not None:
        shown = sandbox.picture_size(first)
        ratio = shown[0] / shown[1]
    width, height = frame_size(schema.resolution(endpoint), ratio)
    prompt = str(body.get("prompt") or "")
    audio = bool(schema.value(endpoint, body, "generate_audio")) or schema.always_audio(endpoint)
    return Film(
        width=width,
        height=height,
        seconds=_seconds(endpoint, body),
        fps=FPS,
        prompt=prompt,
        label=endpoint,
        motion=read_motion(prompt),
        first=first,
        last=last,
        audio=audio,
        fast=sandbox.settings.media == "fast",
    )


def app_of(endpoint: str) -> str:
    """Return owner and app, which is all that the URLs of a request contain."""
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in ("workflows", "comfy") else 2])


def urls(task: SandboxTask, base: str) -> dict[str, str]:
    """Return the URLs of a request on this server."""
    response = f"{base}/fal/queue/{app_of(task.endpoint)}/requests/{task.id}"
    return {
        "response_url": response,
        "status_url": f"{response}/status",
        "cancel_url": f"{response}/cancel",
    }


def submitted(task: SandboxTask, base: str) -> dict[str, Any]:
    """Return the body of the answer to a submission, key for key as recorded 2026-06-02."""
    head = {"status": "IN_QUEUE", "request_id": task.id}
    return {**head, **urls(task, base), "logs": None, "metrics": {}, "queue_position": 0}


def status(
    task: SandboxTask, now: float, base: str, *, logs: bool, after: int = 0
) -> tuple[int, dict[str, Any]]:
    """Return HTTP status and body of a status request; logs from line ``after`` on."""
    phase = task.phase(now)
    body: dict[str, Any] = {"status": "IN_QUEUE", "request_id": task.id, **urls(task, base)}
    lines = log_lines(task, now)[after:] if logs else None
    if phase == "queued":
        return 202, {**body, "queue_position": 0, "logs": None, "metrics": {}}
    if phase == "running":
        return 202, {**body, "status": "IN_PROGRESS", "logs": lines, "metrics": {}}
    metrics = {"inference_time": round(task.ends_at - task.starts_at, 3)}
    body = {**body, "status": "COMPLETED", "logs": lines, "metrics": metrics}
    if phase == "cancelled":
        body |= {"metrics": {}, "error": "Request was cancelled", "error_type": "client_cancelled"}
    elif phase == "failed" and task.outcome == "failed":
        body |= {"error": "Unexpected error", "error_type": "internal_server_error"}
    return 200, body


def log_lines(task: SandboxTask, now: float) -> list[dict[str, Any]]:
    """Return the log lines that a request has written by now."""
    moments = [(task.starts_at, "sandbox: started"), (task.ends_at, "sandbox: finished")]
    return [
        {"timestamp": at, "message": message, "labels": {}, "level": "INFO"}
        for at, message in moments
        if at <= now
    ]


def failure(task: SandboxTask, now: float) -> tuple[int, dict[str, Any], str | None]:
    """Return HTTP status, body and error type of the result of a request that gave none."""
    if task.phase(now) == "cancelled":
        body = {"detail": "Request was cancelled", "error_type": "client_cancelled"}
        return 499, body, "client_cancelled"
    code = 500 if task.outcome == "failed" else 422
    return code, {"detail": task.extra["detail"]}, None
