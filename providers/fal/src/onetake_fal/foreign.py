"""Endpoints outside of the catalog: a card from what fal's platform says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onetake.catalog import ModelCard
from onetake_fal import cards, openapi

TASKS: Mapping[str, str] = {
    "image-to-3d": "image-to-model",
    "text-to-3d": "text-to-model",
    "audio-to-audio": "audio-to-audio",
    "speech-to-text": "speech-to-data",
    "vision": "image-to-data",
    "llm": "text-to-data",
    "json": "text-to-data",
    "training": "training-to-file",
}
"""fal's categories whose word for the output is not ours; others are tasks as they are."""


def described(endpoint: str, model: Mapping[str, Any]) -> ModelCard:
    """Return the card of an endpoint outside the catalog, from what the platform says of it.

    Args:
        endpoint: its id.
        model: its entry in the platform's list of models, with its OpenAPI document.

    Raises:
        ValueError: the document cannot be read.
    """
    fields, _ = openapi.reduced(model["openapi"])
    metadata = model.get("metadata") or {}
    category = str(metadata.get("category") or "unknown")
    card = cards.card_of(TASKS.get(category, category), fields)
    retired = metadata.get("status") == "deprecated"
    made = ModelCard(
        provider="fal",
        name=endpoint,
        vendor_id=endpoint,
        family=endpoint.partition("/")[2],
        status="legacy" if retired else "current",
        resend="lookup",
        notice=f"{endpoint} is not in the catalog: it was checked against fal's own schema of it.",
        source="fal OpenAPI",
        **card,
    )
    try:
        made.parameter_model()
    except TypeError as error:  # a schema that checks cannot be made of
        raise ValueError(f"its parameters cannot be checked: {error}") from error
    return made
