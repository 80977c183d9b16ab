"""Finds ComfyUI and its weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev import comfyui
from dev.environment import SetupError
from dev.weights import has_weights, model_folders
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle


@pytest.fixture
def install(tmp_path: Path) -> Path:
    """A folder that looks like a ComfyUI."""
    folder = tmp_path / "ComfyUI"
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    return folder


def place_pack(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``dev.comfyui`` take ``folder`` for the pack, with no ComfyUI configured."""
    monkeypatch.delenv(comfyui.VARIABLE, raising=False)
    monkeypatch.setattr(comfyui, "ROOT", folder)
    monkeypatch.setattr(comfyui, "__file__", str(folder / "dev" / "comfyui.py"))


def test_the_variable_takes_precedence(install: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place_pack(install.parent / "other" / "custom_nodes" / "pack", monkeypatch)
    monkeypatch.setenv(comfyui.VARIABLE, str(install))
    assert comfyui.locate() == install


def test_a_wrong_variable_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(comfyui.VARIABLE, str(tmp_path))
    with pytest.raises(SetupError, match=r"is not a ComfyUI: expected main\.py"):
        comfyui.locate()


def test_the_one_around_the_pack(install: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place_pack(install / "custom_nodes" / "pack", monkeypatch)
    assert comfyui.locate() == install


def test_a_clone_never_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place_pack(tmp_path / "pack", monkeypatch)
    monkeypatch.setattr(comfyui, "_HOME", tmp_path)
    with pytest.raises(SetupError, match="exists, but is not a ComfyUI"):
        comfyui.locate_or_clone()


def test_other_versions_lie_beside(install: Path) -> None:
    other = install.with_name("ComfyUI-0.8.0")
    (other / "comfy").mkdir(parents=True)
    (other / "main.py").touch()
    install.with_name("ComfyUI-backup").mkdir()
    assert comfyui.other_versions(install) == [other]


def test_folders_of_the_configuration(install: Path, tmp_path: Path) -> None:
    (install / "extra_model_paths.yaml").write_text(
        f"a:\n  base_path: {tmp_path}\n  mmaudio: |\n    one\n    two\n"
        "b:\n  base_path: beside\n  mmaudio: three\nc:\n  loras: four\nd:\n"
    )
    assert list(model_folders(install)) == [
        install / "models" / "mmaudio",
        tmp_path / "one",
        tmp_path / "two",
        install / "beside" / "three",
    ]


def test_synthetic_weights_do_not_count(install: Path) -> None:
    write_synthetic_bundle(install / "models" / "mmaudio", variant="small_16k")
    assert not has_weights(install, "small_16k")
    assert not has_weights(install, "large_44k_v2")
