"""Cards of models that the catalog does not know, from the vendor's own schema; kept for a day.

A schema is fetched when such a model is used with a key, and kept as a file, so that checks and
estimates that may not use the network have it too.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from onetake.catalog import Catalog, ModelCard
from onetake.clock import Clock
from onetake.errors import OnetakeError
from onetake.files import write_atomic
from onetake.request import GenerationRequest

log = logging.getLogger("onetake.provider")
KEPT_SECONDS = 86_400.0
"""For so long a schema is not fetched again."""

ABSENT_SECONDS = 600.0
"""For so long it is believed that there is none."""

Describe = Callable[[str], Awaitable[ModelCard | None]]


class DescribedCards:
    """The cards of one provider that came from its schemas.

    Args:
        folder: where they are kept.
        clock: the time.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def known(self, catalog: Catalog, request: GenerationRequest) -> Catalog:
        """Return the catalog with the kept card of a request's model, if it needs one."""
        wanted = self._wants(catalog, request)
        kept = self._read(self._file(catalog, request.model)) if wanted else None
        return catalog if kept is None else _extended(catalog, kept[1])

    async def fetched(
        self, catalog: Catalog, request: GenerationRequest, describe: Describe
    ) -> Catalog:
        """Return the catalog with the card of a request's model, fetched if the kept one is old.

        A vendor that gives no schema is no error: the model is then passed on without checks.
        """
        if not self._wants(catalog, request):
            return catalog
        file = self._file(catalog, request.model)
        kept = self._read(file)
        if kept is not None:
            fresh = ABSENT_SECONDS if kept[1] is None else KEPT_SECONDS
            if 0 <= self._clock.now() - kept[0] < fresh:
                return _extended(catalog, kept[1])
        try:
            card = await describe(request.model.strip("/"))
        except OnetakeError as error:
            log.info("%s: its schema could not be fetched: %s", request.model, error)
            card = None if kept is None else kept[1]
        else:
            self._keep(file, card)
        return _extended(catalog, card)

    def _wants(self, catalog: Catalog, request: GenerationRequest) -> bool:
        passes = catalog.provider.passes_unknown and "/" in request.model
        return passes and not catalog.find(request.model)

    def _file(self, catalog: Catalog, model: str) -> Path:
        name = hashlib.sha256(model.strip("/").encode()).hexdigest()[:32]
        return self._folder / catalog.provider.name / f"{name}.json"

    def _keep(self, file: Path, card: ModelCard | None) -> None:
        """Keep a card, or that the vendor has no schema of that name."""
        told = None if card is None else card.model_dump(mode="json")
        kept = {"at": self._clock.now(), "card": told}
        try:
            write_atomic(file, json.dumps(kept).encode())
        except OSError as error:
            log.info("%s: a schema could not be kept: %s", file, error)

    def _read(self, file: Path) -> tuple[float, ModelCard | None] | None:
        try:
            kept = json.loads(file.read_bytes())
            told = kept["card"]
            return float(kept["at"]), None if told is None else ModelCard.model_validate(told)
        except (OSError, KeyError, TypeError, ValueError):
            return None  # none yet, or of another version


def _extended(catalog: Catalog, card: ModelCard | None) -> Catalog:
    if card is None:
        return catalog
    return Catalog(catalog.provider, [*catalog.cards, card], tuple(catalog.other_providers))
