"""Generates several films in one process: PROVIDER MODEL COUNT NAME."""

from __future__ import annotations

import sys

import anyio

from onetake import GenerationRequest, get_provider


async def main() -> int:
    """Return 0 if every film was delivered."""
    provider, model, count, name = sys.argv[1:5]
    requests = [
        GenerationRequest(f"{name} {number}", model=model, key=f"{name}-{number}")
        for number in range(int(count))
    ]
    failed = 0
    async with get_provider(provider) as vendor:
        async for outcome in vendor.generate_many(requests):
            if outcome.error is not None:
                print(outcome.error, file=sys.stderr)
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(anyio.run(main))
