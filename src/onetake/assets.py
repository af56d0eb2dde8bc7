"""Assets: the files that go into a generation.

An `Asset` says where a file is; `load` reads it, once, and says what it is. Nothing here knows
a vendor: what a model takes is written in its card's `onetake.catalog.InputSlot`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import io
import mimetypes
import urllib.parse
import urllib.request
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from onetake.errors import AssetError

MediaKind = Literal["image", "video", "audio", "file"]
AssetSource = str | Path | bytes | IO[bytes]

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
)


UNTOLD = "image/*"
"""Media type of a remote file whose URL does not tell it: most are pictures."""

VENDOR_ID = "id:"
"""Beginning of a source that names a file by the vendor's id."""


@dataclass(frozen=True, slots=True)
class Asset:
    """An input file and, optionally, the slot it fills.

    Attributes:
        source: path (``~`` and ``file://`` work), ``http(s)://`` URL, ``data:`` URI, bytes, a
            binary file object, or ``id:…`` for a file that the vendor has, by its own id.
        role: ``first_frame``, ``last_frame``, ``reference``, ``video``, ``audio`` …;
            None lets the model's slots be filled by media kind, in order.
        name: file name to tell the vendor and to use in messages.
        media_type: media type, if it cannot be told from the content.
    """

    source: AssetSource = field(repr=False)
    role: str | None = None
    name: str | None = None
    media_type: str | None = None

    @property
    def label(self) -> str:
        """A short name for messages; never the content."""
        if self.name:
            return self.name
        if isinstance(self.source, bytes):
            return f"{len(self.source)} bytes"
        if isinstance(self.source, str | Path):
            text = str(self.source)
            return text if len(text) <= 200 else f"{text[:60]}…"
        return str(getattr(self.source, "name", "a file object"))


@dataclass(frozen=True, slots=True)
class LoadedAsset:
    """An asset that was read: either its bytes or, for a remote file, its URL.

    Attributes:
        role: the slot it fills, or None until `onetake.fitting.fit` chose one.
        kind: ``image``, ``video``, ``audio``, or ``file`` for anything else.
        media_type: such as ``image/png``.
        name: file name for the vendor and for messages.
        sha256: of the bytes; for a remote file, of its URL.
        data: the bytes, or None for a remote file.
        url: the URL of a remote file, or None.
        width: pixels, for pictures and videos that were read.
        height: pixels, for pictures and videos that were read.
        seconds: duration of a video or sound that was read.
        fps: frames per second of a video that was read.
        vendor_id: the vendor's id of the file, where it is known to the vendor.
    """

    role: str | None
    kind: MediaKind
    media_type: str
    name: str
    sha256: str
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    fps: float | None = None
    vendor_id: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return what the ledger keeps of it: facts, no content."""
        return {
            "role": self.role,
            "kind": self.kind,
            "media_type": self.media_type,
            "name": self.name,
            "sha256": self.sha256,
            "bytes": None if self.data is None else len(self.data),
            "url": self.url,
            "vendor_id": self.vendor_id,
        }


def load(asset: Asset, *, any_kind: bool = False) -> LoadedAsset:
    """Read an asset and find out what it is.

    Args:
        asset: the file.
        any_kind: accept what is neither picture, video nor sound, too.

    Raises:
        AssetError: the file is missing, empty, unreadable, or neither picture, video nor sound.
    """
    if isinstance(asset.source, str) and asset.source.startswith(("http://", "https://")):
        return _remote(asset, asset.source, any_kind=any_kind)
    if isinstance(asset.source, str) and _is_vendor_id(asset.source):
        return _known_to_vendor(asset, asset.source.removeprefix(VENDOR_ID))
    data, name = _read(asset)
    if not data:
        raise AssetError(f"{asset.label}: the file is empty.")
    media_type = asset.media_type or sniff(data)
    kind = _kind_of(media_type, asset.label, any_kind=any_kind)
    return LoadedAsset(
        role=asset.role,
        kind=kind,
        media_type=media_type or mimetypes.guess_type(name)[0] or "application/octet-stream",
        name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        data=data,
        **_facts(kind, data, asset.label),
    )


def is_absent(asset: Asset) -> bool:
    """Say whether an asset is a file of this machine that is not there (yet)."""
    source = asset.source
    if isinstance(source, str):
        elsewhere = source.startswith(("http://", "https://", "data:")) or _is_vendor_id(source)
        return not elsewhere and not _local_path(source).exists()
    return isinstance(source, Path) and not source.exists()


def _facts(kind: MediaKind, data: bytes, label: str) -> dict[str, Any]:
    """Measure what can be measured."""
    if kind == "file":
        return {}
    if kind == "image":
        width, height = _size_of(data, label)
        return {"width": width, "height": height}
    return _stream_facts(data, label)


def _is_vendor_id(source: str) -> bool:
    return source.startswith(VENDOR_ID) and not Path(source).exists()


def _known_to_vendor(asset: Asset, vendor_id: str) -> LoadedAsset:
    if not vendor_id.strip():
        raise AssetError("id: an id of the vendor's belongs behind the colon.")
    media_type = asset.media_type or "video/mp4"
    return LoadedAsset(
        role=asset.role,
        kind=_kind_of(media_type, asset.label),
        media_type=media_type,
        name=asset.name or f"id {vendor_id}",
        sha256=hashlib.sha256(f"{VENDOR_ID}{vendor_id}".encode()).hexdigest(),
        vendor_id=vendor_id,
    )


def sniff(data: bytes) -> str | None:
    """Tell the media type from the first bytes; None when nothing matches."""
    for offset, signature, media_type in _SIGNATURES:
        if data[offset : offset + len(signature)] == signature:
            return media_type
    return None


def _remote(asset: Asset, url: str, *, any_kind: bool) -> LoadedAsset:
    path = urllib.parse.urlsplit(url).path
    media_type = asset.media_type or mimetypes.guess_type(path)[0] or UNTOLD
    return LoadedAsset(
        role=asset.role,
        kind=_kind_of(media_type, asset.label, any_kind=any_kind),
        media_type=media_type,
        name=asset.name or Path(path).name or "file",
        sha256=hashlib.sha256(url.encode()).hexdigest(),
        url=url,
    )


def _read(asset: Asset) -> tuple[bytes, str]:
    source = asset.source
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), asset.name or "asset"
    if isinstance(source, str) and source.startswith("data:"):
        return _from_data_uri(source), asset.name or "asset"
    if isinstance(source, str | Path):
        return _from_path(asset, source)
    return _from_file_object(asset, source)


def _from_file_object(asset: Asset, source: IO[bytes]) -> tuple[bytes, str]:
    """Read a file object, and put it back where it was: it may be read again."""
    if not hasattr(source, "read"):
        raise AssetError(
            f"an asset of type {type(source).__name__} cannot be read.",
            hint="Give a path, a URL, bytes, or a file opened in binary mode.",
        )
    start = source.tell() if source.seekable() else None
    data = source.read()
    if start is not None:
        source.seek(start)
    if not isinstance(data, bytes):
        raise AssetError(f"{asset.label}: the file object must be opened in binary mode ('rb').")
    return data, asset.name or Path(str(getattr(source, "name", "asset"))).name


def _from_path(asset: Asset, source: str | Path) -> tuple[bytes, str]:
    path = _local_path(source)
    try:
        return path.read_bytes(), asset.name or path.name
    except FileNotFoundError:
        raise AssetError(f"{path}: there is no such file.") from None
    except IsADirectoryError:
        raise AssetError(f"{path}: this is a folder, not a file.") from None
    except OSError as error:
        raise AssetError(f"{path}: cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise AssetError(f"{str(path)!r}: is no file name: {error}.") from error


def _local_path(source: str | Path) -> Path:
    if isinstance(source, str) and source.startswith("file://"):
        return Path(urllib.request.url2pathname(urllib.parse.urlsplit(source).path))
    return Path(source).expanduser()


def _from_data_uri(uri: str) -> bytes:
    header, _, payload = uri.partition(",")
    try:
        if header.endswith(";base64"):
            return base64.b64decode(payload, validate=True)
        return urllib.parse.unquote_to_bytes(payload)
    except (binascii.Error, ValueError) as error:
        raise AssetError(f"the data URI {header}… cannot be decoded: {error}.") from error


_KINDS: Mapping[str, MediaKind] = {"image": "image", "video": "video", "audio": "audio"}


def _kind_of(media_type: str | None, label: str, *, any_kind: bool = False) -> MediaKind:
    """Tell the kind of a file; where any will do, what is no media is a ``file``."""
    kind = _KINDS.get((media_type or "").partition("/")[0])
    if kind is not None or any_kind:
        return kind or "file"
    if media_type is None:
        raise AssetError(
            f"{label}: this is not a picture, video or sound that onetake knows.",
            hint="Give a JPEG, PNG, WebP, MP4, MOV, MP3 or WAV file.",
        )
    raise AssetError(f"{label}: {media_type} is neither a picture, a video nor sound.")


def _learn_heic(data: bytes) -> None:
    """Let Pillow read HEIC, where the extra is installed."""
    if sniff(data) in ("image/heic", "image/heif"):
        with contextlib.suppress(ImportError):
            import pillow_heif  # type: ignore[import-not-found,unused-ignore]

            pillow_heif.register_heif_opener()


def _size_of(data: bytes, label: str) -> tuple[int | None, int | None]:
    from PIL import Image, UnidentifiedImageError

    _learn_heic(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as picture:
                return picture.size
    except UnidentifiedImageError:
        if sniff(data) in ("image/heic", "image/heif"):
            raise AssetError(
                f"{label}: reading HEIC pictures needs an extra package.",
                hint="Install it with `pip install 'onetake[heic]'`, or give a JPEG.",
            ) from None
        raise AssetError(f"{label}: the picture cannot be decoded; is the file damaged?") from None
    except (OSError, SyntaxError, Image.DecompressionBombError, Warning) as error:
        raise AssetError(f"{label}: the picture cannot be read: {error}.") from error


def _stream_facts(data: bytes, label: str) -> dict[str, Any]:
    """Measure a video or sound."""
    import av

    try:
        with av.open(io.BytesIO(data), "r") as container:
            seconds = None if container.duration is None else container.duration / av.time_base
            if not container.streams.video:
                return {"seconds": seconds}
            video = container.streams.video[0]
            fps = None if video.average_rate is None else float(video.average_rate)
            return {"seconds": seconds, "fps": fps, "width": video.width, "height": video.height}
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise AssetError(f"{label}: it cannot be read as video or sound: {error}.") from error
