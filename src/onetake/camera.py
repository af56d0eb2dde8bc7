"""Camera motions in neutral words, and how they are said in a prompt.

Most current models have no camera parameter; they read the prompt. A motion is then said in
words, and the job carries a note that it was.
"""

from __future__ import annotations

SENTENCES: dict[str, str] = {
    "static": "The camera stays completely still.",
    "zoom_in": "The camera slowly zooms in.",
    "zoom_out": "The camera slowly zooms out.",
    "pan_left": "The camera pans left.",
    "pan_right": "The camera pans right.",
    "tilt_up": "The camera tilts up.",
    "tilt_down": "The camera tilts down.",
    "dolly_forward": "The camera dollies forward.",
    "dolly_back": "The camera dollies back.",
    "orbit_right": "The camera orbits to the right.",
    "orbit_subject": "The camera orbits around the subject.",
    "crane_up": "The camera cranes up.",
    "epic_reveal": "The camera pulls back and rises in an epic reveal.",
    "dramatic_push": "The camera pushes in dramatically.",
}
"""Every motion that is said in words. ``auto`` is accepted too and says nothing."""

NAMES: tuple[str, ...] = ("auto", *SENTENCES)


def with_motion(prompt: str, motion: str) -> str:
    """Return the prompt with the motion said at its end (``auto`` changes nothing)."""
    sentence = SENTENCES.get(motion)
    if sentence is None or sentence in prompt:
        return prompt
    return f"{prompt.rstrip().rstrip('.')}. {sentence}" if prompt.strip() else sentence
