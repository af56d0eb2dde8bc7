"""Finding providers."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from onetake import ConfigurationError, get_provider, plugins

CARD = """
from onetake.catalog import ProviderCard
from onetake.hookspecs import hookimpl

@hookimpl
def onetake_provider_cards():
    return [ProviderCard(
        name="{name}", display_name="x", docs_url="x", package="x", driver="x:X", credentials=(),
        regions={{"global": "x.example"}}, distribution="{dist}", driver_api={api},
    )]
"""


def install(folder: Path, dist: str, source: str) -> None:
    """Put a package with an entry point on a path."""
    module = dist.replace("-", "_")
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[onetake]\n{dist} = {module}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path whose packages are found, and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.registry.cache_clear()
    yield tmp_path
    plugins.registry.cache_clear()


def test_both_own_providers_come_through_the_public_hook() -> None:
    """There is no other way in."""
    groups = {entry.value for entry in importlib.metadata.entry_points(group="onetake")}
    assert {"onetake_fal.plugin", "onetake_kling.plugin"} <= groups
    assert {"fal", "kling"} <= set(plugins.registry().cards)


def test_a_broken_plugin_is_reported_and_breaks_nothing(site: Path) -> None:
    """The others go on working; asking for it says why it failed."""
    install(site, "acme", "raise RuntimeError('no luck')")
    found = plugins.registry()
    assert {"fal", "kling"} <= set(found.cards)
    assert [(failure.plugin, failure.reason) for failure in found.failures] == [
        ("acme", "RuntimeError: no luck")
    ]
    with pytest.raises(ConfigurationError, match="no luck"):
        get_provider("acme")


def test_two_packages_with_one_name_are_both_named(site: Path) -> None:
    """Neither wins silently."""
    install(site, "twin-one", CARD.format(name="twin", dist="twin-one", api=1))
    install(site, "twin-two", CARD.format(name="twin", dist="twin-two", api=1))
    with pytest.raises(ConfigurationError, match=r"twin-one and twin-two"):
        get_provider("twin")


def test_a_plugin_of_another_driver_api_is_refused(site: Path) -> None:
    """Saying which version is needed."""
    install(site, "old", CARD.format(name="old", dist="old", api=99))
    with pytest.raises(ConfigurationError, match="driver API 99"):
        get_provider("old")


def test_the_environment_selects_plugins(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``ONETAKE_PLUGINS`` names the entry points that load; empty means none."""
    monkeypatch.setenv("ONETAKE_PLUGINS", "kling")
    assert set(plugins.registry().cards) == {"kling"}
    plugins.registry.cache_clear()
    monkeypatch.setenv("ONETAKE_PLUGINS", "")
    assert plugins.registry().cards == {}


def test_an_unknown_provider_lists_the_installed_ones() -> None:
    """With the command that installs it, if it is one of ours."""
    with pytest.raises(ConfigurationError, match="installed: fal, kling"):
        get_provider("runway")


HEAVY = ("fal_client", "httpx", "jwt", "sqlalchemy", "av", "PIL", "typer", "starlette", "alembic")


def imported_by(code: str) -> set[str]:
    """Return the top-level modules that running the code imports."""
    script = f"import sys\n{code}\nprint(','.join({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.strip().splitlines()[-1].split(","))


def test_importing_onetake_loads_nothing_heavy() -> None:
    """No HTTP client, database, media library or SDK until it is needed."""
    assert imported_by("import onetake") & set(HEAVY) == set()


def test_listing_models_and_comparing_prices_load_no_sdk() -> None:
    """Cards, catalogs and prices are data."""
    code = (
        "import onetake\nfrom onetake import plugins\n"
        "[plugins.catalog(name).cards for name in plugins.registry().cards]\n"
        "onetake.compare(onetake.GenerationRequest('x', generation_type='text-to-video'))"
    )
    assert imported_by(code) & {"fal_client", "jwt", "onetake_fal.driver", "av"} == set()
