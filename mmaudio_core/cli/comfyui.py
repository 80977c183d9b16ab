"""Where the ComfyUIs of this machine keep weights."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from .exit_codes import StartError

_FOLDER = "mmaudio"
_CONFIGURATION = "extra_model_paths.yaml"


def places() -> list[Path]:
    """Where a ComfyUI may be: named, around this package, here, or in its usual places."""
    named = os.environ.get("COMFYUI_PATH")
    package = Path(__file__).resolve().parents[2]
    return [
        *([Path(named).expanduser()] if named else []),
        *([package.parents[1]] if package.parent.name == "custom_nodes" else []),
        Path.cwd(),
        Path.home() / "comfy" / "ComfyUI",
        Path.home() / "ComfyUI",
    ]


def weight_folders(comfyui: Path) -> list[Path]:
    """The folders that a ComfyUI would look for weights in, in its order; they may not exist.

    Raises:
        StartError: its ``extra_model_paths.yaml`` cannot be read.
    """
    first: list[Path] = []
    others: list[Path] = []
    for section in _sections(comfyui / _CONFIGURATION):
        base = os.path.expandvars(os.path.expanduser(str(section.get("base_path") or "")))
        for line in str(section.get(_FOLDER) or "").splitlines():
            if line:
                folder = Path(os.path.normpath(comfyui / base / line))
                if section.get("is_default"):
                    first.insert(0, folder)
                else:
                    others.append(folder)
    return [*first, *others, comfyui / "models" / _FOLDER]


def _sections(path: Path) -> Iterator[Mapping[str, Any]]:
    """The sections of a file of paths, each for one place; none if there is no such file."""
    if not path.is_file():
        return
    try:
        import yaml
    except ImportError:
        raise StartError(
            f"{path} cannot be read without PyYAML: run pip install pyyaml, or name the folder of "
            "the weights with --weights"
        ) from None
    try:
        entries: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise StartError(
            f"{path} cannot be read ({error}): mend it, or name the folder of the weights with "
            "--weights"
        ) from None
    if isinstance(entries, dict):
        for section in cast(dict[object, object], entries).values():
            if isinstance(section, dict):
                yield cast(dict[str, Any], section)
