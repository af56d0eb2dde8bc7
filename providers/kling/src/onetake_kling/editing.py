"""Editing a video by what is in it: marking that, before the paid job is sent.

The calls cost nothing by the vendor's price lists (2026-09-20) and can be repeated; what they
mark lives in a session of 24 hours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from onetake.driver import PreparedAsset
from onetake.errors import RequestError, UnsupportedParameter
from onetake.fitting import FittedRequest

Ask = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
PATH = "/v1/videos/multi-elements"
FRAMES, POINTS = 10, 10
"""So many frames, and points in each, may be marked (vendor page, 2026-09-20)."""


async def arrange(
    ask: Ask, request: FittedRequest, assets: Sequence[PreparedAsset]
) -> dict[str, Any]:
    """Open a session for a video that is to be edited and mark what is meant.

    Raises:
        RequestError: the vendor finds nothing there.
        UnsupportedParameter: the marks are not points in frames.
    """
    if request.card.wire.get("endpoint") != "multi-elements":
        return {}
    marks = _marks(request)
    video = next(item for item in assets if item.asset.role == "video")
    source = "video_url" if video.asset.vendor_id is None else "video_id"
    opened = await ask(f"{PATH}/init-selection", {source: video.value})
    session = _session(opened, "the video")
    _check_length(request, opened)
    for frame, points in marks.items():
        body = {"session_id": session, "frame_index": frame, "points": points}
        _session(await ask(f"{PATH}/add-selection", body), f"frame {frame}")
    return {"session_id": session}


def _check_length(request: FittedRequest, opened: Mapping[str, Any]) -> None:
    """The length of the result follows from the video's: 2 to 5 s make 5, 7 to 10 s make 10."""
    told = opened.get("original_duration")
    if not isinstance(told, int | float):
        return
    wanted = 5 if told <= 5500 else 10
    if request.value("duration") != wanted:
        raise UnsupportedParameter(
            f"duration: the video lasts {told / 1000:g} s, so it is {wanted}, not "
            f"{request.value('duration')}.",
            provider="kling",
        )


def _session(answer: Any, what: str) -> str:
    data = answer if isinstance(answer, Mapping) else {}
    if data.get("status") or not data.get("session_id"):
        raise RequestError(
            f"selection: the vendor finds nothing in {what} (status {data.get('status')}).",
            provider="kling",
            hint="Nothing was paid. Mark other points, or another frame.",
        )
    return str(data["session_id"])


def _marks(request: FittedRequest) -> dict[int, list[dict[str, float]]]:
    """Return points by frame."""
    wanted = request.parameters.get("selection") or []
    if not wanted and request.parameters.get("edit") != "addition":
        raise RequestError(
            "selection: to swap or remove something, say where it is: points [frame, x, y].",
            provider="kling",
        )
    marks: dict[int, list[dict[str, float]]] = {}
    for point in wanted:
        if not _is_point(point):
            raise UnsupportedParameter(
                f"selection: {point!r:.60} is not [frame, x, y] with x and y from 0 to 1.",
                provider="kling",
            )
        marks.setdefault(point[0], []).append({"x": point[1], "y": point[2]})
    if len(marks) > FRAMES or any(len(points) > POINTS for points in marks.values()):
        raise UnsupportedParameter(
            f"selection: at most {FRAMES} frames, and {POINTS} points in each.", provider="kling"
        )
    return marks


def _is_point(point: Any) -> bool:
    if not isinstance(point, list | tuple) or len(point) != 3:
        return False
    frame, x, y = point
    shares = all(isinstance(value, int | float) and 0 <= value <= 1 for value in (x, y))
    return isinstance(frame, int) and not isinstance(frame, bool) and frame >= 0 and shares
