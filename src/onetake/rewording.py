"""Rewording: wishes that a model has no parameter for, said in ones that it has, or in the prompt.

Every such translation leaves a note.
"""

from __future__ import annotations

from typing import Any

from onetake import camera
from onetake.catalog import ModelCard
from onetake.conversion import ratio_of
from onetake.errors import RequestError, UnsupportedParameter

_CLASSES = (("1k", 1024), ("2k", 2048), ("4k", 4096))
"""Resolution classes of pictures by their longer side in pixels, as vendors name them."""


def reword(card: ModelCard, prompt: str, parameters: dict[str, Any], notes: list[str]) -> str:
    """Translate ``camera_motion``, ``style``, ``width`` and ``height``; return the prompt.

    Raises:
        UnsupportedParameter: a camera motion that nobody knows.
        RequestError: width and height are not two numbers of pixels.
    """
    prompt = _camera(card, prompt, parameters, notes)
    if "style" in parameters and "style" not in card.parameters:
        style = str(parameters.pop("style")).replace("_", " ").strip()
        prompt = f"{prompt.rstrip().rstrip('.')}. In the style of {style}."
        notes.append(f"style={style}: {card.name} has no such parameter, so the prompt says it.")
    _pixels(card, parameters, notes)
    return prompt


def _camera(card: ModelCard, prompt: str, parameters: dict[str, Any], notes: list[str]) -> str:
    motion = parameters.get("camera_motion")
    spec = card.parameters.get("camera_motion")
    own = () if spec is None else spec.choices
    if motion is None or motion in own:
        return prompt
    if motion not in camera.NAMES:
        known = ", ".join(dict.fromkeys([*map(str, own), *camera.NAMES]))
        raise UnsupportedParameter(
            f"camera_motion: {motion!r} is unknown; it is one of {known}.", provider=card.provider
        )
    del parameters["camera_motion"]
    said = camera.with_motion(prompt, motion)
    if said != prompt:
        notes.append(
            f"camera_motion={motion}: {card.name} has no camera parameter for it, "
            "so it was said in the prompt."
        )
    return said


def _pixels(card: ModelCard, parameters: dict[str, Any], notes: list[str]) -> None:
    """Turn pixels into the nearest ratio and resolution class of a model that has no pixels."""
    spec = card.parameters.get("aspect_ratio")
    if not {"width", "height"} & set(parameters) or "width" in card.parameters or spec is None:
        return
    width, height = parameters.pop("width", None), parameters.pop("height", None)
    if not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):
        raise RequestError(f"width and height: {width!r} and {height!r} are not pixels.")
    ratios = [str(choice) for choice in spec.choices if ":" in str(choice)]
    nearest = min(ratios, key=lambda text: abs(ratio_of(text) - width / height))
    parameters.setdefault("aspect_ratio", nearest)
    told = f"aspect_ratio={parameters['aspect_ratio']}"
    classes = card.parameters.get("resolution")
    if classes is not None:
        having = [(name, side) for name, side in _CLASSES if name in classes.choices]
        best = min(having, key=lambda item: abs(item[1] - max(width, height)))
        parameters.setdefault("resolution", best[0])
        told += f", resolution={parameters['resolution']}"
    notes.append(f"{width}×{height} pixels: {card.name} has no such size; sent as {told}.")
