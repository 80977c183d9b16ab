"""Command line of the benchmark; needs only the standard library, so ``dev.py`` can print it."""

from __future__ import annotations

import argparse
from pathlib import Path

from dev.options import absolute_path

from .stages import Stage

VARIANTS = ("small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2", "tiny")
_PRECISIONS = ("fp32", "bf16")


def bench_parser(*, add_help: bool = True) -> argparse.ArgumentParser:
    """Parser of ``dev.py bench``; paths come out absolute."""
    parser = argparse.ArgumentParser(prog="dev.py bench", add_help=add_help)
    add = parser.add_argument
    add(
        "--reference",
        type=_folder,
        metavar="DIR",
        help="compare with the published code: a checkout of hkchengrex/MMAudio",
    )
    add("--json", type=absolute_path, metavar="FILE", help="write the results to FILE")
    add("--device", choices=("cpu", "cuda"), help="default: cuda if available")
    add(
        "--stages",
        type=_stages,
        default=tuple(Stage),
        metavar="A,B",
        help=f"some of {', '.join(stage.value for stage in Stage)} (default: all)",
    )
    add(
        "--variant",
        choices=VARIANTS,
        default="large_44k_v2",
        help="the model whose sizes the seeded weights have; tiny is for tests "
        "(default: large_44k_v2)",
    )
    add("--precision", choices=_PRECISIONS, help="default: bf16 on cuda, fp32 on cpu")
    add(
        "--decoders",
        choices=_PRECISIONS,
        default="fp32",
        help="precision of our VAE and vocoder (default: fp32, as in the nodes)",
    )
    add(
        "--compared-precision",
        choices=_PRECISIONS,
        help="precision of the published code (default: that of --precision)",
    )
    add("--seconds", type=_durations, default=(8.0,), metavar="8,30,60", help="default: 8")
    add("--takes", type=_counts, default=(1,), metavar="1,4", help="default: 1")
    add("--steps", type=_count, default=25, help="sampler steps (default: 25)")
    add("--cfg", type=float, default=4.5, help="default: 4.5")
    add(
        "--rounds",
        type=_count,
        help="runs of each stage and implementation, the first one cold (default: 7 on cuda, "
        "3 on cpu)",
    )
    add(
        "--video",
        type=absolute_path,
        metavar="FILE",
        help="repeated until it is long enough (default: people riding bikes, 272p)",
    )
    add(
        "--weights",
        type=absolute_path,
        default=Path("~/.cache/mmaudio-bench").expanduser(),
        metavar="DIR",
        help="folder for the seeded weights, up to 11 GB (default: ~/.cache/mmaudio-bench)",
    )
    return parser


def _folder(text: str) -> Path:
    path = absolute_path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is not a folder: clone the repository first")
    return path


def _stages(text: str) -> tuple[Stage, ...]:
    names = [name.strip() for name in text.split(",")]
    known = [stage.value for stage in Stage]
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"got {name!r}, expected some of {', '.join(known)}")
    return tuple(stage for stage in Stage if stage.value in names)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a positive integer")
    return int(text)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(_count(part.strip()) for part in text.split(","))


def _durations(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected e.g. 8 or 8,30") from None
