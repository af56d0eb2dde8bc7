"""What exists: provider cards, model cards, and looking a model up by name.

A `ProviderCard` is everything that listing and pricing need, as text, so that neither imports a
driver or a vendor SDK. Model cards are data files (TOML) beside each provider.
"""

from __future__ import annotations

import difflib
import functools
import importlib.resources
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from onetake.credentials import Alternative
from onetake.errors import ConfigurationError, UnknownModel
from onetake.model_card import ChainStep, InputSlot, ModelCard, ParameterSpec

__all__ = [
    "DRIVER_API_VERSION",
    "Catalog",
    "ChainStep",
    "InputSlot",
    "ModelCard",
    "ParameterSpec",
    "ProviderCard",
    "catalog_of",
    "expand",
    "load_catalog",
]

DRIVER_API_VERSION = 1
"""Version of the contract in `onetake.driver`; a card of another major version is refused."""


@dataclass(frozen=True, slots=True)
class ProviderCard:
    """A provider, described without importing it.

    Attributes:
        name: the word for it everywhere: ``fal``, ``kling``.
        display_name: for people.
        docs_url: where to read on.
        package: import package holding ``catalog/*.toml`` and ``prices.toml``.
        driver: ``module:Class`` of the driver, imported on first use.
        dialect: ``module:function`` of the sandbox dialect, or None.
        credentials: alternatives of fields that belong together, best first.
        sandbox_credentials: what the sandbox accepts when nothing else is given.
        regions: region name to API host; the first is the default.
        sandbox_hosts: vendor host to path prefix on a sandbox.
        distribution: name of the package to install, for messages.
        look_batch: how many tasks one ``look`` may ask for.
        backends: async libraries that the driver runs on.
        passes_unknown: ids with a slash that no card knows are passed to the vendor as they are.
        passed_resend: `ModelCard.resend` of models that are passed on.
        file_fields: endings of the names of the vendor's fields that hold the URL of a file;
            a local file given there is read and made reachable.
        key_help: where to get credentials.
        currencies: region name to the currency it is billed in.
        lost_seconds: after so many seconds a task whose submission got no answer has ended, and
            is listed by the vendor if it ever was; it holds no slot any more.
        resend_seconds: for so long the vendor is relied upon to refuse a second task with our id,
            where a model's card says ``resend: safe``.
        unpriced_fields: fields of the vendor that cannot change a price; any other field that a
            caller passes through makes the price unknown.
        driver_api: `DRIVER_API_VERSION` that the driver was written for.
    """

    name: str
    display_name: str
    docs_url: str
    package: str
    driver: str
    credentials: tuple[Alternative, ...]
    regions: Mapping[str, str]
    distribution: str
    dialect: str | None = None
    sandbox_credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    sandbox_hosts: Mapping[str, str] = field(default_factory=dict)
    look_batch: int = 1
    backends: tuple[str, ...] = ("asyncio", "trio")
    passes_unknown: bool = False
    passed_resend: Literal["safe", "lookup", "none"] = "none"
    file_fields: tuple[str, ...] = ()
    key_help: str = ""
    currencies: Mapping[str, str] = field(default_factory=dict)
    lost_seconds: float = 7200.0
    resend_seconds: float = 86_400.0
    unpriced_fields: frozenset[str] = frozenset()
    driver_api: int = DRIVER_API_VERSION

    @property
    def default_region(self) -> str:
        """The region used when none is named."""
        return next(iter(self.regions))

    def currency(self, region: str | None) -> str:
        """Return the currency that a region is billed in."""
        return self.currencies.get(region or self.default_region, "USD")

    def host(self, region: str | None) -> str:
        """Return the API host of a region.

        Raises:
            ConfigurationError: the provider has no such region.
        """
        name = region or self.default_region
        if name not in self.regions:
            raise ConfigurationError(
                f"region: {self.name} has no region {name!r}; it is one of "
                f"{', '.join(self.regions)}."
            )
        return self.regions[name]


class Catalog:
    """The model cards of one provider."""

    def __init__(
        self,
        provider: ProviderCard,
        cards: Sequence[ModelCard],
        other_providers: Sequence[str] = (),
    ) -> None:
        self.provider = provider
        self.other_providers = frozenset(other_providers)
        """Names whose vendor blocks in a request are meant for somebody else."""
        self.cards = tuple(cards)
        self._exact = {name.lower(): card for card in self.cards for name in card.names()}
        self._groups: dict[str, list[ModelCard]] = {}
        for card in self.cards:
            for group in card.groups:
                self._groups.setdefault(group.lower(), []).append(card)

    def find(self, name: str) -> list[ModelCard]:
        """Return the cards that a name can mean: one, several (a group), or none."""
        wanted = name.strip().lower()
        if wanted in self._groups:
            return self._groups[wanted]
        exact = self._exact.get(wanted)
        return [] if exact is None else [exact]

    def _neighbours(self, name: str) -> list[str]:
        """Return names to suggest: those of the same generation and task come first."""
        version = _VERSION.search(name.lower())
        ending = name.lower().rpartition("-")[2]
        same = [
            card.name
            for card in self.cards
            if version and version[0] in card.name.split("-") and card.name.endswith(f"-{ending}")
        ]
        known = {*self._exact, *self._groups}
        same.sort(key=lambda other: -difflib.SequenceMatcher(None, name.lower(), other).ratio())
        return [*same[:1], *difflib.get_close_matches(name.lower(), sorted(known), 3, 0.6)]

    def passed_through(self, vendor_id: str, task: str) -> ModelCard:
        """Return a card for a vendor id that the catalog does not know."""
        return ModelCard(
            provider=self.provider.name,
            name=vendor_id,
            vendor_id=vendor_id,
            task=task,
            prompt_required=False,
            negative_prompt=True,
            resend=self.provider.passed_resend,
            catalogued=False,
        )

    def unknown(self, name: str) -> UnknownModel:
        """Return the error for an unknown name, with its neighbours."""
        return UnknownModel(
            f"model: {self.provider.name} has no model {name!r}.",
            provider=self.provider.name,
            hint=_did_you_mean(self._neighbours(name))
            or f"`onetake models list -p {self.provider.name}` shows what there is.",
        )


_VERSION = re.compile(r"v\d+(\.\d+)?")


def _did_you_mean(close: Sequence[str]) -> str | None:
    known = list(dict.fromkeys(close))[:3]
    return f"Did you mean {' or '.join(known)}?" if known else None


@functools.cache
def load_catalog(package: str) -> tuple[ModelCard, ...]:
    """Read every ``catalog/*.toml`` of a package, in order of file name.

    Raises:
        ConfigurationError: a file is not valid, naming it.
    """
    cards: list[ModelCard] = []
    folder = importlib.resources.files(package) / "catalog"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".toml"):
            continue
        try:
            data = tomllib.loads(file.read_text("utf-8"))
            cards.extend(ModelCard(**entry) for entry in expand(data))
        except ValueError as error:
            raise ConfigurationError(f"{package}/catalog/{file.name}: {error}") from error
    return tuple(cards)


def expand(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Apply a file's ``[defaults.NAME]`` tables to the models that name them in ``like``.

    A model's own tables win; ``parameters``, ``inputs`` and ``wire`` are merged by entry. A model
    with ``each = [{tier = "std", …}, …]`` stands for one model per entry, whose values are added
    and whose texts replace ``{tier}`` in the others.
    """
    defaults: Mapping[str, Mapping[str, Any]] = data.get("defaults", {})
    entries = []
    for model in data.get("model", []):
        own = {key: model[key] for key in model if key not in ("like", "each")}
        for variant in model.get("each", [{}]):
            entry: dict[str, Any] = {}
            for name in model.get("like", []):
                entry = _merged(entry, defaults[name])
            entries.append(_filled_in(_merged(_merged(entry, own), variant), variant))
    return entries


def _filled_in(value: Any, variant: Mapping[str, Any]) -> Any:
    """Put a variant's texts into the places that name them: ``{tier}``."""
    if isinstance(value, str):
        for name, text in variant.items():
            value = value.replace(f"{{{name}}}", str(text)) if isinstance(text, str) else value
        return value
    if isinstance(value, Mapping):
        return {key: _filled_in(item, variant) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled_in(item, variant) for item in value]
    return value


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        if key in ("parameters", "inputs", "wire", "fixed") and key in merged:
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = value
    return merged


def catalog_of(card: ProviderCard, other_providers: Sequence[str] = ()) -> Catalog:
    """Return the catalog of a provider."""
    cards = load_catalog(card.package)
    own = [model.model_copy(update={"provider": card.name}) for model in cards]
    return Catalog(card, own, other_providers)
