"""Charges: whether a sandbox took what the price book said."""

from __future__ import annotations

from decimal import Decimal

from onetake.job import Job
from onetake.testing.server import SandboxServer


def check_charge(server: SandboxServer, job: Job, seconds: float) -> bool:
    """Compare a finished job's estimate with what the emulated vendor charged for it.

    Where the price depends on the length of an input that was not read beforehand, the price of
    a second is compared.

    Args:
        server: the sandbox.
        job: a delivered job; the newest one, if its vendor answers it at once.
        seconds: length of the input that decides, where one does.

    Returns:
        False if the price book has no price of it.

    Raises:
        AssertionError: they differ.
    """
    price = job.estimate
    assert price is not None
    if price["row"] is None:
        assert price["expected"] is None
        return False
    charges = server.charges()
    own = [item for item in charges if item["task_id"] == job.task_id]
    [charge] = own or charges[-1:]  # a call that is answered at once names no task
    taken = Decimal(charge["amount"])
    if price["expected"] is not None:
        assert taken == Decimal(price["expected"])
        assert job.actual is not None
        assert Decimal(job.actual["amount"]) == taken, "and the vendor's answer says so"
    elif price["per_second"] is not None:
        assert taken == Decimal(price["per_second"]) * Decimal(str(seconds))
    assert price["low"] is None or Decimal(price["low"]) <= taken
    assert price["high"] is None or taken <= Decimal(price["high"])
    return True
