"""Writes the generated parts of the docs: models, prices, command-line help, double charges.

``--check`` writes nothing and fails if a file would change. A generated part stands between
``<!-- begin NAME -->`` and ``<!-- end NAME -->``.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from onetake import plugins
from onetake.catalog import ModelCard
from onetake.pricing import price_book
from onetake.pricing.price_book import load_price_book

ROOT = Path(__file__).parent.parent


def models(provider: str) -> str:
    """Return the table of a provider's models."""
    rows = ["| model | vendor's id | task | output | inputs | seconds | sound | price | status |"]
    rows.append("|---|---|---|---|---|---|---|---|---|")
    for card in plugins.catalog(provider).cards:
        rows.append(
            f"| `{card.name}` | `{card.vendor_id}` | {card.task} | {_output(card)} | "
            f"{_inputs(card)} | {_durations(card)} | {_sound(card)} | {_price(card)} | "
            f"{card.status} |"
        )
    return "\n".join(rows)


def _price(card: ModelCard) -> str:
    """Return what the rows of a model say, from the cheapest to the dearest."""
    book = load_price_book(plugins.provider_card(card.provider).package)
    rows = [row for row in book.price if card.name in row.models and row.valid_to is None]
    found = [(row.amount or row.units, row) for row in rows]
    if not found:
        return "unknown"
    low, high = min(value for value, _ in found), max(value for value, _ in found)
    row = found[0][1]
    span = f"{low:f}" if low == high else f"{low:f}–{high:f}"
    return f"{span} {'units' if row.units is not None else row.currency} a {row.each}"


def _output(card: ModelCard) -> str:
    spec = card.parameters.get("resolution")
    size = card.resolution or (", ".join(map(str, spec.choices)) if spec is not None else "")
    return f"{size} {card.output}".strip()


def _inputs(card: ModelCard) -> str:
    words = [
        f"{role}{'' if slot.required else '?'}{f' ×{slot.count}' if slot.count > 1 else ''}"
        for role, slot in card.inputs.items()
        if not role.startswith("element_")
    ]
    elements = [role for role in card.inputs if re.fullmatch(r"element_\d+", role)]
    if elements:
        words.append(f"{elements[0]} … {elements[-1]}?" if len(elements) > 1 else f"{elements[0]}?")
    return ", ".join(words) or "–"


def _durations(card: ModelCard) -> str:
    spec = card.parameters.get("duration")
    if spec is None:
        return "–"
    if not spec.choices:
        return f"{spec.minimum:g}–{spec.maximum:g}"
    long = len(spec.choices) > 3
    choices = spec.choices
    return f"{choices[0]}–{choices[-1]}" if long else ", ".join(str(item) for item in choices)


def _sound(card: ModelCard) -> str:
    if card.output != "video":
        return "–"
    if "audio" in card.parameters:
        return f"on or off ({'on' if card.parameters['audio'].default else 'off'})"
    if "keep_original_sound" in card.parameters:
        return "the video's"
    if "audio" not in card.fixed:
        return "not known"
    return "always" if card.fixed["audio"] else "never"


def capabilities(provider: str) -> str:
    """Return the table of capability × model × where it can be reached, with limits."""
    rows = ["| task | model | API | credentials | regions | limits |", "|---|---|---|---|---|---|"]
    for card in sorted(plugins.catalog(provider).cards, key=lambda card: card.task):
        wire = card.wire
        apis = [name for name in ("new", "legacy", "solution") if name in wire]
        keys = "API key" if "legacy" not in wire else "API key, AK/SK"
        limits = [f"prompt {card.prompt_max}"] if card.prompt_max else []
        limits += [f"{role}: {slot.allowed()}" for role, slot in card.inputs.items()]
        regions = ", ".join(plugins.provider_card(provider).regions)
        rows.append(
            f"| {card.task} | `{card.name}` | {', '.join(apis)} | {keys} | {regions} | "
            f"{'; '.join(limits)} |"
        )
    return "\n".join(rows)


def prices(provider: str) -> str:
    """Return the table of a provider's prices."""
    rows = ["| models | condition | price | read | source |", "|---|---|---|---|---|"]
    for row in load_price_book(plugins.provider_card(provider).package).price:
        names = ", ".join(f"`{name}`" for name in row.models)
        when = ", ".join(f"{key} {_on(value)}" for key, value in row.when.items()) or "–"
        amount = f"{row.currency} {row.amount}" if row.amount is not None else f"{row.units} units"
        amount = amount if row.at_least is None else f"{row.at_least} to {amount}"
        for item in row.disputed:
            amount += f" (or {item.amount or item.units}: {item.source})"
        counted = f" of the {row.measure}" if row.measure else ""
        price = f"{amount}{f' ({row.pack})' if row.pack != 'video' else ''} per {row.each}{counted}"
        rows.append(f"| {names} | {when} | {price} | {row.checked_on} | {row.source} |")
    return "\n".join(rows)


def _on(value: object) -> str:
    return {True: "on", False: "off"}.get(value, str(value))  # type: ignore[call-overload,no-any-return]


def command_line() -> str:
    """Return every command with its arguments and options, from the program itself."""
    import typer.main

    from onetake.cli import app

    return "\n\n".join(_commands("onetake", typer.main.get_command(app)))


def _commands(name: str, command: Any) -> Iterator[str]:
    children = getattr(command, "commands", None)
    if children:
        for child in children.values():
            yield from _commands(f"{name} {child.name}", child)
        return
    arguments = " ".join(
        _name(parameter) for parameter in command.params if parameter.param_type_name == "argument"
    )
    lines = [f"## {name} {arguments}".rstrip(), "", command.help or "", ""]
    rows = [
        f"| `{', '.join(parameter.opts)}` | {' '.join((parameter.help or '').split())} |"
        for parameter in command.params
        if parameter.param_type_name == "option"
    ]
    if rows:
        lines += ["| option | meaning |", "|---|---|", *rows]
    yield "\n".join(lines).strip()


def _name(parameter: Any) -> str:
    text = (parameter.metavar or parameter.name.upper()).strip("[]")
    return text if parameter.required else f"[{text}]"


_SAID = {"home": "the user's data folder", "tag_budgets": "none", "exchange_rates": "none"}


def settings() -> str:
    """Return the table of settings."""
    from onetake.settings import Settings

    source = (ROOT / "src/onetake/settings.py").read_text()
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        found = re.search(rf'^    {name}: .*?\n    """(.*?)"""', source, re.DOTALL | re.MULTILINE)
        text = " ".join(found.group(1).split()) if found else ""
        default = _SAID.get(name, f"`{field.default}`")
        rows.append(f"| `ONETAKE_{name.upper()}` | {default} | {text} |")
    return "\n".join(rows)


def waiting() -> str:
    """Return the table that `benchmarks/waiting.py --write` measured."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    benchmark = importlib.import_module("waiting")
    return str(benchmark.table(json.loads(benchmark.RESULTS.read_text("utf-8"))))


def double_submit() -> str:
    """Return the table that `benchmarks/double_submit.py --write` measured."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    benchmark = importlib.import_module("double_submit")
    record = json.loads(benchmark.RESULTS.read_text())
    return str(benchmark.table(record))


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"double-submit": double_submit},
    "docs/providers/fal.md": {
        "models": lambda: models("fal"),
        "prices": lambda: prices("fal"),
        "waiting": waiting,
    },
    "docs/providers/kling.md": {
        "models": lambda: models("kling"),
        "capabilities": lambda: capabilities("kling"),
        "prices": lambda: prices("kling"),
    },
    "docs/reference/command-line.md": {"help": command_line},
    "docs/reference/settings.md": {"settings": settings},
}


WHOLE: dict[str, Callable[[], Any]] = {
    "docs/reference/prices.schema.json": price_book.schema,
    "docs/reference/own-prices.schema.json": price_book.own_schema,
}
"""Files that are generated whole, as JSON."""


def rewritten(text: str, parts: dict[str, Callable[[], str]]) -> str:
    """Return a page with its generated parts written anew."""
    for name, make in parts.items():
        pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        assert re.search(pattern, text, re.DOTALL), f"no place for {name}"
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, after = text.partition(begin)[0], text.partition(end)[2]
        text = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
    return text


def main() -> int:
    """Write, or check."""
    check = "--check" in sys.argv
    wanted = {name: rewritten((ROOT / name).read_text(), parts) for name, parts in PARTS.items()}
    wanted |= {name: json.dumps(make(), indent=1) + "\n" for name, make in WHOLE.items()}
    stale = []
    for name, new in wanted.items():
        path = ROOT / name
        if not path.exists() or path.read_text() != new:
            stale.append(name)
            if not check:
                path.write_text(new)
    if stale and check:
        print(f"stale: {', '.join(stale)}; run `make docs`", file=sys.stderr)
        return 1
    print("docs: " + (", ".join(stale) or "up to date"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
