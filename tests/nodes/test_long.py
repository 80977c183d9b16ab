"""Five minutes of a looped real clip: no second is silent, and the picture is copied."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from bench.video import repeat_video
from dev.demo import sample_video
from dev.server import ComfyServer
from tests.nodes.graphs import RATE, muxed, node, paths, read_audio, run, sound

SECONDS = 300


def picture(path: Path) -> str:
    """The md5 of a file's video packets."""
    digest = hashlib.md5()
    with av.open(path) as container:
        for packet in container.demux(video=0):
            digest.update(bytes(packet))
    return digest.hexdigest()


def lasts(path: Path) -> dict[str, Fraction]:
    """Seconds of each stream, by its kind."""
    with av.open(path) as container:
        return {s.type: Fraction(s.duration or 0) * (s.time_base or 0) for s in container.streams}


@pytest.mark.slow
@pytest.mark.newest
@pytest.mark.timeout(900)
def test_five_minutes_of_bikes(comfy: ComfyServer) -> None:
    source = repeat_video(sample_video(), SECONDS, comfy.input / "long.mp4")
    inputs = {"mmaudio": ["load", 0], "features": ["extract", 0]}
    schedule = "0-100: wheels on gravel | 100-: birds --no music"
    graph = sound(
        video=source.name,
        extract={"duration": 0.0},
        sample={"features": ["schedule", 0]},
        schedule=node("MMAudioPromptSchedule", **inputs, schedule=schedule),
    )
    (path,) = paths(comfy, run(comfy, muxed(graph, video=["video", 0])))
    assert picture(path) == picture(source)
    assert {kind: float(s) for kind, s in lasts(path).items()} == pytest.approx(
        {"video": SECONDS, "audio": SECONDS}, abs=0.05
    )
    (take,) = read_audio(path)
    levels = [float(np.abs(part).mean()) for part in np.array_split(take, SECONDS)]
    assert len(take) > (SECONDS - 0.1) * RATE
    assert min(levels) > 0.2 * float(np.median(levels))  # no second of it is silent
