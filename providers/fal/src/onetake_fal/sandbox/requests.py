"""Requests: accepting them, and their state and result in fal's words."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from onetake.job import new_job_id
from onetake.sandbox import Sandbox, SandboxTask
from onetake.sandbox.tasks import QUEUE_SHARE, outcome_of, seconds_of
from onetake_fal.sandbox import inputs, prices, schema
from onetake_fal.sandbox.works import Maker, Work

FLAGS = ("requeue", "inner_error", "forget_task")
"""Faults that a request carries from its acceptance on."""


def accept(
    sandbox: Sandbox,
    endpoint: str,
    body: Mapping[str, Any],
    *,
    direct: bool = False,
    patience: float | None = None,
) -> SandboxTask:
    """Take on a request. Input is judged later, as the vendor does.

    ``patience`` is ``X-Fal-Request-Timeout``: in so many seconds it has to start, or never will.
    """
    known, work, wrong = _worked_out(sandbox, endpoint, body)
    prompt = str(body.get("prompt") or body.get("text") or "")
    outcome, detail = _outcome(prompt, wrong)
    cost, units = (None, None) if work is None else prices.bill(endpoint, known, work)
    files = [] if work is None else [f for several in work.files.values() for f in several]
    films = [file["media"] for file in files if file["name"].endswith(".mp4")]
    seconds = seconds_of(prompt, sandbox.settings.seconds_per_job)
    late = patience is not None and patience < seconds * QUEUE_SHARE
    timing = {"seconds": patience, "queue_share": 1.0} if late else {"seconds": seconds}
    return _accepted(
        sandbox,
        endpoint,
        **timing,
        outcome="failed" if late else outcome,
        prompt=prompt,
        film=films[0] if films else None,
        files=files,
        amount=None if cost is None else f"{cost.normalize():f}",
        units=units,
        extra={
            "input": dict(body),
            "detail": detail,
            "shape": {} if work is None else _shape(endpoint, work),
            "facts": {} if work is None else dict(work.facts),
            "direct": direct,
            "late": late,
            "flags": _flags(sandbox, endpoint),
        },
    )


def _worked_out(
    sandbox: Sandbox, endpoint: str, body: Mapping[str, Any]
) -> tuple[dict[str, Any], Work | None, list[schema.Problem]]:
    """Return the input that the endpoint knows, and the work that it asks for, or what is wrong."""
    wrong = schema.problems(endpoint, body)
    if wrong:
        return {}, None, wrong
    fields = schema.endpoints()[endpoint]["input_schema"]
    known = {name: value for name, value in body.items() if name in fields}  # others: ignored
    given = inputs.read(sandbox, endpoint, known)
    if given.wrong:
        return known, None, given.wrong
    try:
        return known, Maker(sandbox, endpoint, known, given).work(), []
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        unusable = schema.problem(("body",), "Input could not be used", "value_error", None)
        return known, None, [unusable]


def accept_nowhere(
    sandbox: Sandbox, app: str, path: str, body: Mapping[str, Any], *, direct: bool
) -> SandboxTask:
    """Take on a request for a path that an app does not have: it completes with the app's 404.

    Only the app knows its paths (seen 2025-11-22 and in 2026; nothing is charged).
    """
    return _accepted(
        sandbox,
        app,
        seconds=sandbox.settings.seconds_per_job,
        outcome="invalid",
        extra={
            "input": dict(body),
            "detail": f"Path /{path.strip('/')} not found",
            "code": 404,
            "direct": direct,
        },
    )


def _accepted(sandbox: Sandbox, endpoint: str, **facts: Any) -> SandboxTask:
    return sandbox.accept(
        SandboxTask(
            id=new_job_id(sandbox.clock.now()),
            provider="fal",
            model=endpoint,
            endpoint=endpoint,
            accepted_at=sandbox.now(),
            **facts,
        )
    )


def _flags(sandbox: Sandbox, endpoint: str) -> list[str]:
    return [name for name in FLAGS if sandbox.faults.take_flag(name, "fal", endpoint)]


def has_flag(task: SandboxTask, name: str) -> bool:
    """Say whether a request carries a fault."""
    return name in task.extra.get("flags", ())


def _shape(endpoint: str, work: Work) -> dict[str, Any]:
    """Return which files stand in which field of the result: numbers, or a list of numbers."""
    fields = schema.endpoints()[endpoint]["output_schema"]
    shape: dict[str, Any] = {}
    number = 0
    for name, files in work.files.items():
        numbers = list(range(number, number + len(files)))
        number += len(files)
        shape[name] = numbers if fields[name].get("type") == "array" else numbers[0]
    return shape


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


def urls(task: SandboxTask, base: str) -> dict[str, str]:
    """Return the URLs of a request on this server."""
    response = f"{base}/fal/queue/{schema.app_of(task.endpoint)}/requests/{task.id}"
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
    task: SandboxTask, now: float, base: str, *, logs: bool, after: int = 0, place: int = 0
) -> tuple[int, dict[str, Any]]:
    """Return HTTP status and body of a status request; logs from line ``after`` on.

    ``place`` is how many requests of the endpoint are before this one in the queue.
    """
    phase = task.phase(now)
    body: dict[str, Any] = {"status": "IN_QUEUE", "request_id": task.id, **urls(task, base)}
    lines = log_lines(task, now)[after:] if logs else None
    if phase == "queued":
        return 202, {**body, "queue_position": place, "logs": None, "metrics": {}}
    if phase == "running" and has_flag(task, "requeue") and _is_requeued(task, now):
        return 202, {**body, "queue_position": 0, "logs": None, "metrics": {}}
    if phase == "running":
        return 202, {**body, "status": "IN_PROGRESS", "logs": lines, "metrics": {}}
    metrics = {"inference_time": round(task.ends_at - task.starts_at, 3)}
    body = {**body, "status": "COMPLETED", "logs": lines, "metrics": metrics}
    if phase == "cancelled":
        body |= {"metrics": {}, "error": "Request was cancelled", "error_type": "client_cancelled"}
    elif has_flag(task, "inner_error"):
        body |= {"error": "Runner disconnected", "error_type": "runner_disconnected"}
    elif task.extra.get("late"):
        body |= {"metrics": {}, "error": _LATE["detail"], "error_type": _LATE["error_type"]}
    elif phase == "failed" and task.outcome == "failed":
        body |= {"error": "Unexpected error", "error_type": "internal_server_error"}
    return 200, body


_LATE = {"detail": "Request timed out", "error_type": "request_timeout"}


def _is_requeued(task: SandboxTask, now: float) -> bool:
    """In the middle third of its run it waits once more."""
    third = (task.ends_at - task.starts_at) / 3
    return task.starts_at + third <= now < task.ends_at - third


def is_forgotten(task: SandboxTask, now: float) -> bool:
    """Say whether the vendor no longer knows a request that has ended."""
    return has_flag(task, "forget_task") and task.phase(now) not in ("queued", "running")


def log_lines(task: SandboxTask, now: float) -> list[dict[str, Any]]:
    """Return the log lines that a request has written by now.

    Their form is what fal's clients in JavaScript, Swift, Java and Dart are typed for (2026-10).
    """
    if task.extra.get("late"):
        return []
    moments = [(task.starts_at, "sandbox: started"), (task.ends_at, "sandbox: finished")]
    kind = {"level": "INFO", "source": "USER"}
    return [
        {"timestamp": moment(at), "message": message, **kind, "labels": kind}
        for at, message in moments
        if at <= now
    ]


def moment(seconds: float) -> str:
    """Return a time as fal writes it: UTC, with milliseconds."""
    at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def failure(task: SandboxTask, now: float) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return HTTP status, body and headers of the result of a request that gave none."""
    if has_flag(task, "inner_error"):
        return _infrastructure(503, "Runner disconnected", "runner_disconnected")
    if task.phase(now) == "cancelled":
        return _infrastructure(499, "Request was cancelled", "client_cancelled")
    if task.extra.get("late"):
        code, body, headers = _infrastructure(504, _LATE["detail"], _LATE["error_type"])
        return code, body, {**headers, "x-fal-request-timeout-type": "user"}
    if "code" in task.extra:
        return task.extra["code"], {"detail": task.extra["detail"]}, {"x-fal-billable-units": "0"}
    return 500 if task.outcome == "failed" else 422, {"detail": task.extra["detail"]}, {}


def _infrastructure(code: int, text: str, kind: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    return code, {"detail": text, "error_type": kind}, {"x-fal-error-type": kind}
