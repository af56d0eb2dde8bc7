"""A typical request for every model of the catalog, and a JWT."""

from __future__ import annotations

import time
import warnings
from typing import Any

import jwt

from onetake import GenerationRequest
from onetake.catalog import ModelCard
from onetake.testing.suite import sample_picture
from onetake.testing.typical import typical as typical_request

CLIP = "https://example.com/clip.mp4?seconds=5"
"""A foreign video; the sandbox takes it to last as long as the URL says."""

PICTURE = sample_picture(640, 640)
_VALUES: dict[str, Any] = {
    "expand": {"up": 0.1, "down": 0.1, "left": 0.5, "right": 0.5},
    "duration": 3,
    "name": "Anna",
    "description": "a girl in a red coat",
    "voice": "oversea_male1",
}
_MORE: dict[str, dict[str, Any]] = {
    "kling-lipsync": {"text": "Good morning to you all.", "voice": "oversea_male1"},
    "kling-multi-elements-std": {"selection": [[0, 0.5, 0.5]], "edit": "removal"},
    "kling-multi-elements-pro": {"selection": [[0, 0.5, 0.5]], "edit": "swap"},
}
_FILES: dict[str, list[str]] = {
    "kling-voice": ["audio"],
    "kling-element": ["frontal", "reference"],
    "kling-v1.5-pro-image": ["first_frame"],
    "kling-v1.6-pro-image": ["last_frame"],
    "kling-v1.6-std-elements": ["reference"],
    "kling-multi-elements-pro": ["reference"],
}


def typical(card: ModelCard, speech: bytes, video: str = CLIP) -> GenerationRequest:
    """Return a request with what the model needs, and nothing else."""
    sources = {
        "image": PICTURE,
        "image_url": "https://example.com/picture.jpg",
        "audio": speech,
        "audio_url": "https://example.com/voice.mp3",
        "video": video,
    }
    return typical_request(
        card,
        sources,
        values=_VALUES,
        parameters=_MORE.get(card.name),
        roles=_FILES.get(card.name, []),
    )


def token(**claims: Any) -> dict[str, str]:
    """Sign a JWT as the vendor's page shows."""
    now = int(time.time())
    body = {"iss": "sandbox-ak", "exp": now + 1800, "nbf": now - 5, **claims}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the sandbox's secret is short
        signed = jwt.encode(body, "sandbox-sk", algorithm="HS256")
    return {"Authorization": f"Bearer {signed}"}
