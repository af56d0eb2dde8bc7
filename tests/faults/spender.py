"""COUNT processes submit one job each: MODEL COUNT.

The first goes ahead, so that everything is imported and open before it forks the others, which
all send at the same moment. Prints the exit codes: 0 submitted, 4 over the budget, 1 anything else.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

import anyio

from onetake import BudgetExceeded, GenerationRequest, get_provider


async def spend(model: str, name: str, start: int) -> int:
    """Wait for the others, submit."""
    async with get_provider("kling") as provider:
        request = GenerationRequest(f"{name} spends", model=model)
        os.read(start, 1)  # ends when the parent has closed its side
        try:
            await provider.submit(request)
        except BudgetExceeded:
            return 4
    return 0


def child(model: str, name: str, start: int) -> int:
    """Run one process."""
    try:
        return anyio.run(spend, model, name, start)
    except Exception:
        traceback.print_exc()
        return 1


def main() -> None:
    """Go ahead, fork the others, let them go at once, gather what came of them."""
    model, count = sys.argv[1], int(sys.argv[2])
    os.nice(10)  # they race each other, and leave the processors to whatever else runs
    start, go = os.pipe()
    os.write(go, b".")
    codes = [child(model, "first", start)]
    children = []
    for number in range(1, count):
        pid = os.fork()
        if pid == 0:
            os.close(go)
            os._exit(child(model, str(number), start))
        children.append(pid)
    os.close(go)
    codes += [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    print(json.dumps(codes))


if __name__ == "__main__":
    main()
