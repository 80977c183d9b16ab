"""Folders of weights: ``models/mmaudio`` and those that ``extra_model_paths.yaml`` adds."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

from ..mmaudio_core.checkpoint import Catalog
from ..mmaudio_core.checkpoint.scan import ENDINGS, Scanner

FOLDER = "mmaudio"
_scanner = Scanner()


def register() -> None:
    """Add our folder to ComfyUI's, keeping the ones that the user's configuration added."""
    default = os.path.join(folder_paths.models_dir, FOLDER)
    folder_paths.add_model_folder_path(FOLDER, default)
    paths, extensions = folder_paths.folder_names_and_paths[FOLDER]
    # ComfyUI lists every file of a folder that has no extensions
    folder_paths.folder_names_and_paths[FOLDER] = (paths, set(extensions) | ENDINGS)
    os.makedirs(default, exist_ok=True)


def default_folder() -> Path:
    """The folder that downloads go to."""
    return Path(folder_paths.models_dir) / FOLDER


def catalog() -> Catalog:
    """The weights files that are there now."""
    return _scanner.scan(*_where())


def fingerprint() -> str:
    """A text that changes when a weights file is added, removed or changed."""
    return _scanner.fingerprint(*_where())


def _where() -> tuple[list[str], set[str]]:
    return folder_paths.folder_names_and_paths[FOLDER]
