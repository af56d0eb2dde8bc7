"""Files that are either whole or not there.

Everything onetake writes goes to a temporary name in the same folder, is flushed to the disk,
and only then takes its final name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name only when the block ends without an error.

    Raises:
        OSError: the folder cannot be written, or the disk is full; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomic(path: Path, data: bytes) -> None:
    """Write a whole file, or none."""
    with atomic_file(path) as file:
        file.write(data)


def copy_atomic(source: Path, target: Path) -> None:
    """Copy a file under a new name, whole or not at all."""
    with source.open("rb") as read, atomic_file(target) as write:
        shutil.copyfileobj(read, write, 1 << 20)


def temporary_name(path: Path) -> Path:
    """Return a fresh hidden name beside ``path``."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut, where the system can."""
    flags = getattr(os, "O_DIRECTORY", None)
    if flags is None:  # pragma: no cover - Windows has no folder handles
        return
    descriptor = os.open(folder, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
