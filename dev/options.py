"""Command line of the demo; needs only the standard library, so that ``dev.py`` can print it."""

from __future__ import annotations

import argparse
from pathlib import Path


def demo_parser(*, add_help: bool = True) -> argparse.ArgumentParser:
    """Parser of ``dev.py demo``; paths come out absolute."""
    parser = argparse.ArgumentParser(prog="dev.py demo", add_help=add_help)
    parser.add_argument(
        "video",
        nargs="?",
        type=absolute_path,
        metavar="VIDEO",
        help="a video to generate sound for (default: a silent clip of people riding bikes)",
    )
    parser.add_argument("--prompt", metavar="TEXT", help="the sound to generate")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help=(
            "small_16k, small_44k, medium_44k, large_44k or large_44k_v2 "
            "(default: one whose weights are installed, else large_44k_v2)"
        ),
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="download missing weights (several GB, CC-BY-NC 4.0: not for commercial use)",
    )
    parser.add_argument(
        "--out",
        type=absolute_path,
        default=Path("out").absolute(),
        metavar="DIR",
        help="folder for the result (default: ./out)",
    )
    parser.add_argument(
        "--serve", action="store_true", help="keep ComfyUI running afterwards, until Ctrl+C"
    )
    return parser


def absolute_path(text: str) -> Path:
    """A path given on the command line."""
    return Path(text).expanduser().absolute()
