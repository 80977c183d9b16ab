"""``python -m tests.fuzz.worker SEEDS SEED``: runs the cases named on stdin, one per line.

It is a process of its own, so that a crash or an endless loop can be seen from outside.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import traceback
from pathlib import Path

import torch

from .cases import damaged, run_case

_MEMORY = 8 << 30  # bytes of address space: a wrong size in a header must not take the machine down


def main() -> None:
    """Answer each line ``kind number`` with the outcome, one line of JSON."""
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seeds, seed = Path(sys.argv[1]), int(sys.argv[2])
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        kind, number = line.split()
        with tempfile.TemporaryDirectory() as folder:
            path = damaged(kind, int(number), seed, seeds, Path(folder))
            try:
                answer = {"outcome": run_case(kind, path)}
            except BaseException:
                answer = {"fault": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
