"""Pictures: the old API's image endpoints."""

from __future__ import annotations

import functools
from typing import Any

from onetake.sandbox import Sandbox
from onetake_kling.sandbox import inputs, prices
from onetake_kling.sandbox.answers import Refusal, invalid
from onetake_kling.sandbox.fields import (
    Body,
    count,
    items,
    model_of,
    number,
    one_of,
    within,
    words,
)
from onetake_kling.sandbox.orders import Order, common, old_order

RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")
_CLASSES = {
    "kling-v1": ("1k",),
    "kling-v1-5": ("1k",),
    "kling-v2": ("1k", "2k"),
    "kling-v2-new": ("1k",),
    "kling-v2-1": ("1k", "2k"),
    "kling-v3": ("1k", "2k"),
}
"""Resolution classes by model."""


_order = functools.partial(old_order, kind="images", pack="image")


def generations(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of generations."""
    name = model_of(body, "kling-v3", _CLASSES)
    prompt = words(body, "prompt", required=True)
    source = inputs.picture(sandbox, body.get("image"), "image", required=False)
    if body.get("image") and words(body, "negative_prompt"):
        raise invalid("negative_prompt is not supported with image")
    _check_reference(body)
    amount = count(body)
    resolution = one_of("resolution", body.get("resolution") or "1k", _CLASSES[name])
    ratio: str | None = one_of("aspect_ratio", body.get("aspect_ratio") or "16:9", RATIOS)
    if source is not None and name in ("kling-v2", "kling-v2-new"):
        ratio = None  # restyling keeps the picture's shape
    mode = ("i2i", "i2i/restyle", "restyle") if body.get("image") else ("t2i",)
    path = "/v1/images/generations"
    return _order(
        path,
        name,
        body,
        weight=amount,
        prompt=prompt,
        files=inputs.stills(
            sandbox,
            prompt=prompt,
            label=name,
            number=amount,
            resolution=resolution,
            ratio=ratio,
            source=source,
        ),
        units=prices.units(path, name, mode=mode, resolution=resolution, images=amount),
        reason=inputs.fault(sandbox, source),
    )


def _check_reference(body: Body) -> None:
    kind = body.get("image_reference")
    if kind:
        one_of("image_reference", kind, ("subject", "face"))
        if not body.get("image"):
            raise invalid("image can not be null")
    for field in ("image_fidelity", "human_fidelity"):  # without effect where they do not apply
        if body.get(field) is not None:
            number(body, field, 0, 1, 0.5)


def omni(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of omni-image."""
    classes = {"kling-image-o1": ("1k", "2k"), "kling-v3-omni": ("1k", "2k", "4k")}
    name = model_of(body, "kling-image-o1", classes)
    prompt = words(body, "prompt", required=True)
    pictures = items(body, "image_list")
    if len(pictures) + len(items(body, "element_list")) > 10:
        raise invalid("The number of images and elements exceeds the limit, max number is 10")
    files = [inputs.picture(sandbox, item.get("image"), "image") for item in pictures]
    resolution = one_of("resolution", body.get("resolution") or "1k", classes[name])
    ratio = one_of("aspect_ratio", body.get("aspect_ratio") or "auto", (*RATIOS, "auto"))
    series = one_of("result_type", body.get("result_type") or "single", ("single", "series"))
    if series == "series" and name != "kling-v3-omni":
        raise invalid("result_type value 'series' is invalid")
    amount = _series(body) if series == "series" else count(body)
    path = "/v1/images/omni-image"
    return _order(
        path,
        name,
        body,
        weight=amount,
        prompt=prompt,
        files=inputs.stills(
            sandbox,
            prompt=prompt,
            label=name,
            number=amount,
            resolution=resolution,
            ratio=ratio,
            source=next(iter(files), None),
        ),
        units=prices.units(
            path,
            name,
            mode=("i2i",) if pictures else ("t2i",),
            resolution=resolution,
            images=amount,
        ),
        reason=inputs.fault(sandbox, *files),
        info={"result_type": series},
    )


def _series(body: Body) -> int:
    """The vendor chooses the number for ``auto``; the sandbox makes three."""
    amount = body.get("series_amount", 4)
    if amount == "auto":
        return 3
    if isinstance(amount, bool) or not isinstance(amount, int) or not 2 <= amount <= 9:
        raise invalid(f"series_amount value '{amount}' is invalid")
    return amount


def several(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of multi-image2image."""
    name = model_of(body, "kling-v2-1", ("kling-v2", "kling-v2-1"))
    subjects = items(body, "subject_image_list")
    if not 1 <= len(subjects) <= 4:
        raise invalid("subject_image_list: size must be between 1 and 4")
    files = [
        inputs.picture(sandbox, item.get("subject_image"), "subject_image") for item in subjects
    ]
    for field in ("scene_image", "style_image"):
        inputs.picture(sandbox, body.get(field), field, required=False)
    amount, prompt = count(body), words(body, "prompt")
    ratio = one_of("aspect_ratio", body.get("aspect_ratio") or "16:9", RATIOS)
    path = "/v1/images/multi-image2image"
    return _order(
        path,
        name,
        body,
        weight=amount,
        prompt=prompt,
        files=inputs.stills(
            sandbox, prompt=prompt, label=name, number=amount, ratio=ratio, source=files[0]
        ),
        units=prices.units(path, name, resolution="1k", images=amount),
        reason=inputs.fault(sandbox, *files),
    )


def expand(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of editing/expand."""
    source = inputs.picture(sandbox, body.get("image"), "image")
    sides = []
    for side in ("up", "down", "left", "right"):
        field = f"{side}_expansion_ratio"
        if body.get(field) is None:
            raise invalid(f"{field} can not be null")
        sides.append(number(body, field, 0, 2, 0))
    tall, wide = 1 + sides[0] + sides[1], 1 + sides[2] + sides[3]
    if tall * wide > 3.0001:
        raise invalid("The total area of the new image must not exceed 3 times the original")
    amount, prompt = count(body), words(body, "prompt")
    size = sandbox.picture_size(source) if source else (1024, 1024)
    path = "/v1/images/editing/expand"
    return _order(
        path,
        "expand",
        body,
        weight=amount,
        prompt=prompt,
        files=inputs.stills(
            sandbox,
            prompt=prompt,
            label="expand",
            number=amount,
            source=source,
            shape=size[0] * wide / (size[1] * tall),
        ),
        units=prices.units(path, resolution="1k", images=amount),
        reason=inputs.fault(sandbox, source),
    )


def try_on(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of kolors-virtual-try-on."""
    allowed = ("kolors-virtual-try-on-v1", "kolors-virtual-try-on-v1-5")
    name = model_of(body, "kolors-virtual-try-on-v1", allowed)
    person = inputs.picture(sandbox, body.get("human_image"), "human_image")
    inputs.picture(sandbox, body.get("cloth_image"), "cloth_image")
    path = "/v1/images/kolors-virtual-try-on"
    return _order(
        path,
        name,
        body,
        prompt="",
        pack="try-on",
        files=inputs.stills(
            sandbox, prompt="try-on", label=name, number=1, ratio=None, source=person
        ),
        units=prices.units(path, name),
        reason=inputs.fault(sandbox, person),
    )


def views(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of ai-multi-shot: three sets of three views."""
    source = inputs.picture(sandbox, body.get("element_frontal_image"), "element_frontal_image")
    path = "/v1/general/ai-multi-shot"
    return _order(
        path,
        "ai-multi-shot",
        body,
        prompt="",
        files=inputs.stills(
            sandbox, prompt="views", label="ai-multi-shot", number=9, ratio="1:1", source=source
        ),
        units=prices.units(path, resolution="1k"),
        reason=inputs.fault(sandbox, source),
        info={"views": True},
    )


def recognise(sandbox: Sandbox, body: Body) -> tuple[Order, dict[str, Any]]:
    """Read a body of image-recognize; return the order and the answer's own part."""
    source = inputs.picture(sandbox, body.get("image"), "image")
    kinds = ("object_seg", "head_seg", "face_seg", "cloth_seg")
    files = inputs.stills(
        sandbox, prompt="mask", label="mask", number=len(kinds), ratio=None, source=source
    )
    found = [
        {"type": kind, "is_contain": True, "url": item["name"]}
        for kind, item in zip(kinds, files, strict=True)
    ]
    path = "/v1/videos/image-recognize"
    order = Order(
        endpoint=path,
        model="image-recognize",
        generation="old",
        prompt="",
        kind="masks",
        files=files,
        units=prices.units(path),
    )
    return order, {"task_result": {"images": found}}


def solution(sandbox: Sandbox, name: str, body: Body) -> Order:
    """Read a body of ``/solutions``; of those only the virtual try-on is emulated.

    Raises:
        Refusal: as the vendor words it.
    """
    if name != "virtual_try_on":
        raise Refusal(1203, "resource not found")
    found = {
        item.get("type"): item.get("url") for item in items(body, "contents") if item.get("url")
    }
    for kind in ("product_image", "person_image"):
        if kind not in found:
            raise invalid(f"contents must include exactly one {kind} item")
        if not str(found[kind]).startswith("http"):
            raise invalid("File is not in a valid base64 format")
    options = within(body, "options")
    return Order(
        endpoint=f"/solutions/{name}",
        model=name,
        generation="solution",
        prompt="",
        kind="images",
        files=inputs.stills(sandbox, prompt="virtual try-on", label=name, number=1, ratio="3:4"),
        pack="image",
        watermark=bool(within(options, "watermark").get("enabled")),
        **common(options),
    )
