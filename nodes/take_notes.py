"""What a sampler tells about the takes it made: it travels with the sound, in AUDIO's dict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comfy.model_patcher import ModelPatcher

from ..mmaudio_core.config import AudioFormat, sequence_lengths
from ..mmaudio_core.errors import MediaError
from ..mmaudio_core.features.shots import detect_shot_changes
from ..mmaudio_core.features.types import Features
from ..mmaudio_core.sampling.windows import plan_windows
from ..mmaudio_core.scoring.rank import Ranking
from ..mmaudio_core.scoring.types import TakeScores

KEY = "mmaudio"
"""Beside ``waveform`` and ``sample_rate``; nodes of ComfyUI pass it on or drop it."""
_PER_TAKE = ("seeds", "scores", "voices")
"""Lists in the notes that have an entry for each take."""
Notes = dict[str, Any]


def notes_of_takes(
    seeds: Sequence[int], features: Features, model: ModelPatcher, fmt: AudioFormat
) -> Notes:
    """Notes on takes just sampled, which are JSON.

    Returns:
        ``seeds``, one a take; ``duration`` in seconds; ``cuts``, the times of shot changes;
        ``windows``, each with its start and end, if there are several; ``crossfades`` between the
        prompts of a schedule, each with its start and end. All times are in seconds of the sound.
    """
    cuts = detect_shot_changes(features.clip)
    return {
        "seeds": list(seeds),
        "duration": float(features.duration),
        "cuts": list(cuts),
        "windows": _windows(features, model, fmt, cuts),
        "crossfades": [[float(start), float(end)] for start, end in features.crossfades],
    }


def read_notes(audio: object) -> Notes:
    """The notes of an AUDIO; empty if it has none."""
    notes = audio.get(KEY) if isinstance(audio, Mapping) else None
    return dict(notes) if isinstance(notes, Mapping) else {}


def notes_of_one(notes: Notes, take: int) -> Notes:
    """The notes of one take out of several."""
    per_take = {
        key: [values[take]]
        for key in _PER_TAKE
        if isinstance(values := notes.get(key), list) and take < len(values)
    }
    return {**notes, **per_take}


def with_scores(notes: Notes, scores: Sequence[TakeScores], ranking: Ranking) -> Notes:
    """Notes with ``scores``: of each take all measurements by name, None if not measured, and
    ``total``."""
    told = [
        {**one.values(), "total": total} for one, total in zip(scores, ranking.totals, strict=True)
    ]
    return {**notes, "scores": told}


def in_order(notes: Notes, order: Sequence[int]) -> Notes:
    """The notes of takes that are put into another order; some of them may be left out.

    Args:
        order: which take comes first, second, ...
    """
    count = max(order, default=-1) + 1
    per_take = {
        key: [values[take] for take in order]
        for key in _PER_TAKE
        if isinstance(values := notes.get(key), list) and len(values) >= count
    }
    # a list that is too short does not tell whose its entries are
    return {key: value for key, value in notes.items() if key not in _PER_TAKE} | per_take


def check_take(take: int, count: int) -> None:
    """Raise MediaError if there is no such take among ``count``, which are counted from 0."""
    if take >= count:
        raise MediaError(
            f"got take {take} of {count} takes, counted from 0. Set take to {count - 1} or less, "
            f"or num_samples to {take + 1} or more."
        )


def _windows(
    features: Features, model: ModelPatcher, fmt: AudioFormat, cuts: tuple[float, ...]
) -> list[list[float]]:
    lengths = sequence_lengths(features.duration, fmt)
    params = model.get_model_object("windows")
    plan = plan_windows(lengths, features.duration, fmt, params, cuts)
    if plan is None:
        return []
    return [
        [
            float(window.latent_start * fmt.seconds_per_latent),
            float((window.latent_start + plan.lengths.latent) * fmt.seconds_per_latent),
        ]
        for window in plan.windows
    ]
