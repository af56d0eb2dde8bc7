"""Running work with a provider on a sandbox, for tests of the engine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import anyio

from onetake import GenerationRequest, Provider, get_provider
from onetake.settings import Settings
from onetake.testing import SandboxServer

LAKE = GenerationRequest("a lake", model="kling-v2.6-pro-text")
Work = Callable[..., Coroutine[Any, Any, Any]]


def run(
    work: Work,
    server: SandboxServer,
    settings: Settings,
    name: str = "kling",
    backend: str = "asyncio",
    **arguments: Any,
) -> Any:
    """Run work with a provider."""

    async def main() -> Any:
        async with get_provider(
            name, sandbox=server.url, settings=settings, **arguments
        ) as provider:
            return await work(provider)

    return anyio.run(main, backend=backend)


def run_once(work: Work, server: SandboxServer, settings: Settings, name: str = "kling") -> Any:
    """Run work with a provider that looks for a lost submission once, and gives up."""
    hasty = settings.model_copy(update={"submit_patience": 0.0})

    async def main() -> Any:
        provider: Provider
        async with get_provider(name, sandbox=server.url, settings=hasty) as provider:
            return await work(provider)

    return anyio.run(main)
