"""The account: packs, and the ledgers of what was taken from them."""

from __future__ import annotations

from typing import Any

from onetake.sandbox import Sandbox, SandboxTask
from onetake_kling.sandbox.answers import invalid
from onetake_kling.sandbox.fields import Body, items
from onetake_kling.sandbox.orders import remaining_units

PACKS = ("video", "image", "try-on")


def costs(sandbox: Sandbox, query: Any) -> dict[str, Any]:
    """Return ``data`` of ``GET /account/costs``."""
    for name in ("start_time", "end_time"):
        if not query.get(name, "").isdigit():
            raise invalid(f"{name} can not be null")
    now = int(sandbox.now() * 1000)
    packs = [_pack(sandbox, number, name, now) for number, name in enumerate(PACKS, start=1)]
    wanted = query.get("resource_pack_name")
    shown = [pack for pack in packs if wanted in (None, "", pack["resource_pack_name"])]
    return {"code": 0, "msg": "success", "resource_pack_subscribe_infos": shown}


def _pack(sandbox: Sandbox, number: int, name: str, now: int) -> dict[str, Any]:
    total, con = sandbox.settings.units, sandbox.settings.concurrency
    left = remaining_units(sandbox, name)
    return {
        "resource_pack_name": f"Sandbox-{name.title()}-{total:g}Units-{con}Con-1Months",
        "resource_pack_id": f"5a6e64626f78{number:020d}",
        "resource_pack_type": "decreasing_total",
        "total_quantity": total,
        "remaining_quantity": left,
        "purchase_time": now - 86_400_000,
        "effective_time": now - 86_400_000,
        "invalid_time": now + 29 * 86_400_000,
        "status": "online" if left > 0 else "runOut",
    }


def deducted(sandbox: Sandbox, body: Body) -> dict[str, Any]:
    """Return ``data`` of ``POST /account/billing/package``."""
    start, limit = int(body.get("cursor") or 0), int(body.get("limit") or 500)
    if not body.get("cursor") and not (body.get("start_time") and body.get("end_time")):
        raise invalid("start_time and end_time can not be null")
    if not 1 <= limit <= 500:
        raise invalid(f"limit value '{limit}' is invalid")
    now, left = sandbox.now(), dict.fromkeys(PACKS, sandbox.settings.units)
    rows = []
    for task in sorted(sandbox.store.tasks("kling"), key=lambda task: task.ends_at):
        if task.phase(now) == "succeeded" and task.units and task.pack in left:
            before = left[task.pack]
            left[task.pack] = before - float(task.units)
            rows.append(_row(task, before))
    rows = [row for row in rows if _wanted(row, body)]
    page = rows[start : start + limit]
    more = start + len(page) < len(rows)
    data: dict[str, Any] = {"result": {"detail": page, "count": len(page)}, "has_more": more}
    return {**data, "next_cursor": str(start + len(page))} if more else data


def _row(task: SandboxTask, before: float) -> dict[str, Any]:
    amount = float(task.units or 0)
    return {
        "package_id": "",
        "product_type": task.pack,
        "task_id": task.id,
        "api_key_name": "sandbox",
        "product_function": task.endpoint,
        "model_name": task.model,
        "deduction_time": str(int(task.ends_at * 1000)),
        "unit_before_deduction": round(before, 4),
        "deduction_amount": amount,
        "unit_after_deduction": round(before - amount, 4),
    }


def _wanted(row: dict[str, Any], body: Body) -> bool:
    if not body.get("cursor"):
        at = int(row["deduction_time"])
        if not int(body["start_time"]) <= at <= int(body["end_time"]):
            return False
    filters = [item for item in items(body, "filters") if item.get("values")]
    return all(row.get(item.get("key", "")) in item["values"] for item in filters)
