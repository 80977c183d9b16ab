"""``python -m bench``, or ``dev.py bench``, which sets up ``.venv`` first."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from dev.demo import DemoError, sample_video
from dev.environment import ROOT, SetupError, ensure_side_env

from .compare import compare
from .implementations import OURS, PUBLISHED
from .job import Job
from .messages import Failure
from .options import bench_parser
from .process import WorkerSpec
from .results import Results, summarize
from .stages import PARTS, Stage
from .table import table
from .video import repeat_video
from .weights import write_weights

# Imported by the published code, but not by this pack and ComfyUI.
_PUBLISHED_REQUIREMENTS = (
    "accelerate",
    "colorlog",
    "einops",
    "ftfy",
    "librosa",
    "omegaconf",
    "open_clip_torch",
    "requests",
    "timm",
    "torchdiffeq",
    "tqdm",
)


def run(options: argparse.Namespace) -> int:
    """Run the benchmark and return its exit code: 1 if one of our stages failed."""
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        print("error: PyTorch sees no CUDA device; use --device cpu", file=sys.stderr)
        return 1
    try:
        with TemporaryDirectory(prefix="mmaudio-bench-") as out:
            all_results = _run_jobs(options, device, Path(out))
    except (DemoError, SetupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json is not None:
        jobs = [results.to_json() for results in all_results]
        document = jobs[0] | {"runs": jobs} if len(jobs) > 1 else jobs[0]
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    samples = [sample for results in all_results for sample in results.comparison.samples]
    return int(any(s.implementation == OURS and isinstance(s.result, Failure) for s in samples))


def _run_jobs(options: argparse.Namespace, device: str, out: Path) -> list[Results]:
    """Every duration with every number of takes."""
    specs = [WorkerSpec(name=OURS, python=Path(sys.executable))]
    if options.reference is not None:
        folder, purpose = ROOT / ".venv-bench", "the published code"
        python = ensure_side_env(folder, _PUBLISHED_REQUIREMENTS, purpose=purpose)
        specs.append(WorkerSpec(name=PUBLISHED, python=python))
    write_weights(options.weights, options.variant)
    precision = options.precision or ("bf16" if device == "cuda" else "fp32")
    stages: tuple[Stage, ...] = options.stages
    total = "run"
    if device == "cpu" and stages == tuple(Stage):
        # adding the stages up takes half the time and less memory than running whole jobs too
        stages, total = PARTS, "sum"
    all_results: list[Results] = []
    for seconds in options.seconds:
        target = out / f"repeated_{seconds:g}.mp4"
        video = repeat_video(options.video or sample_video(), seconds, target)
        for takes in options.takes:
            job = Job(
                device=device,
                precision=precision,
                decoders=options.decoders,
                compared_precision=options.compared_precision or precision,
                variant=options.variant,
                seconds=seconds,
                takes=takes,
                steps=options.steps,
                cfg=options.cfg,
                video=video,
                weights=options.weights,
                out=out,
                reference=options.reference,
            )
            print(f"{job}:", flush=True)
            rounds = options.rounds or (7 if device == "cuda" else 3)
            comparison = compare(specs, job, stages, rounds, lambda line: print(line, flush=True))
            all_results.append(summarize(comparison, total=total))
            print(f"\n{table(all_results[-1])}\n", flush=True)
    return all_results


if __name__ == "__main__":
    # raise SystemExit on SIGTERM so that the workers are ended too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(run(bench_parser().parse_args()))
    except KeyboardInterrupt:
        sys.exit(130)
