"""Finding the weights and the device that the arguments name."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ..batch.networks import Networks, choose_device, choose_dtype
from ..batch.sidecar import RunFacts, weights_of
from ..checkpoint import VARIANTS, MissingPartsError, PartKind, verify_part
from ..checkpoint.scan import ENDINGS, Scanner
from ..errors import MMAudioError
from .comfyui import places, weight_folders
from .exit_codes import StartError
from .output import write_line

VARIABLE = "MMAUDIO_WEIGHTS"
_DISTRIBUTION = "mmaudio-native"


def load_networks(arguments: argparse.Namespace) -> Networks:
    """The networks that the arguments name; none is read before it is used.

    Raises:
        StartError: weights or the device are missing.
    """
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        device = choose_device(arguments.device)
    except MMAudioError as error:
        raise StartError(str(error)) from None
    folders = find_weights(arguments.weights)
    dtype = choose_dtype(arguments.precision, device, PartKind.FLOW)
    try:
        catalog = Scanner().scan([*map(str, folders)], ENDINGS)
        bundle = catalog.bundle(_model_name(arguments.model, folders), dtype=dtype)
        for part in bundle.parts.values():
            verify_part(part)
    except MissingPartsError as missing:
        raise StartError(
            f"{missing}\nPut them into {folders[-1]} (any name, any subfolder), or name another "
            "folder with --weights."
        ) from None
    except MMAudioError as error:
        published = "" if arguments.model in VARIANTS else f"\nPublished: {', '.join(VARIANTS)}."
        raise StartError(f"{error}{published}") from None
    if bundle.synthetic:
        write_line("mmaudio: these are synthetic weights, the sound will be noise", sys.stderr)
    return Networks(bundle, device, arguments.precision, arguments.memory)


def _model_name(model: str, folders: Sequence[Path]) -> str:
    """A published variant, or the name of a file below one of the folders, from a path too."""
    path = Path(model).expanduser()
    if model in VARIANTS or not path.is_file():
        return model
    for folder in folders:
        if path.resolve().is_relative_to(folder.resolve()):
            return path.resolve().relative_to(folder.resolve()).as_posix()
    raise StartError(
        f"got the model {model}, expected a file in {' or '.join(map(str, folders))}, where the "
        "networks that it works with are looked for too: move it there"
    )


def find_weights(given: str | Sequence[str] | None) -> list[Path]:
    """The folders of the weights: what is given, what the environment names, or a ComfyUI's.

    Raises:
        StartError: there is none.
    """
    named = given or os.environ.get(VARIABLE)
    if named:
        folders = [
            Path(name).expanduser() for name in ([named] if isinstance(named, str) else named)
        ]
        for folder in folders:
            if not folder.is_dir():
                origin = "--weights" if given else f"${VARIABLE}"
                raise StartError(
                    f"got {origin} {folder}, which is no folder; expected the one that holds the "
                    "weights"
                )
        return folders
    looked: list[Path] = []
    for comfyui in places():
        folders = weight_folders(comfyui)
        if found := [folder for folder in folders if folder.is_dir()]:
            return found
        looked += folders
    lines = "".join(f"\n  {folder}" for folder in dict.fromkeys(looked))
    raise StartError(
        f"found no folder of weights: name one with --weights or ${VARIABLE}. Looked in:{lines}"
    )


def run_facts(networks: Networks, model: str) -> RunFacts:
    """What the sidecars tell of the networks."""
    return RunFacts(
        model=model,
        weights=weights_of(networks.bundle),
        precision={
            kind.value: str(networks.compute_dtype(kind)).removeprefix("torch.")
            for kind in networks.bundle.parts
        },
        device=networks.device.type,
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """Of the packages that have a hand in a result."""
    found = {"python": platform.python_version()}
    for name in (_DISTRIBUTION, "torch", "av", "numpy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # run from a folder
            continue
    return found
