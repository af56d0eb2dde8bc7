"""One real, paid job. Opt-in: ``make live`` with FAL_KEY set; it costs at most LIVE_MAX_USD.

The cheapest clip of the catalog: fal, v2.5 turbo standard, 5 s (USD 0.21 on 2026-08-02).
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from onetake import GenerationRequest, get_provider

pytestmark = pytest.mark.live
KEY = os.environ.get("FAL_KEY")


@pytest.mark.skipif(not KEY, reason="FAL_KEY is not set")
@pytest.mark.skipif(os.environ.get("ONETAKE_LIVE") != "1", reason="ONETAKE_LIVE is not 1")
def test_one_real_take(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paid once, delivered, and the bill is what was estimated."""
    monkeypatch.undo()  # this test is the one that may leave the machine

    async def main() -> None:
        async with get_provider("fal", api_key=KEY, sandbox=False) as provider:
            request = GenerationRequest(
                "a paper boat on a calm lake",
                model="kling-v2.5-turbo-std-image",
                parameters={"duration": 5},
                reference_assets=[picture],
            )
            result = await provider.generate(
                request, max_cost=os.environ.get("LIVE_MAX_USD", "0.30")
            )
            assert result.artifacts[0].duration == pytest.approx(5, abs=0.3)

    anyio.run(main)
