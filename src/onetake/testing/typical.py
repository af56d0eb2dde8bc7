"""A typical request for a model: what it needs, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onetake.assets import Asset
from onetake.catalog import InputSlot, ModelCard
from onetake.request import GenerationRequest


def typical(
    card: ModelCard,
    sources: Mapping[str, Any],
    *,
    values: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    roles: Sequence[str] = (),
) -> GenerationRequest:
    """Return a request that fits a card.

    Args:
        card: the model.
        sources: a file for each kind: ``image``, ``video``, ``audio``; an URL beside it, as
            ``image_url`` …, serves where the vendor takes no bytes.
        values: values of required parameters that have no choices, by name.
        parameters: further parameters.
        roles: slots to fill beside those that must be.
    """
    needed = [
        role
        for role, slot in card.inputs.items()
        for _ in range(max(1, slot.min_count))
        if slot.required
    ]
    files = [Asset(_source(card.inputs[role], sources), role=role) for role in [*needed, *roles]]
    required = {
        name: spec.choices[0] if spec.choices else (values or {})[name]
        for name, spec in card.parameters.items()
        if spec.required
    }
    return GenerationRequest(
        "a lake" if card.prompt_required else "",
        model=card.name,
        parameters={**required, **(parameters or {})},
        reference_assets=files,
    )


def _source(slot: InputSlot, sources: Mapping[str, Any]) -> Any:
    if "bytes" in slot.takes:
        return sources[slot.kind]
    return sources.get(f"{slot.kind}_url", sources[slot.kind])
