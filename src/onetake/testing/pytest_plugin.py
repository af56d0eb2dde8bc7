"""The pytest plugin: tests never pay by accident.

It is loaded in every pytest run where onetake is installed, so it imports nothing and does one
thing: unless ``ONETAKE_LIVE`` is set already, it forbids calls to live vendors.
"""

from __future__ import annotations

import os


def pytest_configure(config: object) -> None:
    """Forbid live calls for this run."""
    os.environ.setdefault("ONETAKE_LIVE", "0")
