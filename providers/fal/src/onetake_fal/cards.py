"""From an endpoint's input fields to a model card in neutral words.

The catalog's files are written with this (`tools/catalog_fal.py`), and so is the card of an
endpoint outside the catalog, from its live schema. Fields come in the form of `Fields`: what is
left of fal's OpenAPI when prose is taken away.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from onetake.catalog import load_catalog
from onetake.errors import UnsupportedParameter
from onetake.spelling import normalise

Fields = Mapping[str, Mapping[str, Any]]
"""Field name to ``type``, ``required``, ``default``, ``enum``, ``min``, ``max``, ``max_length``,
``items``, ``limits``: the form of ``sandbox/endpoints.json``."""

PICTURES = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"]
VIDEOS = ["video/mp4", "video/quicktime"]
ROLES: Mapping[str, tuple[str, str]] = {
    "start_image_url": ("first_frame", "image"),
    "end_image_url": ("last_frame", "image"),
    "tail_image_url": ("last_frame", "image"),
    "middle_image_urls": ("middle_frame", "image"),
    "image_urls": ("reference", "image"),
    "input_image_urls": ("reference", "image"),
    "human_image_url": ("person", "image"),
    "garment_image_url": ("garment", "image"),
    "static_mask_url": ("static_mask", "image"),
    "video_url": ("video", "video"),
    "audio_url": ("audio", "audio"),
}
"""fal's fields for files and the slot that each fills."""

PARAMETERS: Mapping[str, tuple[str, str]] = {
    "duration": ("duration", "seconds"),
    "aspect_ratio": ("aspect_ratio", "width to height"),
    "cfg_scale": ("cfg_scale", "how closely to follow the prompt"),
    "generate_audio": ("audio", "native sound"),
    "keep_audio": ("keep_original_sound", "keep the sound of the given video"),
    "keep_original_sound": ("keep_original_sound", "keep the sound of the given video"),
    "num_images": ("n", "number of pictures"),
    "resolution": ("resolution", "resolution class"),
    "effect_scene": ("effect", "name of the scene"),
    "voice_id": ("voice", "name of the voice"),
    "voice_ids": ("voices", "ids of voices, named in the prompt as @voice_1 …"),
    "voice_language": ("language", "of the text"),
    "voice_speed": ("speed", "of the voice"),
    "character_orientation": ("orientation", "whose the character's orientation is"),
    "asmr_mode": ("asmr", "close and detailed sounds"),
    "background_music_prompt": ("music", "words for music in the background"),
}
"""fal's fields and the neutral parameter that each is; any other keeps its name."""

PROMPTS = ("prompt", "sound_effect_prompt", "text")
"""Fields that say what is to be made; the first that an endpoint has is the prompt."""

SLOTS = (
    "first_frame", "last_frame", "middle_frame", "person", "garment", "reference", "video", "audio",
)  # fmt: skip
"""Slots in the order in which files without a role fill them."""

LEFT_OUT = ("prompt", "negative_prompt", "sync_mode", "_other")
"""Fields that are no parameters; ``sync_mode`` would put files into the answer itself."""

_SIZES = {
    "1:1": "square_hd",
    "3:4": "portrait_4_3",
    "9:16": "portrait_16_9",
    "4:3": "landscape_4_3",
    "16:9": "landscape_16_9",
}
_CAMERAS = ["down_back", "forward_up", "right_turn_forward", "left_turn_forward"]


def card_of(task: str, fields: Fields, *, elements: int = 4) -> dict[str, Any]:
    """Return what a card says of an endpoint's inputs, parameters and wire.

    Args:
        task: neutral task of the endpoint.
        fields: its input fields.
        elements: how many inline elements it takes, where it takes any.
    """
    card: dict[str, Any] = {"task": task, "inputs": {}, "parameters": {}, "wire": {}}
    _read_prompt(card, task, fields)
    for name, rule in fields.items():
        if name in LEFT_OUT or name == card["wire"].get("prompt"):
            continue
        special = _SPECIAL.get(name)
        if special is not None and _is_klings(name, rule, fields):
            special(card, rule, elements)
        elif is_file(name, rule):
            _read_file(card, task, name, rule)
        else:
            _read_parameter(card, name, rule)
    card["parameters"]["callback_url"] = {
        "type": "string",
        "description": "URL that fal calls when the job has ended",
    }
    _follow_picture(card)
    places = sorted(card["inputs"], key=lambda role: (*SLOTS, role).index(role))
    card["inputs"] = {role: card["inputs"][role] for role in places}
    return {key: value for key, value in card.items() if value != {}}


@functools.cache
def our_names(endpoint: str) -> Mapping[str, str]:
    """Return an endpoint's fields in our words, as far as the catalog has it and they differ."""
    found = (card for card in load_catalog("onetake_fal") if card.vendor_id == endpoint)
    wire = next((card.wire for card in found), {})
    return {field: ours for ours, field in wire.items() if isinstance(field, str)}


def _read_prompt(card: dict[str, Any], task: str, fields: Fields) -> None:
    names = PROMPTS[:2] if task == "lip-sync" else PROMPTS
    name = next((name for name in names if name in fields), None)
    rule = fields.get(name or "", {})
    shots = "multi_prompt" in fields and not any(is_file(*item) for item in fields.items())
    card["prompt_required"] = bool(rule.get("required")) or shots  # shots stand for a prompt
    if name is not None and name != "prompt":
        card["wire"]["prompt"] = name
    if "max_length" in rule:
        card["prompt_max"] = rule["max_length"]
    if "negative_prompt" in fields:
        card["negative_prompt"] = True


def is_file(name: str, rule: Mapping[str, Any]) -> bool:
    """Say whether a field takes the URL of a file, or a list of such URLs."""
    kind = rule.get("type")
    if kind == "array":
        return name.endswith("_urls") and rule.get("items", {}).get("type") == "string"
    return kind == "string" and (name.endswith("_url") or rule.get("format") == "url_or_data_uri")


def _read_file(card: dict[str, Any], task: str, name: str, rule: Mapping[str, Any]) -> None:
    role, kind = ROLES.get(name, (name, kind_of(name)))
    if name == "image_url":
        role = "first_frame" if task == "image-to-video" else "reference"
    if role in card["inputs"]:
        role = name  # two fields for the same slot: the second keeps its name
    slot: dict[str, Any] = {"kind": kind}
    if rule.get("required"):
        slot["required"] = True
    if rule.get("type") == "array":
        slot["count"] = _count(rule)
        card["wire"].setdefault("lists", []).append(role)
    if kind != "file" and role in _KNOWN_SLOTS:
        slot["formats"] = {"image": PICTURES, "video": VIDEOS}.get(kind, [])
    slot.update(limits(str(rule.get("limits", ""))))
    card["inputs"][role] = {key: value for key, value in slot.items() if value != []}
    if role != name:
        card["wire"][role] = name


_KNOWN_SLOTS = {role for role, _ in ROLES.values()} | {"reference"}


def kind_of(name: str) -> str:
    """Guess from a field's name what kind of file it takes; ``file`` is any."""
    for word, kind in (("video", "video"), ("audio", "audio"), ("image", "image")):
        if word in name:
            return kind
    return "file"


def _count(rule: Mapping[str, Any]) -> int:
    found = re.search(r"(?:Max|Maximum|up to) (\d+)", str(rule.get("limits", "")))
    return int(rule.get("max") or (found[1] if found else 10))


_LIMITS: tuple[tuple[str, str, Callable[[str], float]], ...] = (
    (r"(?:Max file size: |≤|<=|max )([\d.]+) ?MB", "max_bytes", lambda n: int(float(n) * 1e6)),
    (r"Min (?:width|height): (\d+)px|min (\d+)px|>=(\d+) px", "min_side", int),
    (r"Max (?:width|height): (\d+)px", "max_side", int),
    (r"Max aspect ratio: ([\d.]+)|:([\d.]+) to|-([\d.]+), fetch", "max_ratio", float),
    (r"Min duration: ([\d.]+)s|between ([\d.]+)s|\b(\d+)-\d+ ?s\b", "min_seconds", float),
    (r"Max duration: ([\d.]+)s|and ([\d.]+)s|\b\d+-(\d+) ?s\b", "max_seconds", float),
)
"""What the prose beside a field says, as fal writes it."""


def limits(text: str) -> dict[str, float]:
    """Read the limits of a file from the words beside its field."""
    found: dict[str, float] = {}
    for pattern, name, number in _LIMITS:
        match = re.search(pattern, text)
        if match is not None:
            found[name] = number(next(group for group in match.groups() if group))
    return found


def _read_parameter(card: dict[str, Any], name: str, rule: Mapping[str, Any]) -> None:
    neutral, description = PARAMETERS.get(name, (name, ""))
    if neutral in card["parameters"]:
        neutral = name  # two fields for the same of our words: the second keeps its name
    kinds = str(rule.get("type", "string")).split("|")
    spec: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else "any"}
    if name == "duration" and spec["type"] == "string" and not rule.get("enum"):
        spec["type"] = "any"  # text in a form of its own; a number goes as text
        card["wire"].setdefault("strings", []).append(neutral)
    if len(kinds) == 1:
        _read_choices(card, neutral, spec, list(rule.get("enum") or ()))
    if spec["type"] == "array":
        spec |= {"max_length": rule["max"]} if "max" in rule else {}
    else:
        words = {"min": "minimum", "max": "maximum", "max_length": "max_length"}
        spec |= {ours: rule[theirs] for theirs, ours in words.items() if theirs in rule}
        if spec["type"] == "integer":  # of other numbers the vendor judges the edge
            spec |= {"minimum": rule["above"] + 1} if "above" in rule else {}
            spec |= {"maximum": rule["below"] - 1} if "below" in rule else {}
    default = rule.get("default")
    if default not in (None, ""):
        spec["default"] = _in_our_words(neutral, default) if spec.get("choices") else default
    if rule.get("required"):
        spec["required"] = True
    if description:
        spec["description"] = description
    card["parameters"][neutral] = spec
    if neutral != name:
        card["wire"][neutral] = name


def _read_choices(
    card: dict[str, Any], neutral: str, spec: dict[str, Any], enum: list[Any]
) -> None:
    """Put the allowed values into our words, and note fal's where they differ."""
    if not enum or not all(isinstance(value, str | int) for value in enum):
        return
    ours = [_in_our_words(neutral, value) for value in enum]
    if len({type(value) for value in ours}) > 1:
        spec["type"] = "any"  # words among numbers: the vendor judges
        return
    if ours != enum and [str(value) for value in ours] == enum:
        card["wire"].setdefault("strings", []).append(neutral)
    elif ours != enum:
        both = zip(ours, enum, strict=True)
        card["wire"].setdefault("values", {})[neutral] = {str(own): value for own, value in both}
    spec["choices"] = ours
    spec["type"] = {bool: "boolean", int: "integer"}.get(type(ours[0]), "string")


def _in_our_words(neutral: str, value: Any) -> Any:
    """Return a value as it is after a caller's was put into neutral form."""
    try:
        return normalise(neutral, value)
    except UnsupportedParameter:
        return value


# ── fields that are not one parameter of ours ──


def _shots(card: dict[str, Any], rule: Mapping[str, Any], elements: int) -> None:
    if "properties" not in rule.get("items", {}):
        return  # the fields of a shot are not known; the vendor's own block takes them
    card["parameters"]["shots"] = {
        "type": "array",
        "description": "shots, each {prompt, duration}, instead of a prompt",
    }


def _elements(card: dict[str, Any], rule: Mapping[str, Any], elements: int) -> None:
    properties = rule.get("items", {}).get("properties", {})
    for number in range(1, elements + 1):
        slot = {"kind": "image", "count": 4, "formats": PICTURES}
        card["inputs"][f"element_{number}"] = slot
        if "video_url" in properties:
            card["inputs"][f"element_{number}_video"] = {"kind": "video", "formats": VIDEOS}


def _masks(card: dict[str, Any], rule: Mapping[str, Any], elements: int) -> None:
    card["inputs"]["mask"] = {"kind": "image", "count": 6, "needs": {"trajectories": "given"}}
    card["parameters"]["trajectories"] = {
        "type": "array",
        "max_length": 6,
        "needs": {"mask": "given"},
        "description": "for each mask a list of [x, y] in pixels",
    }


def _series(card: dict[str, Any], rule: Mapping[str, Any], elements: int) -> None:
    low, high = int(rule.get("min", 2)), int(rule.get("max", 9))
    card["parameters"]["series"] = {
        "type": "string",
        "choices": [str(number) for number in range(low, high + 1)],
        "description": "make a series of so many pictures that belong together",
    }
    card.setdefault("one_of", []).append(["n", "series"])


def _image_size(card: dict[str, Any], rule: Mapping[str, Any], elements: int) -> None:
    default = next((ours for ours, name in _SIZES.items() if name == rule.get("default")), None)
    spec = {"type": "string", "choices": list(_SIZES), "description": "width to height"}
    card["parameters"]["aspect_ratio"] = spec | ({} if default is None else {"default": default})
    for name in ("width", "height"):
        card["parameters"][name] = {"type": "integer", "minimum": 1, "description": "pixels"}
    card["parameters"]["image_size"] = {
        "type": "any",
        "description": "fal's own word for a size, or {width, height}",
    }
    card["wire"]["aspect_ratio"] = "image_size"
    card["wire"].setdefault("values", {})["aspect_ratio"] = dict(_SIZES)
    card.setdefault("one_of", []).extend([["aspect_ratio", "width", "image_size"]])


def _camera(card: dict[str, Any], rule: Mapping[str, Any], elements: int) -> None:
    card["parameters"]["camera_motion"] = {
        "type": "string",
        "choices": list(_CAMERAS),
        "description": "one movement of the camera; others are said in the prompt",
    }
    card["parameters"]["camera_control"] = {
        "type": "object",
        "description": "{type, config} as at the official API; one axis only",
    }
    card["wire"]["camera_motion"] = "camera_control"
    card.setdefault("one_of", []).append(["camera_motion", "camera_control"])


def _voice_sample(card: dict[str, Any], rule: Mapping[str, Any], elements: int) -> None:
    """One field takes a sound or a video; our two slots exclude each other."""
    span = re.search(r"(\d+)-(\d+) seconds", str(rule.get("limits", "")))
    length = {} if span is None else {"min_seconds": int(span[1]), "max_seconds": int(span[2])}
    card["inputs"]["audio"] = {"kind": "audio", **length}
    card["inputs"]["video"] = {"kind": "video", "formats": VIDEOS, **length}
    card["wire"] |= {"audio": "voice_url", "video": "voice_url"}
    card["one_of"] = card["at_least_one_of"] = [["audio", "video"]]


def _nothing(card: dict[str, Any], rule: Mapping[str, Any], elements: int) -> None:
    """Said by another field."""


def _is_klings(name: str, rule: Mapping[str, Any], fields: Fields) -> bool:
    """Say whether a field is what it is at Kling's endpoints, not only called so."""
    item = rule.get("items", {})
    properties = item.get("properties", {})
    checks = {
        "multi_prompt": "prompt" in properties or item.get("name") == "KlingV4Shot",
        "elements": "frontal_image_url" in properties,
        "dynamic_masks": "mask_url" in properties,
        "result_type": "series_amount" in fields,
        "image_size": "square_hd" in rule.get("enum", ()) and "width" not in fields,
        "voice_url": bool(rule.get("required")),
        "camera_control": set(rule.get("enum", ())) == set(_CAMERAS),
        "advanced_camera_control": "camera_control" in fields,
    }
    return checks.get(name, True)


_SPECIAL: Mapping[str, Callable[[dict[str, Any], Mapping[str, Any], int], None]] = {
    "multi_prompt": _shots,
    "elements": _elements,
    "dynamic_masks": _masks,
    "series_amount": _series,
    "result_type": _nothing,
    "image_size": _image_size,
    "camera_control": _camera,
    "advanced_camera_control": _nothing,
    "voice_url": _voice_sample,
}


def _follow_picture(card: dict[str, Any]) -> None:
    """A video from a picture has the picture's shape, where no ratio can be asked for."""
    first = "first_frame" in card["inputs"]
    if first and "aspect_ratio" not in card["parameters"] and card["task"] == "image-to-video":
        card["aspect_from_image"] = True
