"""Fitting a request to a model: every refusal that needs no network happens here.

`fit` finds the model card, puts parameters into neutral form, and fills the card's input slots.
What a model cannot express raises, naming the field, the value and what is allowed; what is
expressed in another way leaves a note.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from onetake import camera
from onetake.assets import Asset, LoadedAsset
from onetake.catalog import Catalog, ModelCard
from onetake.errors import AssetError, RequestError, UnsupportedParameter
from onetake.filling import ROLE_SYNONYMS, fill_slots, sibling_hint
from onetake.request import GenerationRequest, GenerationType
from onetake.spelling import FRAME_PARAMETERS, SYNONYMS, normalise


@dataclass(frozen=True)
class FittedRequest:
    """A request that fits its model.

    Attributes:
        card: the model.
        prompt: as it will be sent (a camera motion may have been said in it).
        negative_prompt: or None for the vendor's default.
        parameters: neutral, checked; only what the caller gave.
        assets: read, each with the role of the slot it fills.
        vendor: fields for the vendor, untouched.
        notes: what was translated.
        key: the caller's idempotency key.
    """

    card: ModelCard
    prompt: str
    negative_prompt: str | None
    parameters: Mapping[str, Any]
    assets: tuple[LoadedAsset, ...]
    vendor: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    key: str | None = None

    def value(self, name: str) -> Any:
        """Return a parameter, or the vendor's default for it, or None."""
        if name in self.parameters:
            return self.parameters[name]
        fixed = {"resolution": self.card.resolution, **self.card.fixed}
        if fixed.get(name) is not None:
            return fixed[name]
        spec = self.card.parameters.get(name)
        return None if spec is None else spec.default

    def asset(self, role: str) -> LoadedAsset | None:
        """Return the first asset of a role, or None."""
        return next((item for item in self.assets if item.role == role), None)


@dataclass
class _Draft:
    """The request while it is being fitted."""

    prompt: str
    negative_prompt: str | None
    parameters: dict[str, Any]
    vendor: dict[str, Any]
    assets: list[Asset]
    notes: list[str] = field(default_factory=list)


def fit(
    request: GenerationRequest,
    catalog: Catalog,
    *,
    strict: bool = True,
    load_assets: bool = True,
) -> FittedRequest:
    """Fit a request to the catalog of one provider.

    Args:
        request: what the caller wants.
        catalog: the provider's models.
        strict: False turns capability errors into notes (the wish is then left out).
        load_assets: False leaves files unread (an estimate does not need them).

    Raises:
        UnknownModel: no such model; names the neighbours.
        UnsupportedParameter: a parameter or value that the model lacks; lists what it has.
        AssetError: a file is missing, unreadable or not what the slot takes.
        RequestError: the request contradicts itself or its model.
    """
    if not request.model:
        raise RequestError("model: a request needs a model name.", provider=catalog.provider.name)
    draft = _draft(request, catalog.provider.name, catalog.other_providers)
    card = choose_card(request, catalog, draft.parameters, _roles(draft.assets))
    if card.catalogued:
        if len(catalog.find(request.model)) > 1:
            draft.notes.append(f"{request.model} was read as {card.name}.")
        _apply_card(card, draft, strict)
    else:
        draft.notes.append(
            f"{card.vendor_id} is not in the catalog: it was passed on without checks."
        )
    try:
        assets = fill_slots(card, draft.assets, load_assets)
    except AssetError as error:
        error.hint = error.hint or sibling_hint(catalog, card, draft.assets)
        raise
    fitted = FittedRequest(
        card=card,
        prompt=draft.prompt,
        negative_prompt=draft.negative_prompt,
        parameters=draft.parameters,
        assets=assets,
        vendor=draft.vendor,
        notes=tuple(draft.notes),
        key=request.key,
    )
    _check_needs(fitted)
    return fitted


def _check_needs(fitted: FittedRequest) -> None:
    """Some slots call for certain parameter values; raising them silently changes the price."""
    for asset in fitted.assets:
        slot = fitted.card.inputs.get(str(asset.role))
        for name, needed in (slot.needs if slot else {}).items():
            if fitted.value(name) != needed:
                raise UnsupportedParameter(
                    f"{name}: {fitted.card.name} with a {asset.role} takes only "
                    f"{_word(needed)}, not {_word(fitted.value(name))}.",
                    provider=fitted.card.provider,
                )


def _draft(request: GenerationRequest, provider: str, others: Collection[str]) -> _Draft:
    parameters: dict[str, Any] = {}
    assets = list(request.assets)
    negative, vendor = request.negative_prompt, {}
    for name, value in request.parameters.items():
        if value is None:
            continue
        if name in FRAME_PARAMETERS:
            assets.append(Asset(value, role=FRAME_PARAMETERS[name]))
        elif name == "negative_prompt":
            negative = _same_or_error(name, negative, value)
        elif name == provider and isinstance(value, Mapping):
            vendor = dict(value)
        elif isinstance(value, Mapping) and name in others:
            continue  # another provider's block: one request can carry several
        else:
            canonical = SYNONYMS.get(name, name)
            parameters[canonical] = normalise(canonical, value)
    return _Draft(request.prompt, negative, parameters, vendor, assets)


def _same_or_error(name: str, field_value: str | None, parameter: Any) -> str:
    if field_value is not None and field_value != parameter:
        raise RequestError(f"{name}: given twice, as a field and as a parameter, and they differ.")
    return str(parameter)


def _roles(assets: Sequence[Asset]) -> set[str]:
    return {ROLE_SYNONYMS.get(asset.role, asset.role) if asset.role else "" for asset in assets}


def choose_card(
    request: GenerationRequest,
    catalog: Catalog,
    parameters: Mapping[str, Any],
    roles: set[str],
) -> ModelCard:
    """Find the card that a model name means, with the request's help where a name is shared."""
    cards = catalog.find(request.model)
    kind = request.generation_type
    if not cards:
        if "/" in request.model and catalog.provider.passes_unknown:
            return catalog.passed_through(request.model.strip("/"), _guess_task(kind, roles))
        raise catalog.unknown(request.model)
    if isinstance(kind, GenerationType):
        fitting = [card for card in cards if kind.covers(card.task)]
        if not fitting:
            tasks = " and ".join(sorted({card.task for card in cards}))
            raise RequestError(
                f"generation_type: {request.model} does {tasks}, not {kind.value}.",
                provider=catalog.provider.name,
            )
        cards = fitting
    return _narrow(cards, parameters, roles)


def _guess_task(kind: Any, roles: set[str]) -> str:
    if isinstance(kind, GenerationType) and "-to-" in kind.value:
        return kind.value
    output = kind.value if isinstance(kind, GenerationType) else "video"
    return f"image-to-{output}" if roles else f"text-to-{output}"


def _narrow(
    cards: Sequence[ModelCard], parameters: Mapping[str, Any], roles: set[str]
) -> ModelCard:
    """Prefer, one wish after the other, the cards that can fulfil it; the first one wins."""
    wishes: list[Callable[[ModelCard], bool]] = [
        lambda card: (card.task.startswith("image-")) == bool(roles),
        lambda card: "mode" not in parameters or card.tier == parameters["mode"],
        lambda card: "resolution" not in parameters or parameters["resolution"] == card.resolution,
    ]
    for wish in wishes:
        cards = [card for card in cards if wish(card)] or cards
    return cards[0]


def _apply_card(card: ModelCard, draft: _Draft, strict: bool) -> None:
    if card.status == "discontinued":
        successor = f" Use {card.successor} instead." if card.successor else ""
        draft.notes.append(f"{card.name} is discontinued by the vendor.{successor}")
    if card.notice:
        draft.notes.append(card.notice)
    _settled(card, draft)
    _camera_words(card, draft)
    _check_prompt(card, draft, strict)
    draft.parameters = _checked(card, draft, strict)


def _settled(card: ModelCard, draft: _Draft) -> None:
    """Drop parameters that the card fulfils by itself; refuse those that contradict it.

    ``mode`` and ``resolution`` choose among sibling cards, and once a card is chosen they must
    agree with it; the card's ``fixed`` values are what its model always does.
    """
    settled = {"mode": card.tier, "resolution": card.resolution, **card.fixed}
    for name, own in settled.items():
        if name not in draft.parameters or name in card.parameters:
            continue
        if own in (None, "") or (name == "mode" and own == "master"):
            continue
        if draft.parameters[name] != own:
            raise UnsupportedParameter(
                f"{name}: {card.name} has only {_word(own)}, not {_word(draft.parameters[name])}.",
                provider=card.provider,
                hint=f"Choose another model or tier, or leave {name} out.",
            )
        del draft.parameters[name]


def _word(value: Any) -> str:
    return (
        {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )


def _camera_words(card: ModelCard, draft: _Draft) -> None:
    motion = draft.parameters.get("camera_motion")
    if motion is None or "camera_motion" in card.parameters:
        return
    if motion not in camera.NAMES:
        raise UnsupportedParameter(
            f"camera_motion: {motion!r} is unknown; it is one of {', '.join(camera.NAMES)}.",
            provider=card.provider,
        )
    del draft.parameters["camera_motion"]
    prompt = camera.with_motion(draft.prompt, motion)
    if prompt != draft.prompt:
        draft.prompt = prompt
        draft.notes.append(
            f"camera_motion={motion}: {card.name} has no camera parameter, "
            "so it was said in the prompt."
        )


def _check_prompt(card: ModelCard, draft: _Draft, strict: bool) -> None:
    if card.prompt_required and not draft.prompt.strip():
        raise RequestError(f"prompt: {card.name} needs one.", provider=card.provider)
    if card.prompt_max and len(draft.prompt) > card.prompt_max:
        raise RequestError(
            f"prompt: {len(draft.prompt)} characters; {card.name} takes {card.prompt_max}.",
            provider=card.provider,
        )
    if draft.negative_prompt and not card.negative_prompt:
        _refuse_or_note(
            strict,
            draft,
            f"negative_prompt: {card.name} has none.",
            "Say in the prompt what you want to see instead.",
            card.provider,
        )
        draft.negative_prompt = None


def _refuse_or_note(
    strict: bool, draft: _Draft, message: str, hint: str, provider: str | None
) -> None:
    if strict:
        raise UnsupportedParameter(message, hint=hint, provider=provider)
    draft.notes.append(f"{message} It was left out.")


def _checked(card: ModelCard, draft: _Draft, strict: bool) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in draft.parameters.items():
        if name in card.parameters:
            kept[name] = value
            continue
        message, hint = _unsupported(card, name)
        _refuse_or_note(strict, draft, message, hint, card.provider)
    try:
        card.parameter_model().model_validate(kept)
    except ValidationError as error:
        raise _bad_value(card, error) from None
    return kept


def _unsupported(card: ModelCard, name: str) -> tuple[str, str]:
    if name == "aspect_ratio" and card.aspect_from_image:
        return (
            f"aspect_ratio: {card.name} follows the picture.",
            "Crop the picture to the ratio that you want.",
        )
    return (
        f"{name}: {card.name} has no such parameter.",
        f"It has {', '.join(sorted(card.parameters)) or 'none'}.",
    )


def _bad_value(card: ModelCard, error: ValidationError) -> UnsupportedParameter:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "parameters"
    allowed = card.parameters[name].allowed() if name in card.parameters else ""
    return UnsupportedParameter(
        f"{name}: {card.name} does not take {first['input']!r:.80}; it takes {allowed}.",
        provider=card.provider,
    )
