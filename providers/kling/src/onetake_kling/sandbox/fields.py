"""Reading members of a body as the vendor does: the words of its refusals were recorded.

Members that are not known are ignored (seen by three third parties, 2026-08 and 2026-09).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from onetake_kling.sandbox.answers import Refusal, invalid
from onetake_kling.sandbox.rules import ELSEWHERE, NEW_ONLY

Body = Mapping[str, Any]
LONGEST = 2500


def within(body: Body, name: str) -> Body:
    """Return a member that is an object; empty if it is absent.

    Raises:
        Refusal: it is something else.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise invalid(f"{name} value type is invalid, expected object")
    return value or {}


def items(body: Body, name: str) -> list[Any]:
    """Return a member that is a list; empty if it is none."""
    value = body.get(name)
    return value if isinstance(value, list) else []


def text(item: Body, field: str, message: str) -> str:
    """Return a text that must not be blank."""
    value = item.get(field)
    if not isinstance(value, str) or not value.strip():
        raise invalid(message)
    return value


def words(body: Body, field: str, longest: int = LONGEST, *, required: bool = False) -> str:
    """Return a text of limited length."""
    value = body.get(field) or ""
    if not isinstance(value, str):
        raise invalid(f"{field} value type is invalid")
    if required and not value.strip():
        raise invalid(f"{field} can not be empty")
    if len(value) > longest:
        raise invalid(f"{field}: size must be between 0 and {longest}")
    return value


def one_of(field: str, value: Any, allowed: Sequence[str]) -> str:
    """Return a value of a set."""
    if value not in allowed:
        raise not_among(field, value, allowed)
    return str(value)


def model_of(body: Body, default: str, allowed: Collection[str]) -> str:
    """Return the model that a body of the old API names."""
    name = text_of(body, "model_name") or default
    if name not in allowed:
        raise unsupported(name)
    return name


def text_of(body: Body, field: str) -> str:
    """Return a text; one of another type makes the whole body unreadable (recorded twice, 2026).

    Raises:
        Refusal: it is something else.
    """
    value = body.get(field) or ""
    if not isinstance(value, str):
        raise unreadable()
    return value


def unreadable() -> Refusal:
    """Return the refusal of a body that is no JSON, or whose members have other types."""
    return invalid("Failed to resolve the request body")


def unsupported(model: str) -> Refusal:
    """Return the refusal of a model; one that stands elsewhere is told from one that is none."""
    if model in NEW_ONLY:
        return Refusal(1203, f"{model} is not supported for this API")
    if model in ELSEWHERE:
        return invalid("model is not supported")
    return invalid(f"model_name value '{model}' is invalid")


def number(
    body: Body, field: str, low: float, high: float, default: float, within: str = ""
) -> float:
    """Return a number within bounds; ``within`` names the member that it stands in."""
    value = body.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{field} value '{value}' is invalid")
    place = f"{within}{_camel(field)}"
    if value < low:
        raise invalid(f"{place}: must be greater than or equal to {low}")
    if value > high:
        raise invalid(f"{place}: must be less than or equal to {high}")
    return float(value)


def _camel(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(part.capitalize() for part in rest)


def seconds(field: str, value: Any, allowed: Sequence[int]) -> int:
    """Return whole seconds of a set; text or number."""
    try:
        found = int(str(value))
    except ValueError:
        raise invalid(f"{field} value '{value}' is invalid") from None
    if found not in allowed:
        raise invalid(f"{field} value '{value}' is invalid")
    return found


def not_among(field: str, value: Any, allowed: Sequence[str]) -> Refusal:
    """Return the refusal of a value that is not in a set."""
    return invalid(f"{field} value '{value}' is invalid, allowed values: {', '.join(allowed)}")


def count(body: Body, field: str = "n") -> int:
    """Return the number of pictures."""
    value = body.get(field) or 1
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 9:
        raise invalid(f"{field} value '{value}' is invalid")
    return value


def watermarked(body: Body) -> bool | None:
    """Say whether a copy with watermark is wanted; None where nothing is said."""
    if not isinstance(body.get("watermark_info"), dict):
        return None
    return bool(within(body, "watermark_info").get("enabled"))
