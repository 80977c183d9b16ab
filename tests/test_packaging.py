"""The files that registries and installers read agree with each other."""

from __future__ import annotations

import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports] (pytest brings it)

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_dependencies_are_listed_alike() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == PROJECT["project"][
        "dependencies"
    ]


def test_nothing_of_comfyui_is_pinned() -> None:
    theirs = ("torch", "numpy", "transformers", "tokenizers", "safetensors", "av")
    assert not [name for name in PROJECT["project"]["dependencies"] if name.startswith(theirs)]


def test_the_registry_takes_the_name() -> None:
    assert "comfyui" not in PROJECT["project"]["name"].lower()
    assert PROJECT["tool"]["comfy"]["PublisherId"]
