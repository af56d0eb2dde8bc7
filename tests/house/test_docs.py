"""Every shell line and every Python block of README and docs runs, on the sandbox."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from onetake.testing.suite import sample_picture

pytestmark = pytest.mark.docs
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"```(console|python)\n(.*?)```", re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and text of each block that runs."""
    return BLOCK.findall(page.read_text())


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem
)
def test_the_page_runs(page: Path, tmp_path: Path) -> None:
    """In order, in an empty folder with a picture."""
    (tmp_path / "picture.jpg").write_bytes(sample_picture())
    environment = {**os.environ, "ONETAKE_SANDBOX": "1", "ONETAKE_HOME": str(tmp_path / "home")}
    for language, text in blocks(page):
        for command in commands(language, text):
            done = subprocess.run(
                command,
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def commands(language: str, text: str) -> list[list[str]]:
    """Return what to run; installing and building are tested elsewhere."""
    if language == "python":
        return [[sys.executable, "-c", text]]
    found = []
    for line in text.splitlines():
        words = shlex.split(line)
        if words and words[0] == "onetake":
            found.append([sys.executable, "-m", *words])
        else:
            assert not words or words[0] in ("pip", "make"), f"what is {line!r}?"
    return found


def test_links_lead_somewhere() -> None:
    """Relative links of all pages."""
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem
)
def test_the_example_runs(example: Path, tmp_path: Path) -> None:
    """From nothing to files."""
    done = subprocess.run(
        [sys.executable, example, str(tmp_path / "out")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if example.stem == "demo":
        assert {path.name for path in (tmp_path / "out").iterdir()} == {
            "fal.mp4", "kling.mp4", "picture.jpg",
        }  # fmt: skip
        assert done.stdout.count("0.070") >= 4


def test_make_names_every_command_of_the_readme() -> None:
    """The two commands exist."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"demo", "test", "test-all", "check", "fix", "docs", "live"} <= set(done.stdout.split())
