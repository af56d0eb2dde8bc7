"""Sounds, speech, voices and elements."""

from __future__ import annotations

from typing import Any

from onetake.sandbox import Sandbox
from onetake.sandbox.media.sound import Sound
from onetake_kling.sandbox import inputs, prices
from onetake_kling.sandbox.answers import invalid
from onetake_kling.sandbox.fields import Body, items, number, one_of, within, words
from onetake_kling.sandbox.orders import Order, common, new_id

WORDS_A_SECOND = 2.5
SPEAKERS = ("oversea_male1", "genshin_vindi2", "ai_shatang", "girlfriend_1_speech02")
"""Voices of the speech catalogue that the sandbox has; any id of letters is taken as one."""


def _sounds(name: str, seconds: float) -> list[dict[str, Any]]:
    return [
        {"name": f"output.{form}", "media": Sound(seconds, name, form).to_json()}
        for form in ("mp3", "wav")
    ]


def from_text(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of text-to-audio."""
    prompt = words(body, "prompt", 200, required=True)
    if body.get("duration") is None:
        raise invalid("duration can not be null")
    length = number(body, "duration", 3, 10, 3)
    path = "/v1/audio/text-to-audio"
    return Order(
        endpoint=path,
        model="text-to-audio",
        generation="old",
        prompt=prompt,
        kind="audios",
        files=_sounds(prompt, length),
        units=prices.units(path),
        info={"seconds": length},
        **common(body),
    )


def from_video(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of video-to-audio."""
    source = inputs.video(sandbox, url=body.get("video_url"), video_id=body.get("video_id"))
    if not 3 <= source.seconds <= 20.5:
        raise invalid("Video duration must be between 3s and 20s")
    prompt = words(body, "sound_effect_prompt", 200)
    words(body, "bgm_prompt", 200)
    film = inputs.film(
        sandbox,
        prompt=prompt,
        label="video-to-audio",
        resolution="720p",
        seconds=source.seconds,
        first=source.frame,
        audio=True,
    )
    path = "/v1/audio/video-to-audio"
    return Order(
        endpoint=path,
        model="video-to-audio",
        generation="old",
        prompt=prompt,
        kind="audios",
        files=[*inputs.one_film(film), *_sounds(prompt, source.seconds)],
        units=prices.units(path),
        info={"seconds": source.seconds, "parent": {"duration": f"{source.seconds:g}"}},
        **common(body),
    )


def speech(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of tts. A speed out of range is taken as the nearest (vendor page)."""
    text = words(body, "text", 1000, required=True)
    voice = body.get("voice_id")
    if not voice or not isinstance(voice, str) or voice.isdigit():
        raise invalid("Voice id not found")  # numbers are voices of another library
    one_of("voice_language", body.get("voice_language") or "zh", ("zh", "en"))
    speed = body.get("voice_speed", 1.0)
    if isinstance(speed, bool) or not isinstance(speed, int | float):
        raise invalid(f"voice_speed value '{speed}' is invalid")
    pace = WORDS_A_SECOND * min(2.0, max(0.8, float(speed)))
    length = max(2.0, len(text.split()) / pace)
    path = "/v1/audio/tts"
    return Order(
        endpoint=path,
        model="tts",
        generation="old",
        prompt=text,
        kind="speech",
        files=[{"name": "output.mp3", "media": Sound(length, f"{voice} {text}").to_json()}],
        units=prices.units(path),
        info={"seconds": length},
    )


def voice(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of custom-voices."""
    name = words(body, "voice_name", 20, required=True)
    if bool(body.get("voice_url")) == bool(body.get("video_id")):
        raise invalid("voice_url and video_id cannot both be empty or both be provided")
    if body.get("video_id"):
        inputs.video(sandbox, video_id=body["video_id"])
    path = "/v1/general/custom-voices"
    return Order(
        endpoint=path,
        model="custom-voices",
        generation="old",
        prompt=name,
        kind="voices",
        files=[{"name": "trial.mp3", "media": Sound(5.0, name).to_json()}],
        units=prices.units(path),
        info={"name": name, "resource_id": new_id()},
        **common(body),
    )


def element(sandbox: Sandbox, body: Body) -> Order:
    """Read a body of advanced-custom-elements."""
    name = words(body, "element_name", 20, required=True)
    description = words(body, "element_description", 100, required=True)
    kind = one_of("reference_type", body.get("reference_type"), ("image_refer", "video_refer"))
    front = None
    if kind == "image_refer":
        given = within(body, "element_image_list")
        if not given.get("frontal_image"):
            raise invalid("Missing element frontal image")
        front = inputs.picture(sandbox, given["frontal_image"], "frontal_image")
        if not 1 <= len(items(given, "refer_images")) <= 3:
            raise invalid("refer_images: size must be between 1 and 3")
        for item in items(given, "refer_images"):
            inputs.picture(sandbox, item.get("image_url"), "image_url")
    elif len(items(within(body, "element_video_list"), "refer_videos")) != 1:
        raise invalid("The number of element videos must be 1")
    path = "/v1/general/advanced-custom-elements"
    return Order(
        endpoint=path,
        model="advanced-custom-elements",
        generation="old",
        prompt=name,
        kind="elements",
        files=inputs.stills(
            sandbox, prompt=name, label="element", number=1, ratio=None, source=front
        ),
        units=prices.units(path, mode=(kind,)),
        reason=inputs.fault(sandbox, front),
        info={
            "name": name,
            "description": description,
            "reference_type": kind,
            "resource_id": new_id(),
        },
        **common(body),
    )
