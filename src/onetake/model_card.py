"""Model cards: what a model of a provider takes, gives and is called."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from onetake.tasks import output_of


def _between(low: float | None, high: float | None, unit: str) -> str:
    if low is None and high is None:
        return ""
    if high is None:
        return f"at least {low:g} {unit}"
    return f"up to {high:g} {unit}" if low is None else f"{low:g}–{high:g} {unit}"


class InputSlot(BaseModel):
    """One slot for input files: what it takes and how much."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["image", "video", "audio", "file"]
    """What it takes; ``file`` is any of them."""
    required: bool = False
    count: int = 1
    """How many files at most."""
    formats: tuple[str, ...] = ()
    """Media types that the vendor takes; empty: not stated."""
    max_bytes: int | None = None
    min_side: int | None = None
    """Smallest width and height in pixels."""
    max_side: int | None = None
    """Largest width or height in pixels."""
    max_ratio: float | None = None
    """Largest ratio of the longer to the shorter side."""
    max_area: int | None = None
    """Most pixels of one picture or frame."""
    min_seconds: float | None = None
    max_seconds: float | None = None
    min_fps: float | None = None
    max_fps: float | None = None
    takes: tuple[Literal["bytes", "url", "id"], ...] = ("bytes", "url")
    """How the vendor takes a file: in the request, from a URL, or by its own id of a file."""
    min_count: int = 0
    """How many files at least, where the slot is filled or required."""
    needs: Mapping[str, Any] = Field(default_factory=dict)
    """Parameter values that filling this slot calls for, as the vendor documents it."""

    def allowed(self) -> str:
        """Say in words what it takes."""
        names = [
            item.partition("/")[2].upper().replace("QUICKTIME", "MOV") for item in self.formats
        ]
        facts = [
            f"up to {self.count} files" if self.count > 1 else "",
            "/".join(names),
            f"{self.max_bytes / 1_000_000:g} MB" if self.max_bytes else "",
            _between(self.min_side, self.max_side, "pixels a side"),
            f"ratio up to {self.max_ratio:g}" if self.max_ratio else "",
            f"{self.max_area:,} pixels" if self.max_area else "",
            _between(self.min_seconds, self.max_seconds, "s"),
            _between(self.min_fps, self.max_fps, "frames a second"),
            "" if "bytes" in self.takes else f"by {' or '.join(self.takes)}",
        ]
        return ", ".join(fact for fact in facts if fact)


class ParameterSpec(BaseModel):
    """One parameter of a model, in neutral words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["integer", "number", "string", "boolean", "array", "object", "any"]
    choices: tuple[int | float | str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    default: Any = None
    """What the vendor does when it is absent; never sent by us."""
    max_length: int | None = None
    """Characters of a text, or entries of an array."""
    needs: Mapping[str, Any] = Field(default_factory=dict)
    """Parameter values that giving this one calls for."""
    required: bool = False
    description: str = ""

    def allowed(self) -> str:
        """Say in words what is allowed."""
        if self.choices:
            return ", ".join(str(choice) for choice in self.choices)
        if self.max_length is not None:
            what = "entries" if self.type == "array" else "characters"
            return f"up to {self.max_length} {what}"
        if self.minimum is not None and self.maximum is not None:
            return f"{self.minimum:g} to {self.maximum:g}"
        return {"boolean": "true or false"}.get(self.type, f"a value of type {self.type}")


class ChainStep(BaseModel):
    """A paid step that must be delivered before a model's own job: a job of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    """The step's model, at the same provider."""
    when: str | None = None
    """A parameter without which the step is left out; it is the step's prompt."""
    parameters: tuple[str, ...] = ()
    """Parameters that are the step's, not the model's own."""
    assets: tuple[str, ...] = ()
    """Roles whose files the step takes too."""
    fills: str | None = None
    """The slot that the step's file fills."""
    good_for: float | None = None
    """Seconds for which the step's outcome can be used; None: as long as it is there."""

    def is_wanted(self, parameters: Mapping[str, Any]) -> bool:
        """Say whether a request with these parameters calls for the step."""
        return self.when is None or self.when in parameters


class ModelCard(BaseModel):
    """A model of one provider: its names, inputs, parameters and manners."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str = ""
    name: str
    """Neutral name; the same for the same model at every provider."""
    vendor_id: str
    aliases: tuple[str, ...] = ()
    """Further names of exactly this card."""
    groups: tuple[str, ...] = ()
    """Names shared with sibling cards; request and assets decide which card is meant."""
    family: str = ""
    """Generation, such as ``v2.6``: what is compared with what."""
    tier: str = ""
    """``std``, ``pro``, ``4k`` or ``master``; what ``mode`` selects inside a group."""
    task: str
    """``text-to-video``, ``image-to-video`` …"""
    resolution: str | None = None
    """Output class, when the card has only one."""
    fixed: Mapping[str, Any] = Field(default_factory=dict)
    """Parameters that cannot be chosen and what they always are, such as ``audio = false``."""
    status: Literal["current", "legacy", "discontinued"] = "current"
    successor: str | None = None
    notice: str | None = None
    """Something to know before paying; becomes a note on the job."""
    resend: Literal["safe", "lookup", "none"] = "none"
    """``safe``: the vendor keeps our id unique, the same id may be sent again;
    ``lookup``: a lost submission can be looked for; ``none``: neither."""
    typical_seconds: float = 90.0
    """Usual run time; paces the looks."""
    prompt_required: bool = True
    prompt_max: int | None = None
    negative_prompt: bool = False
    aspect_from_image: bool = False
    """The output follows the picture; there is no aspect ratio to ask for."""
    one_of: tuple[tuple[str, ...], ...] = ()
    """Inputs and parameters of which at most one may be given."""
    at_least_one_of: tuple[tuple[str, ...], ...] = ()
    """Inputs and parameters of which one must be given."""
    steps: Mapping[str, ChainStep] = Field(default_factory=dict)
    """Paid steps that come first, by name."""
    example: str | None = None
    """Prompt, files and parameters of an example command, where the usual ones do not do."""
    inputs: Mapping[str, InputSlot] = Field(default_factory=dict)
    parameters: Mapping[str, ParameterSpec] = Field(default_factory=dict)
    checked_on: str = ""
    source: str = ""
    wire: Mapping[str, Any] = Field(default_factory=dict)
    """For the driver alone."""
    catalogued: bool = True
    """False for a vendor id that passed through without a card."""

    @property
    def output(self) -> str:
        """Kind of output: ``video``, ``image``, ``audio``, ``voice``, ``element`` or ``data``."""
        return output_of(self.task)

    def parameter_model(self) -> type[BaseModel]:
        """The parameters as a pydantic model: JSON Schema, forms and checks come from it."""
        return _parameter_model(self.name, tuple(sorted(self.parameters.items())))

    def names(self) -> tuple[str, ...]:
        """Every name that means exactly this card."""
        return (self.name, self.vendor_id, *self.aliases)


_PYTHON_TYPES: dict[str, Any] = {
    "integer": int,
    "number": float,
    "string": str,
    "boolean": bool,
    "array": list[Any],
    "object": dict[str, Any],
    "any": Any,
}


def _bounds(spec: ParameterSpec) -> dict[str, Any]:
    """Return the limits that a parameter's type can have."""
    if spec.choices or spec.type in ("any", "boolean"):
        return {}
    if spec.type in ("integer", "number"):
        return {"ge": spec.minimum, "le": spec.maximum}
    return {"max_length": spec.max_length}


def field_name(parameter: str) -> str:
    """Return a parameter's name inside its pydantic model, which has names of its own."""
    plain = parameter.isidentifier() and not parameter.startswith(("_", "model_"))
    free = plain and not keyword.iskeyword(parameter) and not hasattr(BaseModel, parameter)
    return parameter if free else "field_" + re.sub(r"\W", "_", parameter)


def _parameter_model(name: str, specs: tuple[tuple[str, ParameterSpec], ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for key, spec in specs:
        kind = Literal[spec.choices] if spec.choices else _PYTHON_TYPES[spec.type]
        fields[field_name(key)] = (
            kind | None,
            Field(
                default=None,
                alias=key,
                **_bounds(spec),
                description=spec.description,
                json_schema_extra={"vendor_default": spec.default},
            ),
        )
    title = f"Parameters of {name}"
    return create_model(title, __config__=ConfigDict(extra="forbid", title=title), **fields)
