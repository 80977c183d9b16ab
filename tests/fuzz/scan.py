"""``python -m tests.fuzz.scan``: scans hostile and mutated files with bounded memory; exits 1 if
one is not refused or takes too long.

Each file is scanned by this process, whose address space may grow by little, so whatever a header
makes it allocate shows as an error of the scan itself.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from safetensors.torch import save_file

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.checkpoint.scan import Scanner
from tests.golden_files import tiny_weights

from .hostile import hostile_files, mutated_pickle, small_checkpoints
from .mutate import mutated_safetensors

SECONDS = 5.0
"""That a file may take, on a busy machine."""
_MEMORY = 512 * 1024**2
"""Bytes by which the address space may grow."""
_ENDINGS = (".pth",)


def main() -> int:
    """Scan everything; print what went wrong, and a table."""
    parser = argparse.ArgumentParser(prog="scan", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000, help="mutated files")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.disable()
    faults = refused = tried = 0
    slowest = ("", 0.0)
    with tempfile.TemporaryDirectory() as temporary:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        _limit_memory()
        for name, path in _files(Path(temporary), options.cases, options.seed):
            started = time.perf_counter()
            fault = _fault(path)
            taken = time.perf_counter() - started
            tried += 1
            refused += fault is None
            if fault == "":  # usable
                fault = None if name.startswith("mutated") else "it was not refused"
            if fault is None and taken > SECONDS:
                fault = f"it took {taken:.1f} s"
            if fault is not None:
                faults += 1
                print(f"{name}: {fault}", flush=True)
            slowest = max(slowest, (name, taken), key=lambda one: one[1])
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{tried} files, {refused} refused, {faults} faults")
    print(f"slowest: {slowest[0]}, {slowest[1]:.2f} s; memory grew by {peak:.0f} MB at most")
    return 1 if faults else 0


def _fault(path: Path) -> str | None:
    """None if the scan refuses the file, with a reason that helps; "" if it can be used."""
    try:
        catalog = Scanner().scan([str(path.parent)], _ENDINGS)
        usable = any(catalog.names(kind) for kind in PartKind)
        reasons = catalog.unusable
    except BaseException as error:
        return f"{type(error).__name__} left the scan: {error}"
    if usable:
        return ""
    if list(reasons) != [path.name] or not 30 < len(reasons[path.name]) < 1500:
        return f"no reason that helps: {reasons}"
    lost = [word for word in ("MemoryError", "RecursionError") if word in reasons[path.name]]
    return f"{lost[0]} was met and not foreseen" if lost else None


def _files(folder: Path, cases: int, seed: int) -> Iterator[tuple[str, Path]]:
    """Each file in turn, alone in a folder."""
    place = folder / "scanned"
    place.mkdir()
    path = place / "file.pth"
    for name, write in hostile_files().items():
        write(path)
        yield name, path
        path.unlink()
    intact = small_checkpoints(folder)
    save_file(tiny_weights("vae_16k"), folder / "vae.safetensors")
    intact.append(folder / "vae.safetensors")
    for number in range(cases):
        draw = Random(f"{seed} {number}")
        source = draw.choice(intact)
        mutate = mutated_safetensors if source.suffix == ".safetensors" else mutated_pickle
        path.write_bytes(mutate(source.read_bytes(), draw))
        yield f"mutated {source.name} {number}", path
        path.unlink()


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main())
