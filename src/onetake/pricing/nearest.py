"""The nearest thing: what a model can do instead, where it lacks a length, resolution or sound."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from onetake.catalog import ModelCard
from onetake.errors import UnsupportedParameter
from onetake.fitting import FittedRequest
from onetake.model_card import ParameterSpec
from onetake.spelling import SYNONYMS, normalise

_SIZES = ("720p", "1080p", "4k")
_WORDS = {"duration": "{} s", "resolution": "{}", "audio": "sound {}"}
"""The parameters in which an offer may differ, and how they are told."""


def adjusted(parameters: Mapping[str, Any], model: ModelCard) -> dict[str, Any]:
    """Return parameters that a model takes, as near as can be to those that were asked for.

    Length goes up to the next that there is, or else down; so does the resolution. Sound is left
    to the model. Other parameters stay, and may still be refused.
    """
    changed = {}
    for name, value in _neutral(parameters).items():
        spec = model.parameters.get(name)
        if name not in _WORDS:
            changed[name] = value
        elif spec is not None:
            changed[name] = _next(value, spec)
    return {name: value for name, value in changed.items() if value is not None}


def differences(parameters: Mapping[str, Any], fitted: FittedRequest) -> tuple[str, ...]:
    """Say in what a fitted request is not what was asked for."""
    told = []
    for name, wanted in _neutral(parameters).items():
        found = fitted.value(name)
        if name in _WORDS and found != wanted:
            have, want = (_shown(value) for value in (found, wanted))
            told.append(f"{_WORDS[name].format(have)}, not {want}")
    return tuple(told)


def _neutral(parameters: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for given, value in parameters.items():
        name = SYNONYMS.get(given, given)
        try:
            found[name] = normalise(name, value)
        except UnsupportedParameter:
            found[name] = value
    return found


def _next(value: Any, spec: ParameterSpec) -> Any:
    """Return the value itself, or the next one that is allowed; None leaves the model's own."""
    allowed = [choice for choice in spec.choices if not isinstance(choice, bool)]
    if spec.type == "boolean":
        return value if not spec.choices or value in spec.choices else None
    if isinstance(value, str) and value in _SIZES:
        sizes = [size for size in _SIZES if size in allowed]
        return _from(_SIZES.index(value), [(_SIZES.index(size), size) for size in sizes])
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    numbers = [choice for choice in allowed if isinstance(choice, int | float)]
    if numbers:
        return _from(value, [(number, number) for number in numbers])
    low, high = spec.minimum, spec.maximum
    bounded = value if low is None else max(value, low)
    bounded = bounded if high is None else min(bounded, high)
    return int(bounded) if spec.type == "integer" else bounded


def _from(wanted: float, places: Sequence[tuple[float, Any]]) -> Any:
    """Return what stands at the place, the next one above, or else the last one below."""
    above = [item for item in places if item[0] >= wanted]
    found = min(above, default=None, key=_place) or max(places, default=None, key=_place)
    return None if found is None else found[1]


def _place(item: tuple[float, Any]) -> float:
    return item[0]


def _shown(value: Any) -> str:
    words = {None: "unknown", True: "on", False: "off"}
    return words.get(value, str(value)) if isinstance(value, bool | None) else str(value)
