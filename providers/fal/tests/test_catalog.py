"""The catalog's files: written from the captured schemas, compared with what fal says today."""

from __future__ import annotations

import copy
import importlib.util
import json
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from onetake import Asset, GenerationRequest, UnsupportedParameter, plugins
from onetake.catalog import Catalog, ModelCard
from onetake.driver import PreparedAsset
from onetake.fitting import fit
from onetake.testing import SandboxServer
from onetake_fal import cards, foreign, wire

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """The script behind `make catalog-fal`."""
    spec = importlib.util.spec_from_file_location("catalog_fal", ROOT / "tools/catalog_fal.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def captured(tool: ModuleType) -> list[dict[str, Any]]:
    """The schemas as captured."""
    found: list[dict[str, Any]] = json.loads(tool.CAPTURED.read_text(), parse_float=Decimal)
    return found


def test_the_catalog_is_what_the_schemas_give(tool: ModuleType, captured: Any) -> None:
    """Nobody has written into the generated files."""
    for name, text in tool.files(captured).items():
        assert (tool.PACKAGE / "catalog" / name).read_text("utf-8") == text, name


def test_drift_is_told_line_by_line(tool: ModuleType, captured: Any) -> None:
    """Fields that came, went or changed, an endpoint that is no longer listed."""
    [old] = [item for item in captured if item["endpoint_id"].endswith("v2/master/text-to-video")]
    new = {**copy.deepcopy(old), "metadata": {"status": "deprecated"}}
    fields = new["input_schema"]
    fields["duration"]["enum"].append("15")
    fields["seed"] = {"type": "integer", "required": False}
    del fields["cfg_scale"]
    told = "\n".join(tool.drift(old, new))
    assert "duration.enum ['5', '10'] → ['5', '10', '15']" in told
    assert "seed is new" in told
    assert "cfg_scale is gone" in told
    assert "'active' → 'deprecated'" in told
    assert "does not list it" in "".join(tool.drift(old, None))
    taken = tool.taken_over(old, new, "2026-12-01")
    assert taken["input_schema"] == fields
    assert tool.entry(old["endpoint_id"], taken, {"task": "text-to-video"})["status"] == "legacy"
    gone = tool.taken_over(old, None, "2026-12-01")
    names = {"task": "text-to-video"}
    assert tool.entry(old["endpoint_id"], gone, names)["status"] == "discontinued"


def test_drift_inside_of_fields_and_results_is_told(tool: ModuleType, captured: Any) -> None:
    """A shot's field, an element's, a result's; and an endpoint whose schema fal does not give."""
    [old] = [item for item in captured if item["endpoint_id"].endswith("/o3/pro/text-to-video")]
    new = {**copy.deepcopy(old), "metadata": {"status": "active"}}
    shot = new["input_schema"]["multi_prompt"]["items"]["properties"]
    shot["duration"]["enum"].append("16")
    shot["style"] = {"type": "string"}
    new["output_schema"]["seed"] = {"type": "integer"}
    told = "\n".join(tool.drift(old, new))
    assert "multi_prompt[].duration.enum" in told
    assert "multi_prompt[].style is new" in told
    assert "result's seed is new" in told
    unread = tool.read({"endpoint_id": old["endpoint_id"], "metadata": {}})
    assert "gives no schema" in "".join(tool.drift(old, unread))
    kept = tool.taken_over(old, unread, "2026-12-01")
    assert kept["input_schema"] == old["input_schema"]


def test_an_endpoint_outside_the_catalog_is_found(
    tool: ModuleType, captured: Any, server: SandboxServer
) -> None:
    """The list is read page by page."""
    ids = [item["endpoint_id"] for item in captured]
    missing = "fal-ai/kling-video/v3/pro/image-to-video"
    url = f"{server.url}/fal/platform/v1/models"
    ids.remove(missing)
    assert tool.unknown(ids, "sandbox:sandbox", url) == [missing]
    assert len(server.requests(path="/platform/v1/models")) > len(tool.FAMILIES), "a second page"


def test_the_platforms_own_schemas_show_no_drift(
    tool: ModuleType, captured: Any, server: SandboxServer
) -> None:
    """Asked fifty at a time; what the dialect publishes is what was captured."""
    ids = [item["endpoint_id"] for item in captured]
    url = f"{server.url}/fal/platform/v1/models"
    today = {item["endpoint_id"]: item for item in tool.live(ids, "sandbox:sandbox", url)}
    assert len(server.requests(path="/platform/v1/models")) == 2
    assert len(today) == 82, "four are retired"
    changes = [
        line
        for item in captured
        if item["status"] == "active"
        for line in tool.drift(item, tool.read(today[item["endpoint_id"]]))
    ]
    assert changes == []


@pytest.mark.parametrize("card", plugins.catalog("fal").cards, ids=lambda card: card.name)
def test_every_card_speaks_of_fields_that_exist(
    card: ModelCard, captured: list[dict[str, Any]]
) -> None:
    """Each slot and parameter ends in a field of the endpoint, and no required one is left out."""
    [endpoint] = [item for item in captured if item["endpoint_id"] == card.vendor_id]
    fields = endpoint.get("input_schema") or {}
    named = {str(card.wire.get(name, name)) for name in (*card.inputs, *card.parameters)}
    named |= {str(card.wire.get("prompt", "prompt"))} | {"negative_prompt"}
    derived = {
        "callback_url", "shots", "series", "mask", "trajectories", "width", "height",
        "camera_control", "prompt", "negative_prompt",
    }  # fmt: skip
    made_of = {name for name in named if name.startswith("element_")}
    assert not fields or named - derived - made_of <= set(fields)
    required = {name for name, rule in fields.items() if rule.get("required")}
    assert required <= named


def test_limits_are_read_from_the_words_beside_a_field() -> None:
    """As fal writes them."""
    text = (
        "Max file size: 10.0MB, Min width: 300px, Min height: 300px, Min aspect ratio: 0.40, "
        "Max aspect ratio: 2.50, Timeout: 20.0s"
    )
    assert cards.limits(text) == {"max_bytes": 10_000_000, "min_side": 300, "max_ratio": 2.5}
    text = "2-60s, <=5MB"
    assert cards.limits(text) == {"max_bytes": 5_000_000, "min_seconds": 2.0, "max_seconds": 60.0}
    assert cards.limits("") == {}


STRANGE = {
    "paths": {
        "/owner/app": {
            "post": {
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}
                }
            }
        }
    },
    "components": {
        "schemas": {
            "In": {
                "type": "object",
                "required": ["prompt", "image_url"],
                "properties": {
                    "prompt": {"type": "string"},
                    "image_url": {"type": "string"},
                    "image_urls": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                    "duration": {"enum": ["4s", "8s"], "type": "string", "default": "8s"},
                    "mode": {"allOf": [{"$ref": "#/components/schemas/Mode"}]},
                    "strength": {"enum": [0.5, 1.0], "type": "number"},
                    "size": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                    "frames": {"type": "integer", "minimum": 8, "maximum": 64},
                    "steps": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 51},
                    "loras": {
                        "type": "array",
                        "maxItems": 2,
                        "items": {"type": "object", "properties": {"path": {"type": "string"}}},
                    },
                },
            },
            "Mode": {"type": "string", "enum": ["standard", "turbo"]},
        }
    },
}


def strange(parameters: dict[str, Any], files: list[Any] | None = None) -> dict[str, Any]:
    """Fit a request to an endpoint with a schema unlike Kling's; return what would be sent."""
    model = {"openapi": STRANGE, "metadata": {"category": "image-to-image"}}
    card = foreign.described("owner/app", model)
    known = Catalog(plugins.provider_card("fal"), [card])
    given = ["https://example.com/a.png"] if files is None else files
    fitted = fit(GenerationRequest("x", None, "owner/app", parameters, given), known)
    ready = [PreparedAsset(item, item.url or "…") for item in fitted.assets]
    return dict(wire.submission(fitted, "our-id", ready).body)


@pytest.mark.parametrize(
    ("parameters", "sent"),
    [
        ({"duration": 8}, {"duration": "8s"}),
        ({"duration": "4s"}, {"duration": "4s"}),
        ({"mode": "standard"}, {"mode": "standard"}),
        ({"mode": "turbo"}, {"mode": "turbo"}),
        ({"strength": 0.5}, {"strength": 0.5}),
        ({"size": 512}, {"size": 512}),
        ({"steps": 50}, {"steps": 50}),
        ({"size": "large"}, {"size": "large"}),
        ({"seed": 7}, {"seed": 7}),
        ({"loras": [{"path": "a"}]}, {"loras": [{"path": "a"}]}),
    ],
)
def test_any_schema_gives_a_card(parameters: dict[str, Any], sent: dict[str, Any]) -> None:
    """Words, numbers with units, unions, lists and two picture fields."""
    wanted = {"prompt": "x", "image_url": "https://example.com/a.png", **sent}
    assert strange(parameters) == wanted


def test_two_fields_for_pictures_are_two_slots() -> None:
    """The second keeps its own name as its role."""
    first = Asset("https://example.com/a.png", role="reference")
    second = Asset("https://example.com/b.png", role="image_urls")
    assert strange({}, [first, second])["image_urls"] == ["https://example.com/b.png"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"duration": 5},
        {"mode": "pro"},
        {"frames": 4},
        {"loras": [{}, {}, {}]},
        {"steps": 0},
        {"steps": 51},
    ],
)
def test_any_schema_refuses(parameters: dict[str, Any]) -> None:
    """What its ranges and words exclude."""
    with pytest.raises(UnsupportedParameter):
        strange(parameters)
