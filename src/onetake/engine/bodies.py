"""Bodies: from the stored form with placeholders to the bytes that are sent."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from onetake.driver import Blob
from onetake.errors import LedgerError, RequestError
from onetake.files import write_atomic
from onetake.http import dump_json

_HASH = re.compile("[0-9a-f]{64}")


def stored_form(value: Any) -> Any:
    """Return a body as the ledger keeps it: `Blob` becomes ``{"$blob": sha256, …}``."""
    if isinstance(value, Blob):
        return value.to_json()
    if isinstance(value, Mapping):
        if "$blob" in value:
            raise RequestError("parameters: a field may not be called $blob.")
        return {key: stored_form(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [stored_form(item) for item in value]
    return value


def encode(value: Any, read: Callable[[str], bytes]) -> bytes:
    """Return the bytes of a stored body; ``read`` gives a blob's bytes by its hash."""
    return dump_json(_filled(value, read))


def _filled(value: Any, read: Callable[[str], bytes]) -> Any:
    if isinstance(value, Mapping):
        if "$blob" in value:
            return _inline(value, read)
        return {key: _filled(item, read) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(item, read) for item in value]
    return value


def _inline(blob: Mapping[str, str], read: Callable[[str], bytes]) -> str:
    text = base64.b64encode(read(blob["$blob"])).decode()
    if blob["encoding"] == "data_uri":
        return f"data:{blob['media_type']};base64,{text}"
    return text


class BlobStore:
    """Input files that a stored body refers to, by content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep the bytes; they are there already if the same file was used before."""
        path = self._path(sha256)
        if path.exists():
            os.utime(path)  # in use again: not to be pruned
        else:
            write_atomic(path, data)

    def read(self, sha256: str) -> bytes:
        """Return the bytes.

        Raises:
            LedgerError: they are gone; the body cannot be sent again as it was.
        """
        try:
            return self._path(sha256).read_bytes()
        except OSError as error:
            raise LedgerError(
                f"the input file {sha256[:12]}… of this job is gone from {self._folder}."
            ) from error

    def _path(self, sha256: str) -> Path:
        if _HASH.fullmatch(sha256) is None:
            raise LedgerError(f"{sha256[:20]!r} is not the name of an input file.")
        return self._folder / sha256[:2] / sha256
