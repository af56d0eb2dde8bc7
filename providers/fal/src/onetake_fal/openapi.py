"""fal's OpenAPI of one endpoint, reduced to what a card, a check and an upload need.

Facts: the platform's ``GET /v1/models?expand=openapi-3.0`` (2026-08-21): a POST whose path is the
endpoint's id, and a GET of ``…/requests/{request_id}`` whose 200 is the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEPT: Mapping[str, str] = {
    "default": "default",
    "enum": "enum",
    "minimum": "min",
    "maximum": "max",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
    "maxLength": "max_length",
    "minItems": "min",
    "maxItems": "max",
    "format": "format",
}
"""What is kept of a field, and its name in the reduced form."""

_DEEP = 6
"""Objects within objects that are followed; schemas may contain themselves."""


def reduced(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the input and output fields of an endpoint's OpenAPI document.

    Returns:
        Two mappings in the form of ``sandbox/endpoints.json``.

    Raises:
        ValueError: the document describes no POST with a JSON body.
    """
    wanted, given = None, None
    for path, methods in _mapping(document.get("paths")).items():
        post = _mapping(_mapping(methods).get("post"))
        get = _mapping(_mapping(methods).get("get"))
        if "requestBody" in post:
            wanted = _json_schema(_mapping(post["requestBody"]))
        if str(path).endswith("/requests/{request_id}"):
            given = _json_schema(_mapping(_mapping(get.get("responses")).get("200")))
    if wanted is None:
        raise ValueError("the schema describes no POST with a JSON body")
    return _fields(wanted, document, 0), _fields(given or {}, document, 0)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _json_schema(holder: Mapping[str, Any]) -> Mapping[str, Any] | None:
    content = _mapping(_mapping(holder.get("content")).get("application/json"))
    return _mapping(content["schema"]) if "schema" in content else None


def _resolved(schema: Any, document: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
    """Follow references and ``allOf``; what stands beside them counts, too."""
    found = dict(_mapping(schema))
    target: Any = document
    reference = found.pop("$ref", None)
    if isinstance(reference, str) and reference.startswith("#/"):
        for part in reference[2:].split("/"):
            target = _mapping(target).get(part)
        if depth < _DEEP:
            target = _resolved(target, document, depth + 1)
        return {"title": reference.rpartition("/")[2], **_mapping(target), **found}
    for inner in found.pop("allOf", ()) if depth < _DEEP else ():
        whole = _resolved(inner, document, depth + 1)
        both = {**_mapping(found.get("properties")), **_mapping(whole.get("properties"))}
        needed = [*found.get("required", ()), *whole.get("required", ())]
        found = {**whole, **found, **({"properties": both, "required": needed} if both else {})}
    return found


def _fields(schema: Mapping[str, Any], document: Mapping[str, Any], depth: int) -> dict[str, Any]:
    whole = _resolved(schema, document)
    properties = _mapping(whole.get("properties"))
    order = [name for name in whole.get("x-fal-order-properties", ()) if name in properties]
    names = [*order, *(name for name in properties if name not in order)]
    needed = whole.get("required", ())
    return {
        name: {**_rule(properties[name], document, depth), "required": name in needed}
        for name in names
    }


def _rule(schema: Any, document: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """Return one field's rule: its type and limits, without prose."""
    whole = _resolved(schema, document)
    choices = [
        _resolved(item, document) for item in (whole.get("anyOf") or whole.get("oneOf") or ())
    ]
    real = [item for item in choices if item.get("type") != "null"]
    if len(real) == 1:
        whole = {**real[0], **{k: v for k, v in whole.items() if k not in ("anyOf", "oneOf")}}
    rule: dict[str, Any] = {"type": _type(whole, real)}
    for source in (*reversed(real), whole):
        rule |= {ours: source[theirs] for theirs, ours in _KEPT.items() if theirs in source}
    listed = {item.get("type") for item in real if "enum" in item}
    if any("enum" not in item and item.get("type") in listed for item in real):
        rule.pop("enum", None)  # beside a type that takes anything, words are only examples
    if rule.get("default", 0) is None:
        del rule["default"]
    limits = whole.get("limit_description")
    if isinstance(limits, str) and limits:
        rule["limits"] = limits
    if rule["type"] == "array" and depth < _DEEP:
        rule["items"] = _item(whole.get("items"), document, depth)
    elif rule["type"] == "object" and depth < _DEEP and "properties" in whole:
        rule["properties"] = _fields(whole, document, depth + 1)
    return rule


def _type(whole: Mapping[str, Any], real: list[Mapping[str, Any]]) -> str:
    if len(real) > 1:
        return "|".join(dict.fromkeys(str(item.get("type", "object")) for item in real))
    kind = whole.get("type")
    if isinstance(kind, list):  # OpenAPI 3.1 lists null beside the type
        kind = next((item for item in kind if item != "null"), None)
    return str(kind or ("object" if "properties" in whole else "string"))


def _item(schema: Any, document: Mapping[str, Any], depth: int) -> dict[str, Any]:
    whole = _resolved(schema, document)
    if "properties" not in whole:
        return {"type": _type(whole, [])}
    name = {"name": str(whole["title"])} if "title" in whole else {}
    return {"type": "object", **name, "properties": _fields(whole, document, depth + 1)}
