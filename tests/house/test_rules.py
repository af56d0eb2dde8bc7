"""The repository's own rules, kept by a machine."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import onetake
from onetake import opening, provider, sync

ROOT = Path(__file__).parents[2]
SOURCES = [
    *ROOT.glob("src/**/*.py"),
    *ROOT.glob("providers/*/src/**/*.py"),
    *ROOT.glob("examples/**/*.py"),
]


def functions() -> Iterator[tuple[str, int]]:
    """Yield each function of the sources with its length in lines."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                length = node.end_lineno - node.lineno + 1
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", length


def test_functions_do_one_thing() -> None:
    """Nine in ten have at most 30 lines; none has more than 60 but for declarations.

    A command's options and a method's arguments are declarations; they count as one line each
    all the same, so the few commands with many options are named here.
    """
    lengths = dict(functions())
    allowed = {"generate", "generate_many", "compare", "upgrade"}
    long = {name: n for name, n in lengths.items() if n > 60 and name.split()[-1] not in allowed}
    assert long == {}
    short = sum(length <= 30 for length in lengths.values())
    assert short / len(lengths) >= 0.9


def test_modules_are_rooms_not_halls() -> None:
    """At most 400 lines; data stands in files of its own."""
    for path in SOURCES:
        lines = len(path.read_text().splitlines())
        assert lines <= 400, f"{path}: {lines}"


def test_no_module_is_a_drawer() -> None:
    """Names say what is inside."""
    banned = {"utils", "helpers", "common", "base", "core", "models", "misc"}
    found = [path for path in SOURCES if path.stem in banned and "cli" not in path.parts]
    assert found == []


def test_everything_public_is_exported_once() -> None:
    """``__all__`` is what is there, in order, and each name says where it lives."""
    names = [name for name in onetake.__all__ if name != "__version__"]
    assert names == sorted(names, key=lambda name: (name[0].islower(), name))
    assert dir(onetake) == sorted(onetake.__all__)
    for name in names:
        assert getattr(onetake, name) is not None
    with pytest.raises(AttributeError):
        onetake.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_public_functions_say_what_they_do() -> None:
    """Every public function and class of the sources has a docstring."""
    missing = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                public = not node.name.startswith("_")
                if public and ast.get_docstring(node) is None:
                    missing.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert missing == []


def test_the_blocking_provider_mirrors_the_async_one() -> None:
    """Same names, same arguments; only ``aclose`` is called ``close``."""
    original = {
        name: member
        for name, member in inspect.getmembers(provider.Provider)
        if not name.startswith("_")
    }
    mirror = {
        name: member
        for name, member in inspect.getmembers(sync.Provider)
        if not name.startswith("_")
    }
    original["close"] = original.pop("aclose")
    assert set(mirror) == set(original)
    for name, member in original.items():
        if not isinstance(member, property):
            assert inspect.signature(mirror[name]) == inspect.signature(member), name
    assert inspect.signature(sync.get_provider) == inspect.signature(opening.get_provider)


def test_the_project_speaks_only_of_itself() -> None:
    """No path of a machine, no key, no registry host in what is kept."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    banned = [
        re.compile(r"/(home|Users|root|work)/[a-z]"),
        re.compile(r"\bpypi\.org/simple|registry\.npmjs|files\.pythonhosted"),
        re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}:[0-9a-f]{32}"),
        re.compile(r"api-key-kling-[A-Za-z0-9]{20}"),
    ]
    for name in listed.stdout.split():
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".mjs", ".txt", "") and path.is_file():
            text = path.read_text(errors="replace")
            for pattern in banned:
                assert not pattern.search(text), f"{name}: {pattern.pattern}"


def test_the_generated_docs_are_fresh() -> None:
    """``make docs`` has been run."""
    command = [sys.executable, str(ROOT / "tools/generate_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
