"""The command line of ``dev.py bench``: ``dev.py`` prints its help, the benchmark reads it."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

from .stages import Stage

VARIANTS = ("small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2", "tiny")


@dataclass(frozen=True)
class Size:
    """Of a picture, in pixels."""

    width: int
    height: int


def bench_parser(*, add_help: bool = True) -> argparse.ArgumentParser:
    """Parser of the benchmark's arguments; paths come out absolute."""
    parser = argparse.ArgumentParser(prog="dev.py bench", add_help=add_help)
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), help="default: cuda where there is one"
    )
    parser.add_argument(
        "--reference",
        type=_folder,
        metavar="DIR",
        help="compare with the published code: a checkout of hkchengrex/MMAudio",
    )
    parser.add_argument(
        "--kijai",
        type=_folder,
        metavar="DIR",
        help="compare CLIP and Synchformer with a checkout of kijai/ComfyUI-MMAudio",
    )
    parser.add_argument("--json", type=_path, metavar="FILE", help="write the figures")
    parser.add_argument("--picture", type=_path, metavar="FILE", help="draw them (SVG)")
    parser.add_argument(
        "--stages",
        type=_stages,
        default=tuple(Stage),
        metavar="A,B",
        help=f"of {', '.join(stage.value for stage in Stage)} (default: all)",
    )
    parser.add_argument(
        "--variant",
        choices=VARIANTS,
        default="large_44k_v2",
        help="whose sizes the seeded weights have; tiny is for tests (default: large_44k_v2)",
    )
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), help="default: bf16 on cuda, fp32 on cpu"
    )
    parser.add_argument(
        "--decoders",
        choices=("fp32", "bf16"),
        default="fp32",
        help="precision of our VAE and vocoder; the nodes' automatic choice is fp32 (default)",
    )
    parser.add_argument(
        "--compared-precision",
        choices=("fp32", "bf16"),
        help="of all networks of the compared code (default: as --precision)",
    )
    parser.add_argument("--seconds", type=_numbers, default=(8.0,), metavar="8,30,60")
    parser.add_argument("--takes", type=_counts, default=(1,), metavar="1,4")
    parser.add_argument("--steps", type=_count, default=25, help="of the sampler (default: 25)")
    parser.add_argument("--cfg", type=float, default=4.5, help="default: 4.5")
    parser.add_argument(
        "--rounds",
        type=_count,
        help="runs of each stage a side, the first of them cold (default: 3; on cuda 7)",
    )
    parser.add_argument(
        "--total",
        choices=("run", "sum"),
        help=(
            "whole jobs are run for the total, or their stages added up, which takes less memory "
            "and half the time (default: run on cuda; sum on cpu, where all stages are chosen)"
        ),
    )
    parser.add_argument(
        "--video", type=_path, metavar="FILE", help="default: people on bikes, 272p, repeated"
    )
    parser.add_argument(
        "--made",
        type=_size,
        metavar="1920x1080",
        help="read and mux a video made in this size instead",
    )
    parser.add_argument(
        "--weights",
        type=_path,
        default=Path("~/.cache/mmaudio-bench").expanduser(),
        metavar="DIR",
        help="where seeded weights are kept, up to 11 GB (default: ~/.cache/mmaudio-bench)",
    )
    parser.add_argument(
        "--memory",
        type=float,
        default=0.0,
        metavar="GB",
        help="the most that the compared code may allocate (Linux), so that it cannot take all",
    )
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; default: PyTorch's")
    return parser


def bench_arguments(options: argparse.Namespace) -> list[str]:
    """The command line that gives ``options`` again, from any working directory."""
    given = {name: value for name, value in vars(options).items() if name != "command"}
    return [
        f"--{name.replace('_', '-')}={_written(value)}"
        for name, value in given.items()
        if value is not None
    ]


def _written(value: object) -> str:
    if isinstance(value, Size):
        return f"{value.width}x{value.height}"
    if isinstance(value, tuple):
        return ",".join(_written(part) for part in value)
    return value.value if isinstance(value, Stage) else str(value)


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _folder(text: str) -> Path:
    path = _path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is no folder: clone the repository there first")
    return path


def _stages(text: str) -> tuple[Stage, ...]:
    names = [name.strip() for name in text.split(",")]
    known = [stage.value for stage in Stage]
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(
                f"{name!r} was got, one of {', '.join(known)} expected"
            )
    return tuple(stage for stage in Stage if stage.value in names)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} was got, a whole number from 1 on expected")
    return int(text)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(_count(part.strip()) for part in text.split(","))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} was got, such as 8 or 8,30 expected") from None


def _size(text: str) -> Size:
    found = re.fullmatch(r"(\d*[02468])x(\d*[02468])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} was got, even sides such as 1920x1080 expected")
    return Size(int(found[1]), int(found[2]))
