"""Bodies: from the stored form with placeholders to the bytes that are sent."""

from __future__ import annotations

import base64
import io
import os
import re
import secrets
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
    """Return the bytes of a stored body; ``read`` gives a blob's bytes by its hash.

    A file is written straight into the body, piece by piece: beside the file and the body there is
    never a third copy.
    """
    mark = secrets.token_hex(16)
    blobs: list[Mapping[str, str]] = []
    text = dump_json(_marked(value, mark, blobs))
    body = io.BytesIO()
    plain = text.split(mark.encode())
    body.write(plain[0])
    for blob, piece in zip(blobs, plain[1:], strict=True):
        _inline(blob, read(blob["$blob"]), body)
        body.write(piece)
    return body.getvalue()


def _marked(value: Any, mark: str, blobs: list[Mapping[str, str]]) -> Any:
    """Put a mark where each blob goes, and note the blobs in order."""
    if isinstance(value, Mapping):
        if "$blob" in value:
            blobs.append(value)
            return mark
        return {key: _marked(item, mark, blobs) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(item, mark, blobs) for item in value]
    return value


_PIECE = 3 * 65_536
"""Bytes that are encoded at once; a multiple of three leaves no padding in between."""


def _inline(blob: Mapping[str, str], data: bytes, body: io.BytesIO) -> None:
    if blob["encoding"] == "data_uri":
        body.write(f"data:{blob['media_type']};base64,".encode())
    view = memoryview(data)
    for start in range(0, len(view), _PIECE):
        body.write(base64.b64encode(view[start : start + _PIECE]))


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
