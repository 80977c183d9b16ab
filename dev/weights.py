"""Whether a ComfyUI has the weights of a model, in any of the folders it would look in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch
import yaml

from mmaudio_core.checkpoint import Catalog, MissingPartsError

FOLDER = "mmaudio"
_EXTENSIONS = {".safetensors", ".pth", ".pt", ".bin", ".ckpt"}


def has_weights(comfyui: Path, model: str) -> bool:
    """Whether every part of a published variant is there, and none is a stand-in."""
    files = [
        (path.relative_to(folder).as_posix(), path)
        for folder in folders(comfyui)
        for path in _files(folder)
        if path.suffix.lower() in _EXTENSIONS
    ]
    try:
        return not Catalog(files).bundle(model, dtype=torch.float32).synthetic
    except MissingPartsError:
        return False


def folders(comfyui: Path) -> Iterator[Path]:
    """``models/mmaudio``, and what ComfyUI's own ``extra_model_paths.yaml`` adds to it."""
    yield comfyui / "models" / FOLDER
    config = comfyui / "extra_model_paths.yaml"
    sections = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else None
    for section in (sections or {}).values():
        base = comfyui / os.path.expandvars(
            os.path.expanduser((section or {}).get("base_path", ""))
        )
        for line in (section or {}).get(FOLDER, "").splitlines():
            if line:
                yield base / line


def _files(folder: Path) -> Iterator[Path]:
    # ComfyUI follows links to folders; Path.rglob does not
    for root, _, names in os.walk(folder, followlinks=True):
        yield from (Path(root, name) for name in names)
