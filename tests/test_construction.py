"""How people construct providers, row by row, and what must happen."""

from __future__ import annotations

import time
from typing import Any

import anyio
import httpx
import pytest

from onetake import AuthenticationError, ConfigurationError, GenerationRequest, get_provider, sync
from onetake.provider import Provider
from onetake.settings import Settings
from onetake.testing import SandboxServer

LAKE = GenerationRequest("a lake", model="kling-v2.6-pro-text")
PAIR = {"access_key": "sandbox-ak", "secret_key": "sandbox-sk"}


def generated(backend: str = "asyncio", **arguments: Any) -> Any:
    """Generate with a provider made from these arguments."""
    name = arguments.pop("name", "kling")
    request = arguments.pop("request", LAKE)

    async def main() -> Any:
        async with get_provider(name, **arguments) as provider:
            return await provider.generate(request)

    return anyio.run(main, backend=backend)


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("fal", {"FAL_KEY": "sandbox:sandbox"}),
        ("fal", {"FAL_KEY_ID": "sandbox", "FAL_KEY_SECRET": "sandbox"}),
        ("kling", {"KLING_API_KEY": "sandbox"}),
        ("kling", {"KLING_API_KEY": "sandbox-ak:sandbox-sk"}),
        ("kling", {"KLING_ACCESS_KEY": "sandbox-ak", "KLING_SECRET_KEY": "sandbox-sk"}),
        ("kling", {"Kling_Access_Key": "sandbox-ak", "Kling_Secret_Key": "sandbox-sk"}),
        ("kling", {"KLINGAI_ACCESS_KEY": "sandbox-ak", "KLINGAI_SECRET_KEY": "sandbox-sk"}),
    ],
)
def test_credentials_of_the_environment(
    server: SandboxServer,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    environment: dict[str, str],
) -> None:
    """Every spelling that circulates works."""
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    result = generated(name=name, sandbox=server.url, settings=settings)
    assert result.artifacts[0].path.exists()
    old_api = bool(server.requests(method="POST", path="/v1/videos"))
    assert old_api == ("ak" in "".join(environment.values()))


def test_explicit_credentials_beat_the_environment(
    server: SandboxServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And two providers with different keys are two objects."""
    monkeypatch.setenv("KLING_API_KEY", "wrong")
    generated(api_key="sandbox", sandbox=server.url, settings=settings)
    generated(sandbox=server.url, settings=settings, **PAIR)
    with pytest.raises(AuthenticationError, match="KLING_API_KEY"):
        generated(sandbox=server.url, settings=settings)
    assert len(server.charges()) == 2


def test_keys_of_the_environment_stay_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """The in-process sandbox does not look at them; one elsewhere does not get them."""
    monkeypatch.setenv("FAL_KEY", "a-real:key")
    assert generated(name="fal", sandbox=True, settings=settings).artifacts
    elsewhere = get_provider("fal", sandbox="http://sandbox.example:8787", settings=settings)
    assert elsewhere._workshop.credentials().values == {"api_key": "sandbox:sandbox"}
    here = get_provider("fal", sandbox="http://127.0.0.1:8787", settings=settings)
    assert here._workshop.credentials().values == {"api_key": "a-real:key"}


@pytest.mark.parametrize(
    ("arguments", "host"),
    [
        ({}, "api-singapore.klingai.com"),
        ({"region": "global"}, "api-singapore.klingai.com"),
        ({"region": "singapore"}, "api-singapore.klingai.com"),
        ({"region": "cn"}, "api-beijing.klingai.com"),
        ({"base_url": "https://gateway.example/kling"}, "gateway.example"),
    ],
)
def test_regions_and_base_urls(settings: Settings, arguments: dict[str, str], host: str) -> None:
    """The host is part of the account; each works on the sandbox."""
    provider = get_provider("kling", sandbox=True, settings=settings, **arguments)
    assert provider.account_key.host == host
    if "base_url" not in arguments:
        assert generated(sandbox=True, settings=settings, **arguments).artifacts


def test_another_region_lists_the_three() -> None:
    """When the provider is made, not at the first call."""
    with pytest.raises(ConfigurationError, match="global, singapore, cn"):
        get_provider("kling", region="europe")


def test_no_credentials_say_which_would_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all spellings, and where keys are made."""
    monkeypatch.setenv("ONETAKE_LIVE", "1")
    live = settings.model_copy(update={"live": True})
    with pytest.raises(AuthenticationError, match=r"KLING_API_KEY.*kling\.ai/dev/api-key"):
        generated(sandbox=False, settings=live)


def test_a_new_model_needs_an_api_key(server: SandboxServer, settings: Settings) -> None:
    """Said before anything is sent, with where to make one."""
    request = GenerationRequest("x", model="kling-3.0-turbo")
    with pytest.raises(AuthenticationError, match=r"kling\.ai/dev/api-key"):
        generated(request=request, sandbox=server.url, settings=settings, **PAIR)
    assert server.charges() == []


def test_a_wrong_clock_is_mended_from_the_servers(
    server: SandboxServer, settings: Settings
) -> None:
    """A token from the future is refused (1003); signed by the server's time, it works."""

    class Fast:
        """Two hours ahead."""

        def now(self) -> float:
            return time.time() + 7200

        async def sleep(self, seconds: float) -> None:
            await anyio.sleep(seconds)

    result = generated(sandbox=server.url, settings=settings, clock=Fast(), **PAIR)
    assert result.artifacts
    refused = [request for request in server.requests() if request["status"] == 401]
    assert len(refused) >= 1
    assert len(server.charges()) == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_readme_runs_on_both_libraries(backend: str, settings: Settings) -> None:
    """Kling on asyncio and on trio."""
    request = GenerationRequest(
        prompt="A serene lake at sunset",
        model="kling-v2.6-pro-text",
        parameters={"duration": 5, "aspect_ratio": "16:9"},
    )
    result = generated(
        backend, request=request, region="singapore", sandbox=True, settings=settings
    )
    assert (result.artifacts[0].width, result.artifacts[0].height) == (1920, 1080)


def test_the_blocking_twin_and_calls_without_a_context(settings: Settings) -> None:
    """From several event loops, with nothing left open."""
    with sync.get_provider("fal", sandbox=True, settings=settings) as fal:
        assert fal.generate(LAKE).path.exists()
        assert len(list(fal.generate_many([LAKE, LAKE]))) == 2
        for outcome in fal.generate_many([LAKE, LAKE]):
            assert outcome.path.exists()
            break  # leaving early is fine
    provider = get_provider("kling", sandbox=True, settings=settings)
    first = anyio.run(provider.generate, LAKE)
    second = anyio.run(provider.generate, LAKE, backend="trio")
    assert first.job.id != second.job.id
    assert provider._engines == {}, "what a call opened is closed with it"
    anyio.run(provider.aclose)


def test_a_provider_says_where_it_is_and_nothing_secret(settings: Settings) -> None:
    """Its ``repr`` is for logs."""
    provider = get_provider("fal", api_key="very-secret:key", sandbox=True, settings=settings)
    assert isinstance(provider, Provider)
    assert repr(provider) == "<Provider fal at queue.fal.run (sandbox)>"
    for thing in (provider._workshop, provider._workshop.credentials()):
        assert "very-secret" not in repr(thing)


def test_a_key_that_an_editor_changed_is_told(settings: Settings) -> None:
    """A long dash is no character of a key."""
    with pytest.raises(AuthenticationError, match="characters"):
        generated(api_key="abc–def", sandbox=True, settings=settings)


def test_settings_with_mistakes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable, its value, and what is allowed."""
    monkeypatch.setenv("ONETAKE_LEASE", "soon")
    with pytest.raises(ConfigurationError, match="ONETAKE_LEASE"):
        get_provider("fal")
    monkeypatch.delenv("ONETAKE_LEASE")
    with pytest.raises(ConfigurationError, match="sandbox"):
        get_provider("fal", sandbox="yes please")


def test_balances_are_shown(server: SandboxServer, settings: Settings) -> None:
    """Kling tells its packs; a free read."""

    async def main() -> Any:
        async with get_provider("kling", sandbox=server.url, settings=settings) as provider:
            return await provider.account()

    packs = anyio.run(main)
    assert {pack.unit for pack in packs} == {"units"}
    assert [pack.name.split("-")[1] for pack in packs] == ["Video", "Image", "Try"]
    assert httpx.get(f"{server.url}/_sandbox/charges").json() == []
