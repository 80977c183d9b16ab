"""``python -m bench.best_of FOLDER``: what the best of several takes buys, on a folder of clips.

Of each clip as many takes are made as the largest number asked for, in steps, and all are scored;
the best of N is chosen among the first N. A score that takes are chosen by rises with N by itself:
``--by`` chooses by one score alone, and the others then tell whether a better take was found.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from mmaudio_core.batch.expand import VIDEO_ENDINGS
from mmaudio_core.cli.exit_codes import StartError
from mmaudio_core.cli.models import load_networks
from mmaudio_core.codec.decode import decode
from mmaudio_core.config import exact_seconds
from mmaudio_core.errors import MMAudioError
from mmaudio_core.features.visual import TimeRange, VideoClip
from mmaudio_core.pipeline import extract_features
from mmaudio_core.providers import ModelProvider
from mmaudio_core.sampling.sample import sample
from mmaudio_core.scoring.rank import ScoreWeights, rank
from mmaudio_core.scoring.score import score_takes
from mmaudio_core.scoring.types import TakeScores

_TOTAL = "total"
_SHOWN = ("desync", "agreement", "onset_match", "voice", "silence", "clipping")
_WEIGHTS = ScoreWeights()


@dataclass(frozen=True, kw_only=True)
class ClipRun:
    """A clip's takes, in the order of their seeds.

    Attributes:
        features_seconds: that reading and encoding the clip took.
        take_seconds: per number of takes, that sampling and decoding them took.
        score_seconds: the same of scoring them.
    """

    name: str
    scores: tuple[TakeScores, ...]
    features_seconds: float
    take_seconds: dict[int, float]
    score_seconds: dict[int, float]

    def seconds(self, count: int) -> float:
        """Of the whole job; a single take needs no scores."""
        scored = self.score_seconds[count] if count > 1 else 0.0
        return self.features_seconds + self.take_seconds[count] + scored

    def best(self, count: int, by: ScoreWeights) -> int:
        """The best of the first ``count`` takes."""
        return rank(self.scores[:count], by).order[0]


def run_clip(
    networks: ModelProvider, path: Path, counts: Sequence[int], options: argparse.Namespace
) -> ClipRun:
    """Make and score the takes of one clip.

    Raises:
        MMAudioError: the clip cannot be used.
    """
    started = time.perf_counter()
    span = TimeRange(duration=options.seconds)
    features = extract_features(networks, VideoClip(source=str(path)), span, options.prompt)
    features_seconds = time.perf_counter() - started
    scores: list[TakeScores] = []
    take_seconds, score_seconds = {0: 0.0}, {0: 0.0}
    for before, count in pairwise((0, *counts)):
        started = time.perf_counter()
        seeds = range(options.seed + before, options.seed + count)
        latents = sample(networks, features, seeds, steps=options.steps, cfg=options.cfg)
        waveforms = decode(networks, latents, features.duration)
        sampled = time.perf_counter()
        rate = networks.params.audio.sample_rate
        scores += score_takes(networks, features, waveforms, rate, _WEIGHTS, latents=latents)
        take_seconds[count] = take_seconds[before] + sampled - started
        score_seconds[count] = score_seconds[before] + time.perf_counter() - sampled
    return ClipRun(
        name=path.name,
        scores=tuple(scores),
        features_seconds=features_seconds,
        take_seconds=take_seconds,
        score_seconds=score_seconds,
    )


def table(runs: Sequence[ClipRun], counts: Sequence[int], by: str) -> str:
    """Means over all clips, in Markdown; what was measured of no clip is a dash."""
    names = (_TOTAL, *_SHOWN)
    lines = [
        f"| best of | seconds | times | {' | '.join(names)} |",
        "|---|---|---|" + "---|" * len(names),
    ]
    first = sum(run.seconds(counts[0]) for run in runs)
    for count in counts:
        seconds = sum(run.seconds(count) for run in runs)
        kept = [_values(run)[run.best(count, weights_of(by))] for run in runs]
        means = [_mean([one[name] for one in kept]) for name in names]
        cells = [f"{seconds / len(runs):.1f}", f"{seconds / first:.2f}", *means]
        lines.append(f"| {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def weights_of(by: str) -> ScoreWeights:
    """Weights of the total, or of one score alone."""
    if by == _TOTAL:
        return _WEIGHTS
    return ScoreWeights(**{name: float(name == by) for name in asdict(_WEIGHTS)})


def _values(run: ClipRun) -> list[dict[str, float | None]]:
    totals = rank(run.scores, _WEIGHTS).totals
    return [{**one.values(), _TOTAL: total} for one, total in zip(run.scores, totals, strict=True)]


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.3f}" if known else "-"


def _as_json(runs: Sequence[ClipRun], counts: Sequence[int], by: str) -> dict[str, Any]:
    return {
        "by": by,
        "clips": [
            {
                "name": run.name,
                "takes": _values(run),
                "kept": {count: run.best(count, weights_of(by)) for count in counts},
                "seconds": {count: run.seconds(count) for count in counts},
                "unmeasured": dict(run.scores[0].unmeasured),
            }
            for run in runs
        ],
    }


def parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    made = argparse.ArgumentParser(prog="python -m bench.best_of", description=__doc__)
    add = made.add_argument
    add("folder", type=Path, help="folder of videos")
    add("--of", type=_counts, default=(1, 2, 4, 8), metavar="1,2,4,8", help="numbers of takes")
    choices = (_TOTAL, *(field.name for field in fields(ScoreWeights)))
    add("--by", choices=choices, default=_TOTAL, help="what takes are chosen by (default: total)")
    add("--prompt", default="", help="of all clips")
    add("--seconds", type=exact_seconds, default=Fraction(8), help="of each clip (default: 8)")
    add("--steps", type=int, default=25, help="default: 25")
    add("--cfg", type=float, default=4.5, help="default: 4.5")
    add("--seed", type=int, default=0, help="of the first take (default: 0)")
    add("--weights", help="folder of the weights (default: as python -m mmaudio_core finds them)")
    add("--model", default="large_44k_v2", help="default: large_44k_v2")
    add("--device", default="auto", help="auto, cpu, or one such as cuda:0")
    add("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    add("--threads", type=int, help="of the CPU")
    add("--json", type=Path, metavar="FILE", help="write every take's scores to FILE")
    made.set_defaults(memory=None)
    return made


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(sorted({int(part) for part in text.split(",")}))
    if counts[0] < 1:
        raise argparse.ArgumentTypeError(f"got {text}, expected numbers of at least 1")
    return counts


def run(options: argparse.Namespace) -> int:
    """Run the sweep; returns the exit code, 1 if no clip could be used."""
    paths = sorted(p for p in options.folder.glob("*") if p.suffix.lower() in VIDEO_ENDINGS)
    if not paths:
        print(f"error: there is no video in {options.folder}", file=sys.stderr)
        return 1
    try:
        networks = load_networks(options)
    except StartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for kind in networks.bundle.parts:  # so that the first clip is not charged with reading them
        networks.acquire(kind, 0)
    runs: list[ClipRun] = []
    for path in paths:
        try:
            runs.append(run_clip(networks, path, options.of, options))
        except MMAudioError as error:
            print(f"{path.name}: left out: {error}", file=sys.stderr)
        else:
            print(f"{path.name}: {runs[-1].seconds(options.of[-1]):.1f} s", flush=True)
    if not runs:
        return 1
    print(f"\n{len(runs)} clips, chosen by {options.by}:\n\n{table(runs, options.of, options.by)}")
    unmeasured = {f"{n}: {r}" for one in runs for n, r in one.scores[0].unmeasured.items()}
    for reason in sorted(unmeasured):
        print(f"not measured: {reason}")
    if options.json is not None:
        text = json.dumps(_as_json(runs, options.of, options.by), indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(run(parser().parse_args()))
