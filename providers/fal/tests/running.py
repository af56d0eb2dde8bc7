"""Running work with fal on a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio

from onetake import GenerationRequest, get_provider
from onetake.settings import Settings
from onetake.testing import SandboxServer

Work = Callable[[Any], Coroutine[Any, Any, Any]]


def run(server: SandboxServer, home: Path, work: Work, seconds: float = 0.0, **options: Any) -> Any:
    """Run work with a provider whose jobs are expected to take so many seconds."""
    settings = Settings(home=home, sandbox_seconds_per_job=seconds)

    async def main() -> Any:
        async with get_provider("fal", sandbox=server.url, settings=settings, **options) as fal:
            return await work(fal)

    return anyio.run(main)


def generated(server: SandboxServer, home: Path, request: GenerationRequest) -> Any:
    """Generate."""
    return run(server, home, lambda fal: fal.generate(request, timeout=60))
