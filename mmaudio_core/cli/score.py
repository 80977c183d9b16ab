"""``mmaudio score``: the scores of the sound that a video has."""

from __future__ import annotations

import argparse
from fractions import Fraction
from typing import Any

from ..batch.inputs import open_video
from ..errors import MediaError, MMAudioError
from ..features.visual import TimeRange, VideoClip
from ..media import VideoFile, open_source
from ..mux.source_audio import find_source_audio
from ..pipeline import extract_features
from ..progress import no_progress
from ..providers import ModelProvider
from ..scoring.rank import ScoreWeights, rank
from ..scoring.score import score_takes
from .exit_codes import DONE, SOME_FAILED
from .models import load_networks
from .output import as_json, write_line

_WEIGHTS = ScoreWeights()


def score(arguments: argparse.Namespace) -> int:
    """Tell the scores of each video's sound; returns the exit code.

    Raises:
        StartError: weights or the device are missing.
    """
    networks = load_networks(arguments)
    code = DONE
    for name in arguments.videos:
        facts: dict[str, Any]
        try:
            facts = {"file": name, **score_video(networks, name, arguments.prompt)}
        except MMAudioError as error:
            facts = {"file": name, "error": str(error)}
            code = SOME_FAILED
        write_line(as_json(facts) if arguments.json else _as_text(facts))
    return code


def score_video(networks: ModelProvider, name: str, prompt: str) -> dict[str, Any]:
    """Scores of a video's own sound, as JSON.

    Raises:
        MMAudioError: the video cannot be read, has no sound, or is too short.
    """
    source = open_source(open_video(name))
    if not isinstance(source, VideoFile):
        raise MediaError(f"'{name}' holds no sound; expected a video with sound")
    duration = source.info.duration
    tracks = find_source_audio(source, source.packets.start, duration, metadata=False)
    if not tracks:
        raise MediaError(f"'{name}' has no sound track; expected a video with sound")
    waveform, rate = tracks[0].decode(no_progress)
    features = extract_features(
        networks, VideoClip(source=source), TimeRange(duration=Fraction(0)), prompt
    )
    scores = score_takes(networks, features, waveform[None], rate, _WEIGHTS)
    return {
        "scores": {**scores[0].values(), "total": rank(scores, _WEIGHTS).totals[0]},
        "unmeasured": dict(scores[0].unmeasured),
    }


def _as_text(facts: dict[str, Any]) -> str:
    if "error" in facts:
        return f"{facts['file']}: {facts['error']}"
    lines = [f"{facts['file']}:"]
    for name, value in facts["scores"].items():
        reason = facts["unmeasured"].get(name, "nothing that counts was measured")
        shown = f"not measured: {reason}" if value is None else f"{value:.4g}"
        lines.append(f"  {name.replace('_', ' ')}: {shown}")
    return "\n".join(lines)
