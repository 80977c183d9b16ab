"""Checks whether ComfyUI has a model's weights in any of the folders it searches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch
import yaml

from mmaudio_core.checkpoint import Catalog, MissingPartsError
from mmaudio_core.checkpoint.scan import ENDINGS

FOLDER = "mmaudio"


def has_weights(comfyui: Path, model: str) -> bool:
    """Whether every part of a published variant is installed, none of them synthetic."""
    files = [
        (path.relative_to(folder).as_posix(), path)
        for folder in model_folders(comfyui)
        # ComfyUI follows links to folders; Path.rglob does not
        for root, _, names in os.walk(folder, followlinks=True)
        for path in (Path(root, name) for name in names)
        if path.suffix.lower() in ENDINGS
    ]
    try:
        return not Catalog(files).bundle(model, dtype=torch.float32).synthetic
    except MissingPartsError:
        return False


def model_folders(comfyui: Path) -> Iterator[Path]:
    """``models/mmaudio``, and the folders that ComfyUI's ``extra_model_paths.yaml`` adds to it."""
    yield comfyui / "models" / FOLDER
    config = comfyui / "extra_model_paths.yaml"
    sections = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else None
    for section in (sections or {}).values():
        base_path = os.path.expanduser((section or {}).get("base_path", ""))
        base = comfyui / os.path.expandvars(base_path)
        for line in (section or {}).get(FOLDER, "").splitlines():
            if line:
                yield base / line
