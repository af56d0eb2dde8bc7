"""Signs of life: what is claimed or held for a worker ends if it gives none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def alive(
    work: Callable[[], Awaitable[T]], sign: Callable[[], Awaitable[object]], lease: float
) -> T:
    """Do work that may take long, and give signs of life meanwhile.

    Args:
        work: is done once.
        sign: gives a sign; it must not raise.
        lease: seconds that one sign lasts; three are given in that time.
    """

    async def give() -> None:
        while True:
            await anyio.sleep(lease / 3)
            await sign()

    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(give)
        try:
            done = await work()
        except Exception as error:  # noqa: BLE001 - raised below: outside of the group, and bare
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return done
