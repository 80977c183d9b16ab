"""``python -m tests.core.scaling_table``: what a second of sound costs, by length of the job.

Needs Linux, whose kernel says how much memory a process held at most. Each line is a process of
its own. Weights are seeded; what they make is noise, but costs what sound does. Decoding knows
nothing of the picture, so it is measured once a length.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from mmaudio_core.codec.decode import VOCODER_STAGE
from mmaudio_core.sampling.euler import SAMPLING_STAGE

from .made_videos import steady, write_video
from .scaling import LOOK_STAGE, STAGES, TINY, Cost, Job, measure

_VARIANTS = (TINY, "small_16k", "large_44k", "large_44k_v2")


def main(arguments: list[str]) -> int:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(prog="tests.core.scaling_table", description=__doc__)
    parser.add_argument("--variant", choices=_VARIANTS, default="small_16k")
    parser.add_argument("--steps", type=int, default=2, help="of the sampler (default: 2)")
    parser.add_argument("--seconds", default="8,60,300,600", help="lengths, with commas between")
    parser.add_argument("--last", choices=STAGES, default=VOCODER_STAGE, help="stage to end with")
    parser.add_argument(
        "--look",
        action="store_true",
        help="instead, what looking at a video on tiny encoders costs",
    )
    options = parser.parse_args(arguments)
    lengths = [int(length) for length in options.seconds.split(",")]
    if options.look:
        _looking(lengths)
        return 0
    print(f"{options.variant}, float32, {options.steps} steps, {torch.get_num_threads()} threads\n")
    _header(
        "given", "s", *(f"{stage}: s, s/s, MB" for stage in STAGES), "kept MB", "most beside MB"
    )
    for visual in (False, True):
        for seconds in lengths:
            job = Job(
                variant=options.variant,
                seconds=seconds,
                steps=options.steps,
                visual=visual,
                last=SAMPLING_STAGE if visual else options.last,
            )
            cost = measure(job)
            _line(
                "text and video" if visual else "text",
                str(seconds),
                *(_cell(cost, stage, seconds) for stage in STAGES),
                f"{cost.kept:.1f} ({cost.features:.1f} given, {cost.waveform:.1f} sound)",
                f"{cost.peak - cost.kept:.0f}",
            )
    return 0


def _looking(lengths: list[int]) -> None:
    _header("s", "look: s, s/s, MB", "features MB")
    with tempfile.TemporaryDirectory() as folder:
        for seconds in lengths:
            path = Path(folder) / f"{seconds}.mp4"
            write_video(path, steady(25 * seconds, 25))
            cost = measure(Job(seconds=seconds, video=str(path)))
            _line(str(seconds), _cell(cost, LOOK_STAGE, seconds), f"{cost.features:.1f}")


def _cell(cost: Cost, name: str, seconds: int) -> str:
    stage = cost.stages.get(name)
    if stage is None:
        return ""
    return f"{stage.seconds:.1f}, {stage.seconds / seconds:.3f}, {stage.peak:.0f}"


def _header(*cells: str) -> None:
    _line(*cells)
    print("|" + "---|" * len(cells), flush=True)


def _line(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
