"""Endpoints as captured: which exist, what they take, what they give back.

Beside the captured ones there are a few of the sandbox's own, named as such, so that a client can
be tried with endpoints that its catalog does not know.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

Problem = dict[str, Any]
PROMPT_MAX = 2500
"""Kling's limit; fal's schema does not always state it, and the result says so all the same."""

RETIRED = ("dropped from", "seen only")
"""Beginnings of the captured states of endpoints that fal lists no more."""


@functools.cache
def endpoints() -> dict[str, dict[str, Any]]:
    """Return every endpoint that is served, by its id."""
    found: dict[str, dict[str, Any]] = {}
    for name in ("endpoints.json", "own_endpoints.json"):
        text = (importlib.resources.files(__package__) / name).read_text("utf-8")
        for entry in json.loads(text, parse_float=Decimal):
            if not entry["status"].startswith(RETIRED):
                found[entry["endpoint_id"]] = {"input_schema": {}, **entry}
    return found


@functools.cache
def apps() -> frozenset[str]:
    """Return the apps behind the endpoints: what is left of an id without its path."""
    return frozenset(map(app_of, endpoints()))


def app_of(endpoint: str) -> str:
    """Return owner and app, which is all that the URLs of a request contain."""
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in ("workflows", "comfy") else 2])


def problems(endpoint: str, body: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with an input, in fal's form. Unknown fields are ignored."""
    fields = {name: rule for name, rule in _fields(endpoint).items() if not name.startswith("_")}
    if "prompt" in fields and endpoint.startswith(("fal-ai/kling", "kling/")):
        fields["prompt"] = {"max_length": PROMPT_MAX, **fields["prompt"]}
    return list(_of_object(("body",), body, fields))


def _fields(endpoint: str) -> dict[str, dict[str, Any]]:
    return dict(endpoints()[endpoint]["input_schema"])


def _of_object(
    place: tuple[str | int, ...], body: Mapping[str, Any], fields: Mapping[str, Any]
) -> Iterator[Problem]:
    for name, rule in fields.items():
        value = body.get(name)
        where = (*place, name)
        if value is not None and not (value == "" and rule.get("required")):
            yield from _check(where, value, rule)
        elif rule.get("required"):
            yield problem(where, "Field required", "missing", value)


def _check(where: tuple[str | int, ...], value: Any, rule: Mapping[str, Any]) -> Iterator[Problem]:
    kinds = str(rule["type"]).split("|")
    if not any(_is_type(value, kind) for kind in kinds):
        message = f"Input should be a valid {kinds[0]}"
        yield problem(where, message, f"{kinds[0]}_type", value)
    elif isinstance(value, list):
        yield from _of_list(where, value, rule)
    elif isinstance(value, Mapping):
        yield from _of_object(where, value, rule.get("properties", {}))
    else:
        yield from _of_scalar(where, value, rule)


def _of_list(
    where: tuple[str | int, ...], value: list[Any], rule: Mapping[str, Any]
) -> Iterator[Problem]:
    if "max" in rule and len(value) > rule["max"]:
        message = f"List should have at most {rule['max']} items"
        yield problem(where, message, "too_long", len(value), {"max_length": rule["max"]})
    item = rule.get("items") or {}
    for number, entry in enumerate(value):
        if item.get("type"):
            yield from _check((*where, number), entry, item)


def _of_scalar(
    where: tuple[str | int, ...], value: Any, rule: Mapping[str, Any]
) -> Iterator[Problem]:
    if rule.get("enum") and value not in rule["enum"]:
        allowed = ", ".join(f"'{item}'" for item in rule["enum"])
        context = {"expected": allowed}
        yield problem(where, f"Input should be {allowed}", "literal_error", value, context)
    elif "min" in rule and value < rule["min"]:
        message = f"Input should be greater than or equal to {rule['min']}"
        yield problem(where, message, "greater_than_equal", value, {"ge": float(rule["min"])})
    elif "max" in rule and value > rule["max"]:
        message = f"Input should be less than or equal to {rule['max']}"
        yield problem(where, message, "less_than_equal", value, {"le": float(rule["max"])})
    elif "max_length" in rule and len(value) > rule["max_length"]:
        message = f"String should have at most {rule['max_length']} characters"
        length = {"max_length": rule["max_length"]}
        yield problem(where, message, "string_too_long", value[:60], length)


def _is_type(value: Any, kind: str) -> bool:
    if kind in ("integer", "number"):
        return isinstance(value, int if kind == "integer" else int | float) and not isinstance(
            value, bool
        )
    python = {"string": str, "boolean": bool, "array": list, "object": dict}
    return isinstance(value, python.get(kind, object))


def problem(
    where: tuple[str | int, ...],
    message: str,
    kind: str,
    value: Any,
    context: Mapping[str, Any] | None = None,
) -> Problem:
    """Return one entry of fal's list of errors."""
    found: Problem = {"loc": list(where), "msg": message, "type": kind, "input": value}
    if context:
        found["ctx"] = dict(context)
    return found


def value(endpoint: str, body: Mapping[str, Any], name: str) -> Any:
    """Return a field of an input, or the endpoint's default."""
    given = body.get(name)
    return _fields(endpoint).get(name, {}).get("default") if given is None else given


_CLASSES = ((r"/4k/", "4k"), (r"/v2\.1/master/|/pro/|/o1/(?!standard)", "1080p"))


def resolution(endpoint: str, body: Mapping[str, Any]) -> str:
    """Return the resolution class of a film that an endpoint delivers."""
    asked = value(endpoint, body, "resolution")
    if asked is not None:
        return str(asked)
    return next((name for pattern, name in _CLASSES if re.search(pattern, f"{endpoint}/")), "720p")


def always_audio(endpoint: str) -> bool:
    """Say whether an endpoint makes sound without being asked."""
    return "/v3/turbo/" in endpoint


# ── as OpenAPI ──


def openapi(endpoint: str) -> dict[str, Any]:
    """Return an endpoint's OpenAPI document, as the platform gives it."""
    entry = endpoints()[endpoint]
    title = "".join(part.capitalize() for part in re.split(r"\W+", endpoint))
    result = {"$ref": f"#/components/schemas/{title}Output"}
    answer = {"200": {"content": {"application/json": {"schema": result}}}}
    wanted = {"$ref": f"#/components/schemas/{title}Input"}
    given = {"content": {"application/json": {"schema": wanted}}, "required": True}
    return {
        "openapi": "3.0.4",
        "info": {"title": endpoint, "version": "1.0.0"},
        "paths": {
            f"/{endpoint}": {"post": {"requestBody": given}},
            f"/{endpoint}/requests/{{request_id}}/status": {"get": {}},
            f"/{endpoint}/requests/{{request_id}}/cancel": {"put": {}},
            f"/{endpoint}/requests/{{request_id}}": {"get": {"responses": answer}},
        },
        "servers": [{"url": "https://queue.fal.run"}],
        "components": {
            "schemas": {
                f"{title}Input": _object(entry["input_schema"]),
                f"{title}Output": _object(entry.get("output_schema") or {}),
            }
        },
    }


def _object(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "x-fal-order-properties": list(fields),
        "required": [name for name, rule in fields.items() if rule.get("required")],
        "properties": {name: _property(name, rule) for name, rule in fields.items()},
    }


_WORDS = {"min": "minimum", "max": "maximum", "max_length": "maxLength"}


def _property(name: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    kinds = str(rule.get("type", "string")).split("|")
    shown: dict[str, Any] = {"title": name.replace("_", " ").title()}
    shown |= {key: rule[key] for key in ("default", "enum", "format") if key in rule}
    if "limits" in rule:
        shown["limit_description"] = rule["limits"]
    words = {**_WORDS, "min": "minItems", "max": "maxItems"} if kinds == ["array"] else _WORDS
    shown |= {theirs: rule[ours] for ours, theirs in words.items() if ours in rule}
    if len(kinds) > 1:
        return {**shown, "anyOf": [{"type": kind} for kind in kinds]}
    if kinds == ["array"]:
        shown["items"] = _item(rule.get("items") or {})
    if "properties" in rule:
        return {**shown, **_object(rule["properties"])}
    return {**shown, "type": kinds[0]}


def _item(rule: Mapping[str, Any]) -> dict[str, Any]:
    if "properties" in rule:
        return {**_object(rule["properties"]), "title": rule.get("name", "Item")}
    return {"type": rule.get("type", "string")}
