"""Every VIDEO of ComfyUI, file and way of treating its sound, compared packet by packet."""

from __future__ import annotations

import itertools

import pytest

from .conftest import Inside

FILES = ("mp4", "mkv", "webm", "fragmented mp4")
MODES = ("replace", "mix", "duck", "keep_as_track")
TRIMMED = {"fragmented mp4": 11}
"""Frames shown from 0.2 to 0.6 s where not 10: this muxer moves all but the first by 21 ms."""


@pytest.mark.parametrize(("name", "mode"), list(itertools.product(FILES, MODES)))
def test_no_packet_is_lost(inside: Inside, name: str, mode: str) -> None:
    """A file in memory, read for its picture and its sound at once, is as good as one on disk."""
    got = inside("pictures")("packets")
    trimmed = TRIMMED.get(name, 10)
    kept = mode == "keep_as_track"
    for kind, frames, copied in (
        ("path", 25, True),
        ("BytesIO", 25, True),
        ("trimmed", trimmed, False),
        ("trimmed in memory", trimmed, False),
        ("components", 25, False),
    ):
        written = got[f"{name}, {kind}, {mode}"]
        assert (written["video"], written["same"]) == (frames, True), kind
        assert written["tracks"] == (2 if kept else 1), kind
        assert written["kept"] or not (kept and copied), kind
