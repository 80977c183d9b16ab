"""Set up, demonstrate, test and time this pack: ``python dev.py demo``, ``test``, ``parity`` and
``bench``.

Needs Python 3.10 or newer and nothing else; everything more goes into ``.venv``. ComfyUI is the
one in ``$COMFYUI_PATH``, the one this folder lies in, ``~/comfy/ComfyUI``, or fetched to there.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.options import bench_arguments, bench_parser
from bench.requirements import ENVIRONMENT, PACKAGES, PYTHON_VARIABLE
from dev.beside import make_beside, others, set_up
from dev.comfyui import VARIABLE, locate_or_clone
from dev.environment import PYTHON, ROOT, SetupError, call, check_python, ensure
from dev.options import demo_parser, to_arguments

_CHECKS = (
    ("ruff check", ("ruff", "check", ".")),
    ("ruff format", ("ruff", "format", "--check", ".")),
    ("pyright", ("pyright",)),
)


def main(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "demo",
        parents=[demo_parser(add_help=False)],
        help="make sound for a video in a real ComfyUI",
    )
    commands.add_parser(
        "test",
        add_help=False,
        help="lint, check types, and test; arguments go to pytest",
    )
    commands.add_parser(
        "parity",
        add_help=False,
        help="compare with outputs of the authors' code; arguments go to tests.parity",
    )
    commands.add_parser(
        "bench",
        parents=[bench_parser(add_help=False)],
        help="time every stage, beside the published code",
    )
    passes_on = arguments[:1] in (["test"], ["parity"])
    options = parser.parse_args(arguments[:1] if passes_on else arguments)
    rest = arguments[1:]
    try:
        check_python()
        comfyui = locate_or_clone()
        ensure(comfyui)
        for other in others(comfyui) if options.command == "test" else ():
            set_up(other)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.command == "demo":
        return _python("-m", "dev.demo", *to_arguments(options), comfyui=comfyui)
    if options.command == "parity":
        return _python("-m", "tests.parity", *rest, comfyui=comfyui)
    if options.command == "bench":
        return _bench(options, comfyui)
    return _test(rest, comfyui)


def _test(arguments: Sequence[str], comfyui: Path) -> int:
    failed = [name for name, command in _CHECKS if _python("-m", *command, comfyui=comfyui) != 0]
    if failed:
        # pytest's closing line comes last, whatever happened before it
        print(f"FAILED: {', '.join(failed)} (see above). The tests still run.", flush=True)
    code = _python("-m", "pytest", *arguments, comfyui=comfyui)
    return code or int(bool(failed))


def _bench(options: argparse.Namespace, comfyui: Path) -> int:
    env = {VARIABLE: str(comfyui)}
    if options.reference is not None or options.kijai is not None:
        try:
            python = make_beside(ROOT / ENVIRONMENT, PACKAGES, what="the compared code")
        except SetupError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        env[PYTHON_VARIABLE] = str(python)
    return call([str(PYTHON), "-m", "bench", *bench_arguments(options)], env)


def _python(*arguments: str, comfyui: Path) -> int:
    return call([str(PYTHON), *arguments], {VARIABLE: str(comfyui)})


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
