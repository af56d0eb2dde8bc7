"""Hosting: putting local files where a vendor can read them, as the user configured it.

``fal`` is the storage of fal.ai, with the user's own key; anything else is an fsspec URL, whose
files the public reads under another URL.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Callable

import anyio.to_thread

from onetake.assets import LoadedAsset
from onetake.errors import AssetError, ConfigurationError


def folder_host(target: str, public: str | None) -> Callable[[LoadedAsset], Awaitable[str]]:
    """Return a function that writes files to an fsspec folder.

    Args:
        target: fsspec URL of a folder, such as ``s3://bucket/media``.
        public: URL under which that folder can be read by anybody.

    Raises:
        ConfigurationError: there is no public URL, or a package is missing.
    """
    if not public:
        raise ConfigurationError(
            f"asset_host is {target}, but asset_host_url does not say under which URL its files "
            "can be read. Set ONETAKE_ASSET_HOST_URL."
        )
    try:
        import fsspec  # type: ignore[import-untyped,unused-ignore]

        system, folder = fsspec.url_to_fs(target)
    except (ImportError, ValueError) as error:
        raise ConfigurationError(
            f"asset_host: {target} cannot be used ({error}). Files are put there with fsspec: "
            "install it with `pip install 'onetake[hosts]'`, and the package of that store."
        ) from error

    def write(asset: LoadedAsset) -> str:
        assert asset.data is not None
        suffix = f".{asset.name.rpartition('.')[2]}" if "." in asset.name else ""
        name = f"{asset.sha256}{suffix}"
        path = f"{folder.rstrip('/')}/{name}"
        try:
            system.makedirs(folder, exist_ok=True)
            if not system.exists(path):
                with system.open(path, "wb") as file:
                    file.write(asset.data)
        except OSError as error:
            raise AssetError(f"{asset.name}: cannot be put at {target}: {error}.") from error
        return f"{public.rstrip('/')}/{urllib.parse.quote(name)}"

    async def publish(asset: LoadedAsset) -> str:
        return await anyio.to_thread.run_sync(write, asset)

    return publish
