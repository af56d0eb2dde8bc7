"""Publishing: files for vendors that take some kinds only from a URL, or by their own id.

A file that we delivered is one that its vendor has. Any other is put where the user said, and
nowhere else: private media never goes to another company uninvited.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from onetake.assets import LoadedAsset
from onetake.catalog import ModelCard
from onetake.clock import Clock
from onetake.driver import RemoteFile
from onetake.errors import AssetError
from onetake.ledger import contents, store
from onetake.ledger.records import Account
from onetake.ledger.store import Ledger

Host = Callable[[LoadedAsset], Awaitable[str]]
"""Puts a file where anybody can read it; returns the URL."""

SAFE = 3600.0
"""Seconds that a link must still hold: the vendor reads it some time after the submission."""


class Publisher:
    """Makes files reachable for one account."""

    def __init__(self, ledger: Ledger, account: Account, host: Host | None, clock: Clock) -> None:
        self._ledger = ledger
        self._account = account
        self._host = host
        self._clock = clock

    async def reachable(self, asset: LoadedAsset, card: ModelCard) -> LoadedAsset:
        """Return a file in a form that its slot takes.

        Raises:
            AssetError: there is none, and what could be set up.
        """
        slot = card.inputs.get(asset.role or "")
        if slot is None or asset.data is None or "bytes" in slot.takes:
            return asset
        known = await self._at_vendor(asset)
        if known is not None and "id" in slot.takes and known.vendor_id:
            return replace(asset, vendor_id=known.vendor_id)
        if known is not None and "url" in slot.takes:
            return replace(asset, url=known.url)
        if self._host is None or "url" not in slot.takes:
            raise _refusal(asset, card)
        return replace(asset, url=await self._host(asset))

    async def _at_vendor(self, asset: LoadedAsset) -> RemoteFile | None:
        found = await self._ledger.run(
            lambda connection: contents.at_vendor(
                connection, store.account_id(connection, self._account), asset.sha256
            )
        )
        until = self._clock.now() + SAFE
        if found is None or (found.expires_at is not None and found.expires_at < until):
            return None
        return found


def _refusal(asset: LoadedAsset, card: ModelCard) -> AssetError:
    return AssetError(
        f"{asset.role}: {asset.name} is a local file, and {card.name} takes only a URL there.",
        provider=card.provider,
        hint="Give a URL, or a file that onetake delivered from this account, or say where files "
        "may be put: ONETAKE_ASSET_HOST=fal, or an fsspec URL such as s3://bucket/folder with "
        "ONETAKE_ASSET_HOST_URL.",
    )
