"""Words that are often wanted in a negative prompt."""

from __future__ import annotations

NONE = "none"
PRESETS = {
    NONE: "",
    "no speech": "speech, voice, talking, narration",
    "no music": "music, melody, singing, instruments",
    "no speech, no music": "speech, voice, talking, music, singing",
    "clean effects": "music, speech, noise, hiss, distortion, low quality",
}


def with_preset(negative_prompt: str, preset: str) -> str:
    """The negative prompt with a preset's words after it."""
    return ", ".join(part for part in (negative_prompt.strip(), PRESETS[preset]) if part)
