"""``python -m bench``: see ``options``. ``dev.py bench`` sets up what it needs and starts it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from dev.demo import DemoError, sample_video
from mmaudio_core.checkpoint import Bundle, Catalog, PartKind

from .compare import compare
from .job import Job
from .options import bench_parser
from .picture import picture
from .process import Failed, SideSpec
from .requirements import PYTHON_VARIABLE
from .results import KIJAI, OURS, PUBLISHED, Results, results
from .stages import KIJAI_STAGES, PARTS, Stage
from .table import table
from .video import made, repeated
from .weights import make
from .work import limits


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; its exit code."""
    options = bench_parser().parse_args(arguments)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        print("error: PyTorch sees no CUDA device; use --device cpu", file=sys.stderr)
        return 1
    try:
        with TemporaryDirectory(prefix="mmaudio-bench-") as out:
            done = _all(options, device, Path(out))
    except (DemoError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json is not None:
        text = json.dumps(_document(done), indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.picture is not None:
        options.picture.write_text(picture(done[0]), encoding="utf-8")
    ours = [sample.result for d in done for sample in d.comparison.samples if sample.side == OURS]
    return int(any(isinstance(result, Failed) for result in ours))


def _all(options: argparse.Namespace, device: str, out: Path) -> list[Results]:
    """Every duration with every number of takes."""
    precision = options.precision or ("bf16" if device == "cuda" else "fp32")
    files = make(options.weights, options.variant)
    parts = Catalog([(path.name, path) for path in files.values()])
    bundle = parts.bundle(files[PartKind.FLOW].name, dtype=torch.float32)
    done: list[Results] = []
    for seconds in options.seconds:
        video = _video(options, seconds, out)
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
                video=str(video),
                weights=str(options.weights),
                out=str(out),
                reference=_text(options.reference),
                kijai=_text(options.kijai),
                comfyui=os.environ.get("COMFYUI_PATH"),
                threads=options.threads,
                memory_gb=options.memory,
            )
            done.append(_one(options, job, bundle))
            print(f"\n{table(done[-1])}\n", flush=True)
    return done


def _one(options: argparse.Namespace, job: Job, bundle: Bundle) -> Results:
    stages: tuple[Stage, ...] = options.stages
    complete = set(PARTS) <= set(stages)
    total = options.total or ("sum" if job.device == "cpu" and complete else "run")
    if total == "sum":
        stages = tuple(stage for stage in stages if stage is not Stage.TOTAL)
    rounds = options.rounds or (7 if job.device == "cuda" else 3)
    print(f"{job}:", flush=True)
    comparison = compare(_sides(options), job, stages, rounds, lambda line: print(line, flush=True))
    least = {**limits(job, bundle, comparison.rates), **comparison.floors}
    if set(PARTS) <= least.keys():
        least[Stage.TOTAL] = sum(least[stage] for stage in PARTS)
    return results(comparison, least, total=total)


def _sides(options: argparse.Namespace) -> list[SideSpec]:
    beside = os.environ.get(PYTHON_VARIABLE, sys.executable)
    sides = [SideSpec(name=OURS, python=sys.executable)]
    if options.reference is not None:
        sides.append(SideSpec(name=PUBLISHED, python=beside))
    if options.kijai is not None:
        sides.append(SideSpec(name=KIJAI, python=beside, stages=KIJAI_STAGES))
    return sides


def _video(options: argparse.Namespace, seconds: float, out: Path) -> Path:
    if options.made is not None:
        return made(options.made.width, options.made.height, seconds, out)
    if options.video is not None:
        return options.video
    return repeated(sample_video(), seconds, out / f"repeated_{seconds:g}.mp4")


def _document(done: Sequence[Results]) -> Mapping[str, object]:
    """The first job's figures, and all jobs' where there are several."""
    document = done[0].to_json()
    return document | {"runs": [one.to_json() for one in done]} if len(done) > 1 else document


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


if __name__ == "__main__":
    # an exception, so that the workers are ended too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
