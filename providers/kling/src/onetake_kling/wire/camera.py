"""Camera control of the old models: one movement along one axis.

Facts: vendor pages of 2026-02-03. Axes run from −10 to 10 and exactly one may differ from 0; pan
turns about the vertical axis, tilt about the horizontal one (older text had it the other way).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onetake.errors import UnsupportedParameter
from onetake_kling.wire.sheet import Sheet

AXES = ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")
TYPES = ("simple", "down_back", "forward_up", "right_turn_forward", "left_turn_forward")

PRESETS: Mapping[str, tuple[str, int]] = {
    "zoom_in": ("zoom", -5),
    "zoom_out": ("zoom", 5),
    "pan_left": ("pan", -5),
    "pan_right": ("pan", 5),
    "tilt_up": ("tilt", 5),
    "tilt_down": ("tilt", -5),
    "dolly_forward": ("zoom", -7),
    "dolly_back": ("zoom", 7),
    "orbit_right": ("pan", 5),
    "orbit_subject": ("pan", 8),
    "crane_up": ("vertical", 5),
    "epic_reveal": ("zoom", 8),
    "dramatic_push": ("zoom", -8),
}
"""Neutral motions as the one axis that carries most of them."""

_PARTLY = ("orbit_right", "orbit_subject", "epic_reveal")
"""Motions along two axes, of which the vendor allows one."""


def camera_control(sheet: Sheet) -> dict[str, Any] | None:
    """Return the vendor's object for ``camera_control`` or ``camera_motion``.

    Raises:
        UnsupportedParameter: what the vendor would refuse.
    """
    control, motion = sheet.given("camera_control"), sheet.given("camera_motion")
    if control is not None:
        return _checked(sheet, control)
    if motion in (None, "auto", "static"):
        return None
    axis, value = PRESETS[motion]
    if motion in _PARTLY:
        sheet.notes.append(f"camera_motion={motion}: the vendor allows one axis; {axis} was kept.")
    return {"type": "simple", "config": {name: value if name == axis else 0 for name in AXES}}


def _checked(sheet: Sheet, control: Mapping[str, Any]) -> dict[str, Any]:
    kind, config = control.get("type"), control.get("config")
    allowed = ("simple",) if sheet.wire.get("camera") == "simple" else TYPES
    if kind not in allowed:
        raise _refusal(f"type {kind!r} is not one of {', '.join(allowed)}.")
    if kind != "simple":
        if config is not None:
            raise _refusal(f"type {kind} takes no config.")
        return {"type": kind}
    if not isinstance(config, Mapping) or set(config) - set(AXES):
        raise _refusal(f"config names axes: {', '.join(AXES)}.")
    for axis, value in config.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 10:
            raise _refusal(f"{axis} is {value!r}, not a number from -10 to 10.")
    moving = [axis for axis, value in config.items() if value]
    if len(moving) != 1:
        raise _refusal(f"exactly one axis may differ from 0, not {len(moving)}.")
    return {"type": kind, "config": {axis: config.get(axis, 0) for axis in AXES}}


def _refusal(text: str) -> UnsupportedParameter:
    return UnsupportedParameter(f"camera_control: {text}", provider="kling")
