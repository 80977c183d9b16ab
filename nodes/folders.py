"""Folders of weights: ``models/mmaudio`` and those that ``extra_model_paths.yaml`` adds."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

from ..mmaudio_core.checkpoint import Catalog

FOLDER = "mmaudio"
_EXTENSIONS = {".safetensors", ".pth", ".pt", ".bin", ".ckpt"}


def register() -> None:
    """Add our folder to ComfyUI's, keeping the ones that the user's configuration added."""
    default = os.path.join(folder_paths.models_dir, FOLDER)
    folder_paths.add_model_folder_path(FOLDER, default)
    paths, extensions = folder_paths.folder_names_and_paths[FOLDER]
    # ComfyUI lists every file of a folder that has no extensions
    folder_paths.folder_names_and_paths[FOLDER] = (paths, set(extensions) | _EXTENSIONS)
    os.makedirs(default, exist_ok=True)


def default_folder() -> Path:
    """The folder that downloads go to."""
    return Path(folder_paths.models_dir) / FOLDER


def catalog() -> Catalog:
    """The weights files that are there now."""
    return Catalog(_files())


def fingerprint() -> str:
    """A text that changes when a weights file is added, removed or changed."""
    stats = ((name, path.stat()) for name, path in _files())
    return "|".join(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats)


def _files() -> list[tuple[str, Path]]:
    """Relative name, with ``/`` on every system, and path of each weights file."""
    names = folder_paths.get_filename_list(FOLDER)
    found = ((name, folder_paths.get_full_path(FOLDER, name)) for name in names)
    return [(name.replace(os.sep, "/"), Path(path)) for name, path in found if path is not None]
