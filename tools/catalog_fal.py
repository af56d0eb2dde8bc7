"""Write the files of fal's catalog: schemas as captured, joined with our names.

python tools/catalog_fal.py            write the catalog from the captured schemas
python tools/catalog_fal.py --check    say whether it is what they give
python tools/catalog_fal.py --live     ask fal (FAL_KEY) for the schemas of today, print what
                                       has changed; with --write, take it over
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from onetake_fal import cards, openapi
from onetake_fal.sandbox import schema

ROOT = Path(__file__).parents[1]
NAMES = ROOT / "tools/catalog_fal.toml"
PACKAGE = ROOT / "providers/fal/src/onetake_fal"
CAPTURED = PACKAGE / "sandbox/endpoints.json"
MODELS = "https://api.fal.ai/v1/models"
AT_ONCE = 50
"""Endpoints that one question to the platform may name (platform API, 2026-08-21)."""

FAMILIES = ("kling", "kolors")
"""Words of the endpoints that belong into the catalog."""

ELEMENTS = {"reference-to-video": 7, "image-to-image": 10, "text-to-image": 10, "motion-control": 1}
"""Inline elements by task, as the limits beside the fields say; others take 4."""

ORDER = (
    "name", "vendor_id", "aliases", "groups", "family", "tier", "task", "resolution", "status",
    "successor", "notice", "catalogued", "resend", "fixed", "typical_seconds", "prompt_required",
    "prompt_max", "negative_prompt", "aspect_from_image", "one_of", "at_least_one_of", "example",
    "checked_on", "source", "inputs", "parameters", "wire",
)  # fmt: skip


def entry(endpoint: str, captured: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the card of one endpoint."""
    task, fields = names["task"], captured.get("input_schema")
    card: dict[str, Any] = {
        "vendor_id": endpoint,
        "resend": "lookup",
        "checked_on": captured["source_date"],
        "source": f"fal OpenAPI, {captured['source_date']}",
        **cards.card_of(task, fields or {}, elements=ELEMENTS.get(task, 4)),
        **names,
    }
    if captured["status"].startswith(schema.RETIRED):
        card.setdefault("status", "discontinued")
    elif captured["status"] == "deprecated":
        card.setdefault("status", "legacy")
    if not fields and card.get("status") != "discontinued":
        card = {**card, "catalogued": False, "prompt_required": False, "negative_prompt": True}
    return card


def with_rules(card: dict[str, Any], rules: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Apply the rules that match a card; what the schema says itself stays."""
    for rule in rules:
        if not all(card.get(key) in allowed for key, allowed in rule["match"].items()):
            continue
        for key, value in rule.items():
            if key == "inputs":
                for role in value.keys() & card.get("inputs", {}).keys():
                    card["inputs"][role] = {**card["inputs"][role], **value[role]}
            elif key != "match":
                text = value.format(endpoint=card["vendor_id"]) if key == "notice" else value
                card.setdefault(key, text)
    return card


def files(captured: list[Mapping[str, Any]]) -> dict[str, str]:
    """Return the catalog's files: name to content."""
    names = tomllib.loads(NAMES.read_text("utf-8"))
    by_id = {item["endpoint_id"]: item for item in captured}
    written = {}
    for file, entries in names.items():
        if file == "rule":
            continue
        models = [
            with_rules(entry(endpoint, by_id[endpoint], own), names["rule"])
            for endpoint, own in entries.items()
        ]
        written[f"{file}.toml"] = HEAD + "".join(map(model, models))
    return written


HEAD = """\
# Kling and Kolors on fal.ai. Written by `make catalog-fal` from the captured schemas
# (sandbox/endpoints.json) and the names in tools/catalog_fal.toml; change those.
#
# `wire` names fal's fields where they differ from ours; `strings`: numbers that fal wants as text,
# `lists`: slots whose field is a list, `values`: other words for values.
"""


def model(card: Mapping[str, Any]) -> str:
    """Write one card as TOML."""
    lines = ["\n[[model]]"]
    for key in ORDER:
        value = card.get(key)
        if value is None or value in ([], {}):
            continue
        if key in ("inputs", "parameters"):
            lines += [f"{key}.{name} = {toml(item)}" for name, item in value.items()]
        else:
            lines.append(f"{key} = {toml(value)}")
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """Write a value on one line."""
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{_key(name)} = {toml(item)}" for name, item in value.items()) + " }"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "")
    return name if plain.isascii() and plain.isalnum() else json.dumps(name)


# ── what fal says today ──


def live(endpoints: Sequence[str], key: str, url: str = MODELS) -> Iterator[Mapping[str, Any]]:
    """Ask fal's platform for endpoints; yields its models."""
    for start in range(0, len(endpoints), AT_ONCE):
        some = endpoints[start : start + AT_ONCE]
        query = [("endpoint_id", name) for name in some] + [("expand", "openapi-3.0")]
        yield from _pages([*query, ("limit", str(AT_ONCE))], key, url)


def unknown(known: Collection[str], key: str, url: str = MODELS) -> list[str]:
    """Search fal's list for endpoints of Kling and Kolors that the catalog does not have."""
    found = {
        str(item["endpoint_id"])
        for word in FAMILIES
        for item in _pages([("q", word), ("limit", str(AT_ONCE))], key, url)
    }
    return sorted(name for name in found - set(known) if any(word in name for word in FAMILIES))


def _pages(query: Sequence[tuple[str, str]], key: str, url: str) -> Iterator[Mapping[str, Any]]:
    """Read a list of fal's platform to its last page."""
    with httpx.Client(headers={"Authorization": f"Key {key}"}, timeout=60) as client:
        page = list(query)
        while True:
            answer = client.get(url, params=page)
            answer.raise_for_status()
            told = answer.json()
            yield from told["models"]
            if not told.get("next_cursor"):
                return
            page = [*query, ("cursor", str(told["next_cursor"]))]


def drift(captured: Mapping[str, Any], today: Mapping[str, Any] | None) -> Iterator[str]:
    """Say how an endpoint differs from what was captured."""
    name = captured["endpoint_id"]
    if today is None:
        if captured["status"] == "active":
            yield f"{name}: fal does not list it any more"
        return
    status = _status(today)
    if status != captured["status"]:
        yield f"{name}: status {captured['status'][:40]!r} → {status!r}"
    if today["input_schema"] is None:
        yield f"{name}: fal gives no schema of it"
        return
    yield from _fields(f"{name}: ", captured.get("input_schema") or {}, today["input_schema"])
    yield from _fields(
        f"{name}: result's ", captured.get("output_schema") or {}, today["output_schema"]
    )


def _fields(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Say which fields came, went or changed, and which inside of them."""
    yield from (f"{where}{field} is gone" for field in old if field not in new)
    yield from (f"{where}{field} is new" for field in new if field not in old)
    for field in (field for field in old if field in new):
        yield from _rule(f"{where}{field}", old[field], new[field])


def _rule(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for word in ("type", "enum", "default", "required", "min", "max", "max_length"):
        before, after = (_plain(rule.get(word)) for rule in (old, new))
        if before != after and not (word == "required" and not before and not after):
            yield f"{where}.{word} {before!r} → {after!r}"
    if "items" in old and "items" in new:
        yield from _rule(f"{where}[]", old["items"], new["items"])
    if "properties" in old and "properties" in new:
        yield from _fields(f"{where}.", old["properties"], new["properties"])


def _status(today: Mapping[str, Any]) -> str:
    return str(today.get("metadata", {}).get("status", "active"))


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: what was captured is read with decimals."""
    return json.loads(json.dumps(value, default=float))


def taken_over(
    captured: Mapping[str, Any], today: Mapping[str, Any] | None, date: str
) -> dict[str, Any]:
    """Return a captured endpoint with what fal says on a date; prices come from elsewhere.

    An active endpoint that fal lists no more is kept, as retired: ledgers speak of it.
    """
    if today is None:
        gone = {"status": f"dropped from fal's list before {date}", "source_date": date}
        return {**captured, **(gone if captured["status"] == "active" else {})}
    taken = {**captured, "status": _status(today), "source_date": date}
    if today["input_schema"] is not None:
        taken |= {key: today[key] for key in ("input_schema", "output_schema")}
    return taken


def read(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return one of the platform's models with its fields in the captured form.

    Both schemas are None where fal gives none, or one that describes no call.
    """
    try:
        wanted, given = openapi.reduced(model["openapi"])
    except (KeyError, ValueError):
        return {**model, "input_schema": None, "output_schema": None}
    return {**model, "input_schema": wanted, "output_schema": given}


def _updated(captured: list[dict[str, Any]], *, write: bool) -> list[dict[str, Any]]:
    """Print what fal says otherwise today; return what is captured from now on."""
    key = os.environ.get("FAL_KEY")
    if not key:
        sys.exit("FAL_KEY is not set; --live asks fal with it. Nothing is paid.")
    names = [item["endpoint_id"] for item in captured]
    today = {item["endpoint_id"]: read(item) for item in live(names, key)}
    pairs = [(item, today.get(item["endpoint_id"])) for item in captured]
    changes = [line for pair in pairs for line in drift(*pair)]
    changes += [
        f"{name}: is not in the catalog; give it a name in {NAMES.relative_to(ROOT)}"
        for name in unknown(names, key)
    ]
    print("\n".join(changes) or "nothing has changed")
    if not write:
        return captured
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    taken = [taken_over(*pair, date) for pair in pairs]
    CAPTURED.write_text(json.dumps(taken, indent=1, default=float) + "\n", "utf-8")
    return taken


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    captured = json.loads(CAPTURED.read_text("utf-8"), parse_float=Decimal)
    if chosen.live:
        captured = _updated(captured, write=chosen.write)
        if not chosen.write:
            return 0
    stale = []
    for name, text in files(captured).items():
        file = PACKAGE / "catalog" / name
        if not file.exists() or file.read_text("utf-8") != text:
            stale.append(name)
            if not chosen.check:
                file.write_text(text, "utf-8")
    if chosen.check and stale:
        print(f"not what the schemas give: {', '.join(stale)}; run `make catalog-fal`")
    return int(chosen.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
