"""``python -m tests.core.media_table``: the table of media cases; exits 1 if a frame differs."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .media_cases import CASES, missing_encoder
from .media_picks import ffmpegs, offset, ours


def main() -> int:
    """Print the table in Markdown."""
    mismatches = 0
    print("| case | file | frames at 8 fps | at 25 fps | A/V offset |\n|---|---|---|---|---|")
    for title, case in CASES.items():
        missing = missing_encoder(case)
        if missing is not None:
            print(f"| {title} | {case.name} | {missing} | | |")
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = case.write(Path(folder))
            mine, theirs = ours(path, case), ffmpegs(path, case)
            cells = []
            for name in ("clip", "sync"):
                got, wanted = getattr(mine, name), getattr(theirs, name)
                equal = got == wanted[: len(got)]
                mismatches += not equal
                cells.append(f"{len(got)} equal" if equal else f"{got} not {wanted}")
            delay = f"{1000 * offset(path, Path(folder)):+.2f} ms"
        print(f"| {title} | {case.name[1:]} | {' | '.join(cells)} | {delay} |", flush=True)
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
