"""Drafting: a request as its author wrote it, sorted before the model is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from onetake.assets import Asset
from onetake.errors import RequestError, UnsupportedParameter
from onetake.request import GenerationRequest
from onetake.spelling import ASSET_PARAMETERS, SYNONYMS, normalise


@dataclass
class Draft:
    """The request while it is being fitted."""

    prompt: str
    negative_prompt: str | None
    parameters: dict[str, Any]
    vendor: dict[str, Any]
    assets: list[Asset]
    notes: list[str] = field(default_factory=list)
    odd: dict[str, UnsupportedParameter] = field(default_factory=dict)
    """Values that are in no form of ours; a model may still take them as they are."""

    def keep_names(self, given: Mapping[str, Any], known: Collection[str]) -> None:
        """Undo synonyms that a model has as parameters of its own, and not in our sense.

        Args:
            given: the parameters as their author wrote them.
            known: the model's parameters.
        """
        for name, ours in SYNONYMS.items():
            if name in known and ours not in known and given.get(name) is not None:
                self.parameters.pop(ours, None)
                self.odd.pop(ours, None)
                self.parameters[name] = given[name]


def drafted(request: GenerationRequest, provider: str, others: Collection[str]) -> Draft:
    """Return a request with its parameters in neutral form, and files among the assets."""
    parameters: dict[str, Any] = {}
    assets = list(request.assets)
    odd: dict[str, UnsupportedParameter] = {}
    negative, vendor = request.negative_prompt, {}
    for name, value in request.parameters.items():
        if value is None:
            continue
        if name in ASSET_PARAMETERS:
            assets.extend(_named_files(name, value))
        elif name == "negative_prompt":
            negative = _same_or_error(name, negative, value)
        elif name == provider and isinstance(value, Mapping):
            vendor = dict(value)
        elif isinstance(value, Mapping) and name in others:
            continue  # another provider's block: one request can carry several
        else:
            canonical = SYNONYMS.get(name, name)
            try:
                parameters[canonical] = normalise(canonical, value)
            except UnsupportedParameter as error:
                parameters[canonical], odd[canonical] = value, error
    return Draft(request.prompt, negative, parameters, vendor, assets, odd=odd)


def as_given(request: GenerationRequest, provider: str, others: Collection[str]) -> Draft:
    """Return a request for a model that nobody knows: its parameters keep name and value."""
    given = {name: value for name, value in request.parameters.items() if value is not None}
    block = given.pop(provider, {})
    own = {k: v for k, v in given.items() if not (k in others and isinstance(v, Mapping))}
    negative = own.pop("negative_prompt", None)
    if negative is not None or request.negative_prompt is not None:
        negative = _same_or_error("negative_prompt", request.negative_prompt, negative)
    vendor = dict(block) if isinstance(block, Mapping) else {}
    return Draft(request.prompt, negative, own, vendor, list(request.assets))


def _named_files(name: str, value: Any) -> list[Asset]:
    """Return the files that a parameter names: one, or a list; ids are the vendor's."""
    role = ASSET_PARAMETERS[name]
    items = value if isinstance(value, list | tuple) else [value]
    return [Asset(f"id:{item}" if name.endswith("_id") else item, role=role) for item in items]


def _same_or_error(name: str, field_value: str | None, parameter: Any) -> str:
    if parameter is None:
        return str(field_value)
    if field_value is not None and field_value != parameter:
        raise RequestError(f"{name}: given twice, as a field and as a parameter, and they differ.")
    return str(parameter)
