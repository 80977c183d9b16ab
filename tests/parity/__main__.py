"""``python -m tests.parity``: the parity table; exits 1 where anything misses its limit."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from tests.golden_files import GOLDEN

from .comparison import Row
from .table import HALVES, clip_of, names, rows


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    clips = dict(_clip(pair) for pair in options.clip)
    print(f"{'golden':<38}{'tensor':<26}{'error':>10}{'limit':>10}")
    started = time.monotonic()
    seen: list[Row] = []
    left_out: list[str] = []
    for name in names(options.goldens):
        clip = clip_of(name)
        if (name.startswith("full_") and not options.full) or clip not in {None, "bikes", *clips}:
            left_out.append(name)
            continue
        dtypes = [torch.float32, *(HALVES.values() if name.startswith("tiny_") else ())]
        for dtype in dtypes:
            for row in rows(name, options.goldens, dtype=dtype, clips=clips):
                print(row, flush=True)
                seen.append(row)
            gc.collect()  # a full network goes before the next one comes
    missed = sum(not row.ok for row in seen)
    print(f"{len(seen)} compared, {missed} missed, in {time.monotonic() - started:.0f} s")
    if left_out:
        print(f"left out (--full, --clip NAME=PATH): {', '.join(left_out)}")
    return 1 if missed or not seen else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="parity", description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="full-size networks too (6 GB, minutes)"
    )
    parser.add_argument(
        "--goldens", type=Path, default=GOLDEN, metavar="DIR", help="folder of goldens"
    )
    parser.add_argument(
        "--clip",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="the video file of goldens named media_NAME and e2e_NAME_...",
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; default: PyTorch's")
    return parser


def _clip(pair: str) -> tuple[str, Path]:
    name, found, path = pair.partition("=")
    if not found or not Path(path).is_file():
        raise SystemExit(f"--clip {pair}: NAME=PATH of a video file was expected")
    return name, Path(path)


if __name__ == "__main__":
    raise SystemExit(main())
