"""Endpoints as captured: which exist, what they take, what they cost."""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Problem = dict[str, Any]
PROMPT_MAX = 2500
"""Kling's limit; fal's schema does not always state it, and the result says so all the same."""


@functools.cache
def endpoints() -> dict[str, dict[str, Any]]:
    """Return every captured endpoint that makes a video from text or a picture."""
    text = (importlib.resources.files(__package__) / "endpoints.json").read_text("utf-8")
    return {
        entry["endpoint_id"]: entry
        for entry in json.loads(text, parse_float=Decimal)
        if entry["status"] == "active" and entry["task"] in ("text-to-video", "image-to-video")
    }


def problems(endpoint: str, body: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with an input, in fal's form. Unknown fields are ignored."""
    found: list[Problem] = []
    for name, rule in endpoints()[endpoint]["input_schema"].items():
        value = body.get(name)
        if value is None or (value == "" and rule.get("required")):
            if rule.get("required"):
                found.append(_problem(name, "Field required", "missing", value))
            continue
        longest = {"max_length": PROMPT_MAX} if name == "prompt" else {}
        found.extend(_check(name, value, {**longest, **rule}))
    return found


def _check(name: str, value: Any, rule: Mapping[str, Any]) -> list[Problem]:
    if not _is_type(value, rule["type"]):
        kind = f"{rule['type']}_type"
        return [_problem(name, f"Input should be a valid {rule['type']}", kind, value)]
    if "enum" in rule and value not in rule["enum"]:
        allowed = ", ".join(f"'{item}'" for item in rule["enum"])
        context = {"expected": allowed}
        return [_problem(name, f"Input should be {allowed}", "literal_error", value, context)]
    if "min" in rule and value < rule["min"]:
        message = f"Input should be greater than or equal to {rule['min']}"
        limit = {"ge": float(rule["min"])}
        return [_problem(name, message, "greater_than_equal", value, limit)]
    if "max" in rule and value > rule["max"]:
        message = f"Input should be less than or equal to {rule['max']}"
        limit = {"le": float(rule["max"])}
        return [_problem(name, message, "less_than_equal", value, limit)]
    if "max_length" in rule and len(value) > rule["max_length"]:
        length = {"max_length": rule["max_length"]}
        message = f"String should have at most {rule['max_length']} characters"
        return [_problem(name, message, "string_too_long", value[:60], length)]
    return []


def _is_type(value: Any, kind: str) -> bool:
    if kind in ("integer", "number"):
        return isinstance(value, int if kind == "integer" else int | float) and not isinstance(
            value, bool
        )
    python = {"string": str, "boolean": bool, "array": list, "object": dict}
    return isinstance(value, python.get(kind, object))


def _problem(
    name: str, message: str, kind: str, value: Any, context: Mapping[str, Any] | None = None
) -> Problem:
    problem: Problem = {"loc": ["body", name], "msg": message, "type": kind, "input": value}
    if context:
        problem["ctx"] = dict(context)
    return problem


def value(endpoint: str, body: Mapping[str, Any], name: str) -> Any:
    """Return a field of an input, or the endpoint's default."""
    rule = endpoints()[endpoint]["input_schema"].get(name, {})
    given = body.get(name)
    return rule.get("default") if given is None else given


def price(endpoint: str, body: Mapping[str, Any], seconds: int) -> Decimal | None:
    """Return what the endpoint charges in USD, or None when no price was captured."""
    row = endpoints()[endpoint]["price"]
    if row.get("unit") != "output second" or "usd" not in row:
        return None
    rate = row["usd"]
    tiers = row.get("tiers", {})
    if "audio_on" in tiers:
        rate = tiers["audio_on" if value(endpoint, body, "generate_audio") else "audio_off"]
    return Decimal(rate) * seconds


_CLASSES = (
    (r"/4k/", "4k"),
    (r"/v[12](\.5)?/master/|/standard/|/v1/", "720p"),
    (r"/v2\.1/master/|/pro/", "1080p"),
)


def resolution(endpoint: str) -> str:
    """Return the resolution class that an endpoint delivers."""
    for pattern, name in _CLASSES:
        if re.search(pattern, endpoint):
            return name
    return "720p"


def always_audio(endpoint: str) -> bool:
    """Say whether an endpoint makes sound without being asked."""
    return "/v3/turbo/" in endpoint
