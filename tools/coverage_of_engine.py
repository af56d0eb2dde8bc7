"""Branch coverage of the engine and the ledger: every line and branch, or it fails.

Runs all tests that touch them, with the processes that they start. Python 3.11 and 3.12 lose the
rest of a coroutine's frame once an exception was thrown into it, so the figures there are too low.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = (
    "tests/test_*.py",
    "tests/faults",
    "providers/kling/tests/test_chains.py",
    "providers/fal/tests/test_queue.py",
)
WHAT = "src/onetake/engine/*,src/onetake/ledger/*"


def coverage(*arguments: str) -> int:
    """Run coverage.py."""
    return subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=ROOT).returncode


def main() -> int:
    """Measure, and fail below 100 %."""
    if sys.version_info < (3, 13):
        print("coverage of coroutines needs Python 3.13 or newer; make coverage PYTHON=python3.13")
        return 2
    coverage("erase")
    files = [str(path) for pattern in TESTS for path in sorted(ROOT.glob(pattern))]
    marked = "not full_media and not live and not packaging"
    # what the collector closes late is not what is measured here
    quiet = (
        "-W",
        "default::ResourceWarning",
        "-W",
        "default::pytest.PytestUnraisableExceptionWarning",
    )
    options = ("-q", "-m", marked, "--timeout=300", "-n2", *quiet)
    failed = coverage("run", "-m", "pytest", *options, *files)
    coverage("combine", "--quiet")
    too_low = coverage("report", f"--include={WHAT}", "--show-missing", "--fail-under=100")
    return failed or too_low


if __name__ == "__main__":
    sys.exit(main())
