"""What is built is what is wanted: wheels and sdists are opened, installed and used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(240)]
ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {
    "onetake": (ROOT, "src/onetake"),
    "onetake_fal": (ROOT / "providers/fal", "src/onetake_fal"),
    "onetake_kling": (ROOT / "providers/kling", "src/onetake_kling"),
}


def run(*command: str | Path, **options: object) -> str:
    """Run a command; return its output."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All distributions, and the template from a copy outside the tree."""
    out = tmp_path_factory.mktemp("dist")
    template = tmp_path_factory.mktemp("elsewhere") / "onetake-paintbox"
    shutil.copytree(ROOT / "examples/provider_template", template)
    for folder in [*(folder for folder, _ in DISTRIBUTIONS.values()), template]:
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, folder)
    return out


def files_of(source: Path) -> set[str]:
    """Return the files of a package as they should arrive."""
    return {
        str(path.relative_to(source.parent))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_wheel_holds_the_package_and_nothing_else(built: Path, name: str) -> None:
    """Code, typing marker, catalogs, prices; no tests, no docs, no other distribution."""
    folder, source = DISTRIBUTIONS[name]
    [wheel] = built.glob(f"{name}-0*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    own = {item for item in names if ".dist-info/" not in item}
    assert own == files_of(folder / source)
    assert f"{name}/py.typed" in own
    assert any(item.endswith("licenses/LICENSE") for item in names)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_sdist_holds_the_source_and_nothing_else(built: Path, name: str) -> None:
    """No tests, no lock file, no cache, no other distribution."""
    folder, source = DISTRIBUTIONS[name]
    [sdist] = built.glob(f"{name}-0*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {item.name.partition("/")[2] for item in archive.getmembers() if item.isfile()}
    expected = {f"src/{item}" for item in files_of(folder / source)}
    extra = {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO", ".gitignore"}
    if name == "onetake":
        extra.add("CHANGELOG.md")
    assert expected <= names
    assert names - expected <= extra


def test_the_template_works_beside_built_wheels(built: Path, tmp_path: Path) -> None:
    """Copied out of the tree, installed, listed, and generating on the sandbox."""
    site = tmp_path / "site"
    wheels = sorted(built.glob("*.whl"))
    assert len(wheels) == 4
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
        "--target", site, *wheels,
    )  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(site), "ONETAKE_HOME": str(tmp_path / "home")}
    options = {"env": environment, "cwd": tmp_path}
    where = run(sys.executable, "-c", "import onetake; print(onetake.__file__)", **options)
    assert where.startswith(str(site)), "the built wheel is what runs"
    listed = json.loads(run(sys.executable, "-m", "onetake", "providers", "--json", **options))
    assert {item["name"] for item in listed["providers"]} == {"fal", "kling", "paintbox"}
    made = json.loads(
        run(
            sys.executable,
            "-m",
            "onetake",
            "generate",
            "a lake",
            "-p",
            "paintbox",
            "-m",
            "paintbox-one",
            "--sandbox",
            "-o",
            "lake.mp4",
            "--json",
            **options,
        )
    )
    assert made["actual"] == {"amount": "0.2", "currency": "USD", "units": None}
    assert (tmp_path / "lake.mp4").stat().st_size > 1000
    suite = built.parent / "suite"
    shutil.copytree(ROOT / "examples/provider_template/tests", suite, dirs_exist_ok=True)
    report = run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull,
        "-W", "ignore", suite, **options,
    )  # fmt: skip
    assert "passed" in report
