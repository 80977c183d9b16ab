"""The command's arguments."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from fractions import Fraction
from typing import Any

from ..batch.networks import PRECISIONS
from ..batch.options import OPTIONS, ItemOptions, Option
from ..checkpoint.published import DEFAULT_VARIANT
from ..errors import MMAudioError
from .exit_codes import UsageError

_EXIT_CODES = (
    "Ends with 0 if everything is done, 1 if something failed (see failures.jsonl), 2 if the "
    "arguments or a manifest cannot be used, 3 if weights or the device are missing, 130 if it was "
    "interrupted, 128 plus its number if a signal ended it."
)
_DEFAULTS = {entry.name: entry.default for entry in fields(ItemOptions)}


def parser() -> argparse.ArgumentParser:
    """Of all commands."""
    root = argparse.ArgumentParser(
        prog="mmaudio",
        description="Sound for silent video.",
        epilog=_EXIT_CODES,
        allow_abbrev=False,
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_sound(
        commands.add_parser(
            "sound", help="make sound for videos", epilog=_EXIT_CODES, allow_abbrev=False
        )
    )
    inspect = commands.add_parser(
        "inspect", help="tell what weights files and videos hold", allow_abbrev=False
    )
    inspect.add_argument("files", nargs="+", metavar="FILE")
    inspect.add_argument("--json", action="store_true", help="an object a line")
    score = commands.add_parser(
        "score", help="measure the sound that a video has", allow_abbrev=False
    )
    score.add_argument("videos", nargs="+", metavar="VIDEO")
    score.add_argument("--prompt", default="", help=OPTIONS["prompt"].help)
    score.add_argument("--json", action="store_true", help="an object a line")
    _add_networks(score)
    return root


def item_options(arguments: argparse.Namespace) -> ItemOptions:
    """The options of the command line.

    Raises:
        UsageError: they do not fit each other.
    """
    given = {name: value for name in OPTIONS if (value := getattr(arguments, name)) is not None}
    try:
        return ItemOptions(**given)
    except MMAudioError as error:
        raise UsageError(str(error)) from None


def _add_sound(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "sources",
        nargs="+",
        metavar="VIDEO|FOLDER|GLOB|MANIFEST.jsonl",
        help="videos, folders of them, patterns in quotes, or manifests: a JSON object a line, "
        "with video, out, and any option below by its name with _ for -",
    )
    command.add_argument("--out", required=True, metavar="DIR", help="where the results go")
    options = command.add_argument_group("options of an item")
    for name, option in OPTIONS.items():
        _add_option(options, name, option)
    _add_networks(command)
    command.add_argument(
        "--batch",
        type=_positive,
        default=1,
        metavar="N",
        help="clips of one length that are sampled together",
    )
    ray = command.add_argument_group("cluster")
    ray.add_argument(
        "--ray",
        metavar="ADDRESS|auto|local",
        help="run on this Ray cluster, the one that is found, or one that is started here for "
        "this run (needs ray[data])",
    )
    ray.add_argument(
        "--ray-gpus",
        type=_fraction,
        default=1.0,
        metavar="SHARE",
        help="of a GPU for one copy of the networks, such as 0.5 (default: %(default)g)",
    )
    ray.add_argument(
        "--ray-actors",
        type=_positive,
        metavar="N",
        help="most copies of the networks (default: as many as there is room for)",
    )
    command.add_argument(
        "--retry", action="store_true", help="try again what ended the process before"
    )
    command.add_argument(
        "--json", action="store_true", help="events for programs on stdout, an object a line"
    )


def _add_networks(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("networks")
    group.add_argument(
        "--model",
        default=DEFAULT_VARIANT,
        metavar="NAME",
        help="a published variant, or a file with a flow network in the folder of the weights "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--weights",
        metavar="DIR",
        help="folder of the weights; else $MMAUDIO_WEIGHTS, else those of a ComfyUI",
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    group.add_argument("--precision", default="auto", choices=PRECISIONS)
    group.add_argument(
        "--memory",
        type=_gigabytes,
        metavar="GB",
        help="bound of weights and activations on the device (default: what a GPU has free)",
    )
    group.add_argument("--threads", type=_positive, metavar="N", help="threads of the CPU")


def _add_option(group: Any, name: str, option: Option) -> None:
    flag = f"--{name.replace('_', '-')}"
    default = _DEFAULTS[name]
    shown = float(default) if isinstance(default, Fraction) else default
    if isinstance(default, bool):
        group.add_argument(
            flag, dest=name, action=argparse.BooleanOptionalAction, default=None, help=option.help
        )
        return
    known = "" if shown in ("", None) else f" (default: {shown})"
    group.add_argument(
        flag,
        dest=name,
        type=_Reader(option, text=isinstance(default, str)),
        metavar="|".join(option.choices) if option.choices else name.upper(),
        help=option.help.replace("%", "%%") + known,
    )


class _Reader:
    """Reads an option's value from an argument; argparse prints what is raised."""

    def __init__(self, option: Option, *, text: bool) -> None:
        self._option = option
        self._text = text

    def __call__(self, argument: str) -> Any:
        try:
            value = argument if self._text else json.loads(argument, parse_constant=_refuse)
            return self._option.read(value)
        except (ValueError, RecursionError):
            raise argparse.ArgumentTypeError(
                f"got {argument!r}, expected {self._option.expected}"
            ) from None


def _refuse(text: str) -> float:
    raise ValueError(text)


def _positive(argument: str) -> int:
    if not argument.isdecimal() or not int(argument):
        raise argparse.ArgumentTypeError(f"got {argument!r}, expected a whole number from 1")
    return int(argument)


def _fraction(argument: str) -> float:
    try:
        value = float(argument)
    except ValueError:
        value = 0.0
    if not (0 < value <= 1 or value in range(1, 65)):
        raise argparse.ArgumentTypeError(
            f"got {argument!r}, expected a share of a GPU above 0 and up to 1, or a number of them"
        )
    return value


def _gigabytes(argument: str) -> int:
    try:
        value = float(argument)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"got {argument!r}, expected a number of GB above 0")
    return int(value * 1e9)
