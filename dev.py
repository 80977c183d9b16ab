"""Set up, demonstrate, test and benchmark this pack.

Needs Python 3.10 or later and installs everything else into ``.venv``. Runs with the ComfyUI in
``$COMFYUI_PATH``, the one that contains this folder, or ``~/comfy/ComfyUI``, which is cloned if
it does not exist.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.options import bench_parser
from dev.comfyui import VARIABLE, locate_or_clone, other_versions, side_env
from dev.environment import (
    PYTHON,
    ROOT,
    VENV,
    SetupError,
    call,
    check_python,
    ensure_env,
    ensure_side_env,
)
from dev.options import demo_parser

_CHECKS = {
    "ruff check": ("ruff", "check", "."),
    "ruff format": ("ruff", "format", "--check", "."),
    "pyright": ("pyright",),
}

_PARALLEL = ("-n", "auto", "--maxprocesses", "4")


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    forwards = arguments[:1] in (["test"], ["parity"])
    options = _parser().parse_args(arguments[:1] if forwards else arguments)
    try:
        check_python()
        comfyui = locate_or_clone()
        os.environ[VARIABLE] = str(comfyui)
        ensure_env(comfyui)
        if options.command == "test":
            return _test(comfyui, arguments[1:])
        if options.command == "parity":
            return call([PYTHON, "-m", "tests.parity", *arguments[1:]])
        if not os.path.samefile(sys.prefix, VENV):  # demo and bench run inside .venv
            return call([PYTHON, ROOT / "dev.py", *arguments], cwd=Path.cwd())
        if options.command == "demo":
            from dev.demo import run
        else:
            from bench.__main__ import run
        return run(options)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "demo",
        parents=[demo_parser(add_help=False)],
        help="generate sound for a video in a real ComfyUI",
    )
    commands.add_parser(
        "test", add_help=False, help="lint, type-check and test; arguments go to pytest"
    )
    commands.add_parser(
        "parity",
        add_help=False,
        help="compare with outputs of the published code; arguments go to tests.parity",
    )
    commands.add_parser(
        "bench",
        parents=[bench_parser(add_help=False)],
        help="time every stage, optionally against the published code",
    )
    return parser


def _test(comfyui: Path, arguments: Sequence[str]) -> int:
    """Lint, type-check, then run pytest on every installed version of ComfyUI."""
    for other in other_versions(comfyui):
        requirements = ["-r", str(other / "requirements.txt")]
        ensure_side_env(side_env(other), requirements, purpose=other.name)
    failed = [name for name, command in _CHECKS.items() if call([PYTHON, "-m", *command]) != 0]
    if failed:
        # printed before pytest runs, so that pytest's summary stays the last line
        print(f"FAILED: {', '.join(failed)} (see above). The tests still run.", flush=True)
    if not arguments:  # the whole suite, in several processes of one thread each
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        arguments = _PARALLEL
    return call([PYTHON, "-m", "pytest", *arguments]) or int(bool(failed))


if __name__ == "__main__":
    # raise SystemExit on SIGTERM so that child processes are ended too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
