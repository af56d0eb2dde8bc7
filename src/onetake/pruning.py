"""Pruning: freeing the disk of what old jobs keep there. What was paid stays known for ever."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from onetake.ledger import retention
from onetake.ledger.store import Ledger
from onetake.settings import Settings


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was, or would be, let go.

    Attributes:
        jobs: ids of jobs whose inputs are forgotten.
        files: files that are deleted: input files that no open job needs, and media if asked.
        bytes: their size.
    """

    jobs: tuple[str, ...]
    files: tuple[Path, ...]
    bytes: int


def prune(
    ledger: Ledger, settings: Settings, before: float, now: float, *, media: bool, really: bool
) -> Pruned:
    """Forget the inputs of jobs that ended before a time, and delete what nobody needs any more.

    Args:
        ledger: the ledger.
        settings: say where the files are.
        before: seconds since the epoch; younger jobs and files are left alone.
        now: the time.
        media: delete delivered files of those jobs too.
        really: False only tells what would go.

    Raises:
        LedgerError: the ledger cannot be written; nothing was deleted.
    """
    if really:
        jobs = ledger.run_blocking(lambda c: retention.forget_bodies(c, before, now))
    else:
        jobs = ledger.run_blocking(lambda c: retention.bodies_before(c, before))
    used = ledger.run_blocking(retention.blobs_in_use)
    files = [path for path in _files(settings.home / "blobs", before) if path.name not in used]
    if media:
        old = ledger.run_blocking(lambda c: retention.media_before(c, before))
        files += [path for path in _files(settings.media_folder, before) if path in old]
    size = sum(path.stat().st_size for path in files)
    if really:
        for path in files:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:  # nobody has come to need it in the meantime
                    path.unlink()
    return Pruned(tuple(jobs), tuple(files), size)


def _files(folder: Path, before: float) -> Iterable[Path]:
    """Return the whole files of a folder that were not touched since a time."""
    for path in sorted(folder.glob("*/*")):
        if path.is_file() and not path.name.startswith(".") and path.stat().st_mtime < before:
            yield path
