"""Pictures in a body: kept if they are whole; what is wrong with them shows later."""

from __future__ import annotations

import base64
import binascii
import io

from PIL import Image

from onetake.sandbox import Sandbox
from onetake_kling.sandbox.answers import invalid

SMALLEST_SIDE = 300
LARGEST_RATIO = 2.5


def keep(sandbox: Sandbox, value: str | None) -> str | None:
    """Keep an inlined picture; the sandbox has no network, so a URL stays a URL.

    Raises:
        Refusal: neither a URL nor clean base64 of a picture.
    """
    if value is None or value.startswith(("http://", "https://")):
        return None
    try:
        data = base64.b64decode(value, validate=True)
        with Image.open(io.BytesIO(data)) as picture:
            picture.verify()
            if picture.format not in ("JPEG", "PNG"):
                raise invalid("File format is not supported")
    except (binascii.Error, ValueError, OSError, SyntaxError):
        raise invalid("File is not in a valid base64 format") from None
    return sandbox.keep_picture(data)


def picture_fault(sandbox: Sandbox, file: str | None) -> str | None:
    """Pixels are judged after acceptance, as recorded 2025-12-26."""
    if file is None:
        return None
    with Image.open(io.BytesIO(sandbox.store.read_file(file))) as picture:
        width, height = picture.size
    if min(width, height) < SMALLEST_SIDE:
        return "Image pixel is invalid"
    if max(width, height) / min(width, height) > LARGEST_RATIO:
        return "Image aspect ratio is invalid"
    return None
