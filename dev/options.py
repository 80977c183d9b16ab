"""The demo's options, for ``dev.py`` (which prints the help) and for the demo itself."""

from __future__ import annotations

import argparse
from pathlib import Path


def demo_parser(*, add_help: bool = True) -> argparse.ArgumentParser:
    """Parser of the demo's arguments; paths come out absolute."""
    parser = argparse.ArgumentParser(prog="dev.py demo", add_help=add_help)
    parser.add_argument(
        "video",
        nargs="?",
        type=_path,
        metavar="VIDEO",
        help="a video to make sound for (default: a silent clip of people riding bikes)",
    )
    parser.add_argument("--prompt", metavar="TEXT", help="what should be heard")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help=(
            "small_16k, small_44k, medium_44k, large_44k or large_44k_v2 "
            "(default: one whose weights are there, else large_44k_v2)"
        ),
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="fetch missing weights (several GB, CC-BY-NC 4.0: not for commercial use)",
    )
    parser.add_argument(
        "--out",
        type=_path,
        default=Path("out").absolute(),
        metavar="DIR",
        help="where the result goes (default: ./out)",
    )
    parser.add_argument(
        "--serve", action="store_true", help="keep ComfyUI running afterwards, until Ctrl+C"
    )
    return parser


def to_arguments(options: argparse.Namespace) -> list[str]:
    """The command line that gives ``options`` again, from any working directory."""
    arguments = [f"--out={options.out}"]
    arguments += [f"--prompt={options.prompt}"] if options.prompt is not None else []
    arguments += [f"--model={options.model}"] if options.model is not None else []
    arguments += ["--download"] if options.download else []
    arguments += ["--serve"] if options.serve else []
    arguments += ["--", str(options.video)] if options.video is not None else []
    return arguments


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()
