"""Where weights are: ``models/mmaudio`` and what ``extra_model_paths.yaml`` adds to it."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

from ..mmaudio_core.checkpoint import Catalog

FOLDER = "mmaudio"
_EXTENSIONS = {".safetensors", ".pth", ".pt", ".bin", ".ckpt"}


def register() -> None:
    """Make the folder known to ComfyUI, keeping the folders a user's configuration added."""
    default = os.path.join(folder_paths.models_dir, FOLDER)
    folder_paths.add_model_folder_path(FOLDER, default)
    paths, extensions = folder_paths.folder_names_and_paths[FOLDER]
    # a key made by the configuration, or by the line above, lists every file
    folder_paths.folder_names_and_paths[FOLDER] = (paths, set(extensions) | _EXTENSIONS)
    os.makedirs(default, exist_ok=True)


def default_folder() -> Path:
    """Where downloads go."""
    return Path(folder_paths.models_dir) / FOLDER


def catalog() -> Catalog:
    """The weights there are now, named by relative path with ``/`` on every system."""
    files: list[tuple[str, Path]] = []
    for name in folder_paths.get_filename_list(FOLDER):
        path = folder_paths.get_full_path(FOLDER, name)
        if path is not None:
            files.append((name.replace(os.sep, "/"), Path(path)))
    return Catalog(files)


def fingerprint() -> str:
    """Changes when a weights file comes, goes or changes."""
    stats: list[str] = []
    for name in folder_paths.get_filename_list(FOLDER):
        path = folder_paths.get_full_path(FOLDER, name)
        if path is not None:
            stat = os.stat(path)
            stats.append(f"{name}:{stat.st_size}:{stat.st_mtime_ns}")
    return "|".join(stats)
