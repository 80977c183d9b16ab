"""``python -m tests.fuzz``: damaged videos and weights; exits 1 if one is not handled."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .cases import damaged
from .hunt import hunt
from .seeds import KINDS, make_seeds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases; print those that were not handled, and a table."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        seeds = Path(temporary)
        make_seeds(seeds)
        if options.keep:
            kind, number = options.keep
            print(damaged(kind, int(number), options.seed, seeds, Path.cwd()))
            return 0
        started = time.monotonic()
        tallies = [
            hunt(kind, range(options.first, options.first + count), options.seed, seeds, sys.stdout)
            for kind, count in ((kind, getattr(options, kind)) for kind in KINDS)
        ]
    print(f"{'':<10}{'cases':>8}{'correct':>8}{'errors':>8}{'faults':>8}{'slowest':>10}")
    for tally in tallies:
        print(
            f"{tally.kind:<10}{tally.cases:>8}{tally.correct:>8}{len(tally.errors):>8}"
            f"{len(tally.faults):>8}{tally.slowest:>8.1f} s"
        )
    print(f"in {time.monotonic() - started:.0f} s; seed {options.seed}")
    return 1 if any(tally.faults for tally in tallies) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--media", type=int, default=2000, help="damaged mp4, mkv, webm")
    parser.add_argument("--others", type=int, default=500, help="damaged avi, mov, ts, gif, webp")
    parser.add_argument("--weights", type=int, default=500, help="damaged weights")
    parser.add_argument("--seed", type=int, default=0, help="seed of the damage")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument(
        "--keep",
        nargs=2,
        metavar=("KIND", "NUMBER"),
        help="only write that case's file to the current folder",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
