"""MMAudio Score Takes in a running ComfyUI: a sound that is late, and what mends it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from dev.server import ComfyServer
from tests.core.made_flashes import FRAMES, clicks, write_flashes
from tests.core.made_sounds import with_sound
from tests.nodes.graphs import Graph, node, paths, run, sound

RATE, SECONDS = 44_100, 6
ONSETS = {"sync": 0.0, "agreement": 0.0, "onsets": 1.0, "voice": 0.0}
"""Weights without the judges whose networks are synthetic here, or slow."""


def film(comfy: ComfyServer, folder: Path, late: float) -> str:
    """A film whose clicks come ``late`` seconds after its flashes."""
    frames = [frame for frame in FRAMES if frame < 25 * SECONDS - 10]
    silent = write_flashes(folder / "silent.mp4", frames, SECONDS)
    heard = clicks([frame / 25 + late for frame in frames], RATE, SECONDS)
    with_sound(silent, comfy.input / "moving.mkv", heard, RATE)
    return "moving.mkv"


def scored(film: str, audio: list[Any] | None = None) -> Graph:
    """The template's graph without its text and its picture, which ``shown`` adds."""
    return sound(
        video=film,
        extract={"duration": 0.0},
        parts=node("GetVideoComponents", video=["video", 0]),
        score=node(
            "MMAudioScoreTakes",
            features=["extract", 0],
            audio=audio or ["parts", 1],
            mmaudio=["load", 0],
            **ONSETS,
        ),
        report=node("PreviewAny", source=["score", 2]),
        scores=node("PreviewAny", source=["score", 3]),
        plot=node("PreviewImage", images=["score", 4]),
    )


def told(comfy: ComfyServer, graph: Graph) -> tuple[str, list[dict[str, Any]]]:
    """Report and scores of a graph, whose plot is there."""
    del graph["sample"]
    result = run(comfy, graph)
    assert len([path for path in paths(comfy, result) if path.suffix == ".png"]) == 1
    (report,), (scores,) = (result.outputs[name]["text"] for name in ("report", "scores"))
    return report, json.loads(scores)


@pytest.mark.parametrize("late", [0.24, -0.24])
def test_the_advice_mends_the_sync(comfy: ComfyServer, tmp_path: Path, late: float) -> None:
    """Moved by Mux Audio and Video as the report says, the sound is in sync."""
    name = film(comfy, tmp_path, late)
    report, (take,) = told(comfy, scored(name))
    assert take["offset"] == pytest.approx(late, abs=0.02)
    start = re.search(r"set start_offset of Mux Audio and Video to (-?[\d.]+\d)\.", report)
    assert start and float(start[1]) == pytest.approx(-late, abs=0.02), report

    moving = {
        "video": node("LoadVideo", file=name),
        "parts": node("GetVideoComponents", video=["video", 0]),
        "mux": node(
            "MuxAudioVideo",
            audio=["parts", 1],
            video=["video", 0],
            filename_prefix="test/moved",
            start_offset=float(start[1]),
        ),
    }
    (moved,) = paths(comfy, run(comfy, moving))
    shutil.copy(moved, comfy.input / moved.name)
    report, (take,) = told(comfy, scored(moved.name))
    assert take["offset"] == pytest.approx(0, abs=0.02)
    assert "The sound is in sync" in report
