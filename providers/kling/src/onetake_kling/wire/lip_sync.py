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
    insert = round(1000 * float(sheet.given("insert_at") or 0))
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


def _sound_end(sheet: Sheet, face: Mapping[str, Any], insert: int) -> int:
    """Return how much of the sound is used: all of it, or what the face's time has room for."""
    sound = sheet.first("audio")
    known = None if sound is None else sound.asset.seconds
    room = int(face["end_time"]) - insert
    if room < SHORTEST:
        raise UnsupportedParameter(
            f"insert_at: at {insert / 1000:g} s the face is seen for {room / 1000:g} s more; 2 s "
            "are needed.",
            provider="kling",
        )
    if known is None:
        sheet.notes.append(
            f"audio: its length is not known here; {room / 1000:g} s of it are used."
        )
        return room
    length = int(1000 * known)
    if length > room:
        sheet.notes.append(
            f"audio: {room / 1000:g} s of its {known:.1f} s are used; the face is gone then."
        )
    return min(length, room)
