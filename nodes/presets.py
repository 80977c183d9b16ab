"""Presets for the negative prompt."""

from __future__ import annotations

NONE = "none"
NEGATIVE_PRESETS = {
    NONE: "",
    "no speech": "speech, voice, talking, narration",
    "no music": "music, melody, singing, instruments",
    "no speech, no music": "speech, voice, talking, music, singing",
    "clean effects": "music, speech, noise, hiss, distortion, low quality",
}


def with_preset(negative_prompt: str, preset: str) -> str:
    """The negative prompt, followed by the words of a preset."""
    return ", ".join(part for part in (negative_prompt.strip(), NEGATIVE_PRESETS[preset]) if part)
