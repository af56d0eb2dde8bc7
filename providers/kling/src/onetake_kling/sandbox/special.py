"""Avatar, effects, lip-sync, extending, editing by selection: the old API's special videos."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping
from typing import Any

from onetake.sandbox import Sandbox
from onetake.sandbox.media.film import Film
from onetake.sandbox.service import FRAME
from onetake_kling.sandbox import inputs, prices
from onetake_kling.sandbox.answers import invalid
from onetake_kling.sandbox.fields import (
    Body,
    items,
    number,
    one_of,
    seconds,
    within,
    words,
)
from onetake_kling.sandbox.orders import Order, new_id, old_order

_CLASS = {"std": "720p", "pro": "1080p"}


_order = functools.partial(old_order, kind="videos")


def avatar(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of avatar/image2video."""
    mode = one_of("mode", body.get("mode") or "std", ("std", "pro"))
    first = inputs.picture(sandbox, body.get("image"), "image")
    sound, length = inputs.sound(
        sandbox, file=body.get("sound_file"), audio_id=body.get("audio_id")
    )
    if not 2 <= length <= 300.5:
        raise invalid("Audio duration must be between 2s and 300s")
    prompt = words(body, "prompt")
    path = "/v1/videos/avatar/image2video"
    film = inputs.film(
        sandbox,
        prompt=prompt or "avatar",
        label="avatar",
        resolution=_CLASS[mode],
        seconds=length,
        first=first,
        audio=True,
        sound=sound,
    )
    return _order(
        path,
        "avatar",
        body,
        prompt=prompt,
        files=inputs.one_film(film),
        units=prices.units(path, mode=(mode,), resolution=_CLASS[mode], seconds=length),
        reason=inputs.fault(sandbox, first),
    )


@functools.cache
def _scenes() -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of scenes for one picture, and of those for two."""
    text = (importlib.resources.files(__package__) / "scenes.txt").read_text("utf-8")
    lines = dict(
        line.split(":", 1) for line in text.splitlines() if line and not line.startswith("#")
    )
    return frozenset(lines["SINGLE"].split()), frozenset(lines["DUAL"].split())


def effects(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of effects."""
    scene, given = body.get("effect_scene"), within(body, "input")
    single, dual = _scenes()
    if scene not in single | dual:
        raise invalid(f"effect_scene value '{scene}' is invalid")
    if scene in dual:
        pictures = given.get("images")
        if not isinstance(pictures, list) or len(pictures) != 2:
            raise invalid("input.images: size must be 2")
    else:
        pictures = [given.get("image")]
    files = [inputs.picture(sandbox, item, "input.image") for item in pictures]
    film = inputs.film(
        sandbox,
        prompt=str(scene).replace("_", " "),
        label="effects",
        resolution="720p",
        seconds=5,
        first=files[0],
        last=files[1] if len(files) > 1 else None,
    )
    return _order(
        "/v1/videos/effects",
        "effects",
        body,
        prompt=str(scene),
        files=inputs.one_film(film),
        reason=inputs.fault(sandbox, *files),
        info={"untimed": True},
    )


def identify_face(sandbox: Sandbox, body: Body) -> tuple[Order, dict[str, Any]]:
    """Read a body of identify-face; return the order and the answer's own part.

    One face is found; ``?faces=2`` in a URL finds two, ``?faces=0`` none.
    """
    url = body.get("video_url")
    source = inputs.video(sandbox, url=url, video_id=body.get("video_id"))
    if not 2 <= source.seconds <= 60.5:
        raise invalid("Video duration must be between 2s and 60s")
    told = str(url or "").partition("faces=")[2][:1]
    many = int(told) if told.isdigit() else 1
    files = inputs.stills(sandbox, prompt="face", label="face", number=many, ratio="1:1")
    session = _open_session(sandbox, source, faces=many)
    faces = [
        {
            "face_id": str(index),
            "face_image": files[index]["name"],
            "start_time": 0,
            "end_time": round(1000 * source.seconds),
        }
        for index in range(many)
    ]
    path = "/v1/videos/identify-face"
    order = Order(
        endpoint=path,
        model="identify-face",
        generation="old",
        prompt="",
        kind="faces",
        files=files,
        units=prices.units(path),
    )
    return order, {"session_id": session, "face_data": faces}


def _open_session(sandbox: Sandbox, source: inputs.Video, **more: Any) -> str:
    """Remember a video, and what was found in it, for a day; return the session's id."""
    session = new_id()
    task = None if source.task is None else source.task.id
    state = {"seconds": source.seconds, "task": task, "until": sandbox.now() + 86_400, **more}
    sandbox.store.set_value(f"kling-session-{session}", state)
    return session


def _frame(state: Mapping[str, Any]) -> str | None:
    """Return the file id of the last frame of a session's video, if the sandbox made it."""
    return f"{FRAME}kling:{state['task']}" if state["task"] else None


def _session(sandbox: Sandbox, body: Body) -> dict[str, Any]:
    session = body.get("session_id")
    state = sandbox.store.value(f"kling-session-{session}")
    if not session or state is None or state["until"] < sandbox.now():
        raise invalid(f"Session not found by id: {session}")
    found: dict[str, Any] = state
    return found


def lip_sync(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of advanced-lip-sync."""
    state = _session(sandbox, body)
    chosen = items(body, "face_choose")
    if len(chosen) != 1:
        raise invalid("face_choose: size must be 1")
    face = chosen[0]
    if str(face.get("face_id")) not in [str(index) for index in range(state["faces"])]:
        raise invalid(f"Face not found by id: {face.get('face_id')}")
    sound, length = inputs.sound(
        sandbox, file=face.get("sound_file"), audio_id=face.get("audio_id")
    )
    if str(face.get("sound_file", "")).startswith("http"):
        length = 60.0  # the sandbox cannot hear it
    _check_times(face, length, state["seconds"])
    for field in ("sound_volume", "original_audio_volume"):
        number(face, field, 0, 2, 1)
    film = inputs.film(
        sandbox,
        prompt="lip-sync",
        label="lip-sync",
        resolution="720p",
        seconds=state["seconds"],
        first=_frame(state),
        audio=True,
        sound=sound,
    )
    path = "/v1/videos/advanced-lip-sync"
    return _order(
        path,
        "lip-sync",
        body,
        prompt="",
        files=inputs.one_film(film),
        units=prices.units(path, seconds=state["seconds"]),
        info={"parent": {"id": state["task"], "duration": f"{state['seconds']:g}"}},
    )


def _check_times(face: Body, length: float, whole: float) -> None:
    times = []
    for field in ("sound_start_time", "sound_end_time", "sound_insert_time"):
        value = face.get(field)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise invalid(f"{field} can not be null")
        times.append(value)
    start, end, insert = times
    if end - start < 2000:
        raise invalid("The cropped audio must not be shorter than 2 seconds")
    if end > 1000 * length + 300:
        raise invalid("sound_end_time must not be later than the duration of the audio")
    if insert + end - start > 1000 * whole + 300:
        raise invalid("The audio must end within the video")


def old_lip_sync(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of lip-sync: gone from the pages, and still answered (2026-09-28)."""
    given = within(body, "input")
    mode = one_of("input.mode", given.get("mode"), ("text2video", "audio2video"))
    if not given.get("video_id") and not given.get("video_url"):
        raise invalid("video_id or video_url is required")
    source = inputs.video(sandbox, url=given.get("video_url"), video_id=given.get("video_id"))
    sound = None
    if mode == "text2video":
        _check_old_voice(given)
    else:
        sound = _old_sound(sandbox, given)
    film = inputs.film(
        sandbox,
        prompt=str(given.get("text") or "lip-sync"),
        label="lip-sync",
        resolution="720p",
        seconds=source.seconds,
        first=source.frame,
        audio=True,
        sound=sound,
    )
    path = "/v1/videos/lip-sync"
    return _order(path, "lip-sync", body, prompt="", files=inputs.one_film(film))


def _check_old_voice(given: Body) -> None:
    if not str(given.get("text") or "").strip():
        raise invalid("text is required")
    words(given, "text", 120)
    if not given.get("voice_id"):
        raise invalid("Voice id not found")
    one_of("input.voice_language", given.get("voice_language") or "zh", ("zh", "en"))
    number(given, "voice_speed", 0.8, 2.0, 1, within="input.")


def _old_sound(sandbox: Sandbox, given: Body) -> str | None:
    if not given.get("audio_type"):
        raise invalid("Audio type is null")
    kind = one_of("input.audio_type", given["audio_type"], ("file", "url"))
    return inputs.sound(sandbox, file=given.get(f"audio_{kind}"))[0]


def extend(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of video-extend; the result is the whole, longer clip."""
    number(body, "cfg_scale", 0, 1, 0.5)
    video_id = body.get("video_id")
    source = inputs.by_video_id(sandbox, str(video_id or ""))
    if source is None or source.film is None:
        raise invalid(f"From video not found by id: {video_id}")
    if source.model not in ("kling-v1", "kling-v1-5", "kling-v1-6"):
        raise invalid("This video not supported extend-video")
    before = Film.from_json(source.film)
    if before.seconds + 5 > 180:
        raise invalid("The total duration must not exceed 3 minutes")
    prompt = words(body, "prompt")
    film = Film.from_json(
        {**source.film, "seconds": before.seconds + 5, "prompt": prompt or before.prompt}
    )
    path, mode = "/v1/videos/video-extend", str(source.extra.get("mode") or "std")
    parent = {"id": str(video_id), "duration": f"{before.delivered_seconds:g}"}
    return _order(
        path,
        source.model,
        body,
        prompt=prompt,
        files=inputs.one_film(film.to_json()),
        units=prices.units(path, source.model, mode=(mode,), resolution="720p"),
        info={"parent": parent},
    )


def select(sandbox: Sandbox, step: str, body: Body) -> dict[str, Any]:
    """Answer one of the five selection calls of multi-elements."""
    if step == "init-selection":
        return _opened(sandbox, body)
    state, session = _session(sandbox, body), str(body.get("session_id"))
    answer: dict[str, Any] = {"status": 0, "session_id": session}
    if step == "clear-selection":
        state["marks"] = {}
    elif step == "preview-selection":
        answer["res"] = dict.fromkeys(("video", "video_cover", "tracking_output"), "")
    else:
        answer["res"] = _marked(state, body, add=step == "add-selection")
    sandbox.store.set_value(f"kling-session-{session}", state)
    return answer


def _opened(sandbox: Sandbox, body: Body) -> dict[str, Any]:
    source = inputs.video(sandbox, url=body.get("video_url"), video_id=body.get("video_id"))
    length = source.seconds
    if not (2 <= length <= 5.5 or 7 <= length <= 10.5):
        raise invalid("Video duration must be between 2s and 5s or between 7s and 10s")
    return {
        "status": 0,
        "session_id": _open_session(sandbox, source, marks={}),
        "fps": 24.0,
        "original_duration": round(1000 * length),
        "width": 1280,
        "height": 720,
        "total_frame": round(24 * length),
        "normalized_video": "",
    }


def _marked(state: dict[str, Any], body: Body, *, add: bool) -> dict[str, Any]:
    frame, points = body.get("frame_index"), items(body, "points")
    if isinstance(frame, bool) or not isinstance(frame, int) or frame < 0:
        raise invalid("frame_index can not be null")
    if not 1 <= len(points) <= 10:
        raise invalid("points: size must be between 1 and 10")
    if any(not 0 <= point.get(axis, -1) <= 1 for point in points for axis in "xy"):
        raise invalid("points: must be between 0 and 1")
    marks = state["marks"]
    if add:
        marks[str(frame)] = points
    else:
        marks.pop(str(frame), None)
    if len(marks) > 10:
        raise invalid("A maximum of 10 frames can be marked")
    masks = [{"object_id": 0, "rle_mask": {"size": [720, 1280], "counts": ""}}]
    return {"frame_index": frame, "rle_mask_list": masks}


def edit(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of multi-elements."""
    state = _session(sandbox, body)
    kind = one_of("edit_mode", body.get("edit_mode"), ("addition", "swap", "removal"))
    mode = one_of("mode", body.get("mode") or "std", ("std", "pro"))
    length = seconds("duration", body.get("duration") or "5", (5, 10))
    if (state["seconds"] > 5.5) != (length == 10):
        raise invalid("duration does not match the duration of the input video")
    pictures = items(body, "image_list")
    low, high = {"addition": (1, 2), "swap": (1, 1), "removal": (0, 9)}[kind]
    if not low <= len(pictures) <= high:
        raise invalid(f"image_list: size must be between {low} and {high}")
    if kind != "addition" and not state["marks"]:
        raise invalid("No selection was made in the video")
    files = [inputs.picture(sandbox, item.get("image"), "image") for item in pictures]
    prompt = words(body, "prompt", required=True)
    film = inputs.film(
        sandbox,
        prompt=prompt,
        label="multi-elements",
        resolution=_CLASS[mode],
        seconds=length,
        first=_frame(state) or next(iter(files), None),
    )
    path = "/v1/videos/multi-elements"
    return _order(
        path,
        "kling-v1-6",
        body,
        prompt=prompt,
        files=inputs.one_film(film),
        units=prices.units(
            path, mode=(mode,), resolution=_CLASS[mode], seconds=length, audio=False
        ),
        info={"session_id": body.get("session_id")},
    )
