"""Lip-sync: which face says which sound when.

Facts: vendor page of 2026-09-20. Times are milliseconds; the sound and what of it meets the face
last 2 s at least; it begins and ends within the video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onetake.errors import RequestError, UnsupportedParameter
from onetake_kling.wire.sheet import Sheet

SHORTEST = 2000
"""Milliseconds."""


def face_choose(sheet: Sheet) -> list[dict[str, Any]]:
    """Return the one entry that the vendor takes.

    Raises:
        RequestError: there is no face, or several and none was named.
        UnsupportedParameter: the sound does not fit.
    """
    face = _face(sheet, sheet.fact("faces", "faces") or ())
    insert = _insert(sheet, face)
    end = _sound_end(sheet, face, insert)
    entry: dict[str, Any] = {"face_id": face["face_id"]}
    if sheet.vendor_id("audio") is not None:
        entry["audio_id"] = sheet.vendor_id("audio")
    else:
        entry["sound_file"] = sheet.sent("audio")
    entry |= {"sound_insert_time": insert, "sound_start_time": 0, "sound_end_time": end}
    for name, field in (("volume", "sound_volume"), ("original_volume", "original_audio_volume")):
        if sheet.given(name) is not None:
            entry[field] = sheet.given(name)
    return [entry]


def _face(sheet: Sheet, faces: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    wanted = sheet.given("face")
    found = [face for face in faces if wanted is None or str(face["face_id"]) == str(wanted)]
    if len(found) == 1:
        return found[0]
    told = "; ".join(
        f"{face['face_id']} from {face['start_time'] / 1000:g} to {face['end_time'] / 1000:g} s "
        f"({face.get('face_image', '')})"
        for face in faces
    )
    if not faces:
        raise RequestError("video: the vendor finds no face in it.", provider="kling")
    raise UnsupportedParameter(
        f"face: {'there are several' if wanted is None else f'there is no {wanted!r}'}: {told}.",
        provider="kling",
        hint="Name one with `face`. Finding them was paid and is not paid again.",
    )


def _insert(sheet: Sheet, face: Mapping[str, Any]) -> int:
    """Return when the sound begins: as asked, else when the face is seen."""
    wanted = sheet.given("insert_at")
    return int(face["start_time"]) if wanted is None else round(1000 * float(wanted))


def _sound_end(sheet: Sheet, face: Mapping[str, Any], insert: int) -> int:
    """Return how much of the sound is used: all of it, or what the face's time has room for."""
    sound = sheet.first("audio")
    known = sheet.given("sound_seconds") or (None if sound is None else sound.asset.seconds)
    if known is None:
        raise RequestError(
            "audio: its length is not known here, and the vendor wants it.",
            provider="kling",
            hint="Say it with sound_seconds, or give a local file.",
        )
    used = min(int(1000 * float(known)), int(face["end_time"]) - insert)
    seen = min(insert + used, int(face["end_time"])) - max(insert, int(face["start_time"]))
    if seen < SHORTEST:
        raise UnsupportedParameter(
            f"insert_at: from {insert / 1000:g} s on, sound and face meet for "
            f"{max(0, seen) / 1000:g} s; 2 s are needed.",
            provider="kling",
            hint=f"The face is seen from {face['start_time'] / 1000:g} to "
            f"{face['end_time'] / 1000:g} s.",
        )
    if used < int(1000 * float(known)):
        sheet.notes.append(
            f"audio: {used / 1000:g} s of its {float(known):.1f} s are used; the face is gone then."
        )
    return used
