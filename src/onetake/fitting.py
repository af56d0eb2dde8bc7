"""Fitting a request to a model: every refusal that needs no network happens here.

`fit` finds the model card, puts parameters into neutral form, and fills the card's input slots.
What a model cannot express raises, naming the field, the value and what is allowed; what is
expressed in another way leaves a note.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from onetake.assets import Asset, LoadedAsset
from onetake.catalog import Catalog, ChainStep, ModelCard
from onetake.drafting import Draft, as_given, drafted
from onetake.errors import AssetError, RequestError, UnsupportedParameter
from onetake.filling import check_filled, fill_slots, role_word, sibling_hint
from onetake.framing import FRAMING, follow_picture
from onetake.model_card import field_name
from onetake.placing import take_files
from onetake.request import GenerationRequest, GenerationType
from onetake.rewording import reword
from onetake.rules import check_rules, word

_MANY = 20
"""Choices that are too many for one message."""


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
        tags: the caller's words for reports and budgets.
        facts: what the vendor said in the steps before this one, by step.
    """

    card: ModelCard
    prompt: str
    negative_prompt: str | None
    parameters: Mapping[str, Any]
    assets: tuple[LoadedAsset, ...]
    vendor: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    key: str | None = None
    tags: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

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

    def has(self, name: str) -> bool:
        """Say whether a slot is filled or a parameter given."""
        return self.asset(name) is not None or name in self.parameters


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
        load_assets: False leaves files unread (few prices depend on them).

    Raises:
        UnknownModel: no such model; names the neighbours.
        UnsupportedParameter: a parameter or value that the model lacks; lists what it has.
        AssetError: a file is missing, unreadable or not what the slot takes.
        RequestError: the request contradicts itself or its model.
    """
    if not request.model and not _named_endpoint(request, catalog.provider.name):
        raise RequestError("model: a request needs a model name.", provider=catalog.provider.name)
    draft = drafted(request, catalog.provider.name, catalog.other_providers)
    card = choose_card(request, catalog, draft.parameters, _roles(draft.assets))
    if not card.catalogued:
        draft = as_given(request, catalog.provider.name, catalog.other_providers)
    draft.keep_names(request.parameters, card.parameters)
    take_files(card, draft.parameters, draft.vendor, draft.assets, catalog.provider.file_fields)
    if card.catalogued:
        if len(catalog.find(request.model)) > 1:
            draft.notes.append(f"{request.model} was read as {card.name}.")
        _apply_card(card, draft, strict)
    else:
        draft.notes.append(
            f"{card.vendor_id} is not in the catalog: it was passed on without checks."
        )
    try:
        assets = fill_slots(card, draft.assets, load_assets, draft.notes)
        if load_assets:
            filled_by_steps = {step.fills for step in _steps(card, draft.parameters)}
            check_filled(_without(card, filled_by_steps), assets)
    except AssetError as error:
        error.hint = error.hint or sibling_hint(catalog, card, draft.assets)
        raise
    parameters, assets = follow_picture(card, draft.parameters, assets, draft.notes, load_assets)
    fitted = FittedRequest(
        card=card,
        prompt=draft.prompt,
        negative_prompt=draft.negative_prompt,
        parameters=parameters,
        assets=assets,
        vendor=draft.vendor,
        notes=tuple(draft.notes),
        key=request.key,
        tags=request.tags,
    )
    check_rules(fitted, card, files_known=load_assets)
    return fitted


def _steps(card: ModelCard, parameters: Mapping[str, Any]) -> list[ChainStep]:
    return [step for step in card.steps.values() if step.is_wanted(parameters)]


def _without(card: ModelCard, roles: Collection[str | None]) -> ModelCard:
    """Return the card without the slots that a step before will fill."""
    left = {role: slot for role, slot in card.inputs.items() if role not in roles}
    return card.model_copy(update={"inputs": left})


def _roles(assets: Sequence[Asset]) -> set[str]:
    return {role_word(asset) or "" for asset in assets}


def choose_card(
    request: GenerationRequest,
    catalog: Catalog,
    parameters: Mapping[str, Any],
    roles: set[str],
) -> ModelCard:
    """Find the card that a model name means, with the request's help where a name is shared."""
    cards = catalog.find(request.model)
    kind = request.generation_type
    endpoint = _named_endpoint(request, catalog.provider.name)
    if endpoint:
        return catalog.passed_through(endpoint, _guess_task(kind, roles))
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


def _named_endpoint(request: GenerationRequest, provider: str) -> str:
    """Return the endpoint that a request names in the provider's own block, or nothing."""
    block = request.parameters.get(provider)
    return str(block.get("endpoint") or "") if isinstance(block, Mapping) else ""


def _guess_task(kind: Any, roles: set[str]) -> str:
    if isinstance(kind, GenerationType) and kind.is_exact:
        return kind.value
    output = kind.value if isinstance(kind, GenerationType) else "video"
    return f"image-to-{output}" if roles else f"text-to-{output}"


def _narrow(
    cards: Sequence[ModelCard], parameters: Mapping[str, Any], roles: set[str]
) -> ModelCard:
    """Prefer, one wish after the other, the cards that can fulfil it; the first one wins."""
    wishes: list[Callable[[ModelCard], bool]] = [
        lambda card: bool(card.inputs) == bool(roles),
        lambda card: roles - {""} <= set(card.inputs),
        lambda card: bool(roles) or not any(slot.required for slot in card.inputs.values()),
        lambda card: card.status != "discontinued",
        lambda card: "mode" not in parameters or card.tier == parameters["mode"],
        lambda card: "resolution" not in parameters or parameters["resolution"] == card.resolution,
    ]
    for wish in wishes:
        cards = [card for card in cards if wish(card)] or cards
    return cards[0]


def _apply_card(card: ModelCard, draft: Draft, strict: bool) -> None:
    if card.status == "discontinued":
        _refuse_discontinued(card, draft, strict)
    if card.notice:
        draft.notes.append(card.notice)
    for name, error in draft.odd.items():
        spec = card.parameters.get(name)
        if spec is None or spec.type != "any":
            raise error
    _settled(card, draft)
    _total_of_shots(card, draft)
    draft.prompt = reword(card, draft.prompt, draft.parameters, draft.notes)
    _check_prompt(card, draft, strict)
    draft.parameters = _checked(card, draft, strict)


def _refuse_discontinued(card: ModelCard, draft: Draft, strict: bool) -> None:
    message = f"model: the vendor has discontinued {card.name}."
    hint = f"Use {card.successor} instead." if card.successor else "Choose another model."
    if strict:
        raise UnsupportedParameter(message, hint=hint, provider=card.provider)
    draft.notes.append(f"{message} {hint}")


def _total_of_shots(card: ModelCard, draft: Draft) -> None:
    """Shots say how long the whole is."""
    shots = draft.parameters.get("shots")
    if not isinstance(shots, list) or "shots" not in card.parameters:
        return
    total = sum(shot["duration"] for shot in shots)
    if draft.parameters.setdefault("duration", total) != total:
        raise RequestError(
            f"duration: {draft.parameters['duration']} s, but the shots last {total} s together.",
            provider=card.provider,
            hint="Leave duration out: it follows from the shots.",
        )


def _settled(card: ModelCard, draft: Draft) -> None:
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
                f"{name}: {card.name} has only {word(own)}, not {word(draft.parameters[name])}.",
                provider=card.provider,
                hint=f"Choose another model or tier, or leave {name} out.",
            )
        del draft.parameters[name]


def _check_prompt(card: ModelCard, draft: Draft, strict: bool) -> None:
    if card.prompt_required and not draft.prompt.strip() and "shots" not in draft.parameters:
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
    strict: bool, draft: Draft, message: str, hint: str, provider: str | None
) -> None:
    if strict:
        raise UnsupportedParameter(message, hint=hint, provider=provider)
    draft.notes.append(f"{message} It was left out.")


def _checked(card: ModelCard, draft: Draft, strict: bool) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in draft.parameters.items():
        if name in card.parameters or (name in FRAMING and card.aspect_from_image):
            kept[name] = value
            continue
        message, hint = _unsupported(card, name)
        _refuse_or_note(strict, draft, message, hint, card.provider)
    try:
        own = {name: value for name, value in kept.items() if name in card.parameters}
        _check_switches(card, own)
        read = card.parameter_model().model_validate(own)
    except ValidationError as error:
        raise _bad_value(card, error) from None
    return {name: _as_read(card, read, name, value) for name, value in kept.items()}


def _as_read(card: ModelCard, read: Any, name: str, value: Any) -> Any:
    """Return a value as the card's model reads it; a number stays as it was written."""
    spec = card.parameters.get(name)
    if spec is None or (spec.type == "number" and isinstance(value, int | float)):
        return value
    return getattr(read, field_name(name))


def _check_switches(card: ModelCard, given: Mapping[str, Any]) -> None:
    """True is not the number one."""
    for name, value in given.items():
        if isinstance(value, bool) and card.parameters[name].type in ("integer", "number"):
            raise UnsupportedParameter(
                f"{name}: {card.name} does not take {value}; it takes "
                f"{card.parameters[name].allowed()}.",
                provider=card.provider,
            )


def _unsupported(card: ModelCard, name: str) -> tuple[str, str]:
    has = f"It has {', '.join(sorted(card.parameters)) or 'none'}."
    if name == "camera_control":
        has += " camera_motion is said in the prompt where a model has no camera."
    return f"{name}: {card.name} has no such parameter.", has


def _bad_value(card: ModelCard, error: ValidationError) -> UnsupportedParameter:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "parameters"
    spec = card.parameters.get(name)
    allowed = "" if spec is None else spec.allowed()
    if spec is not None and len(spec.choices) > _MANY:
        names = [str(choice) for choice in spec.choices]
        close = difflib.get_close_matches(str(first["input"]), names, 5, 0.3)
        allowed = f"one of {len(names)} values, such as {', '.join(close or names[:5])}"
    return UnsupportedParameter(
        f"{name}: {card.name} does not take {first['input']!r:.80}; it takes {allowed}.",
        provider=card.provider,
        hint=f"`onetake models show {card.name}` lists them." if "such as" in allowed else None,
    )
