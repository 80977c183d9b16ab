"""Finds the ComfyUI that the demo and the tests run in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .environment import ROOT, SetupError, is_current, python_in

VARIABLE = "COMFYUI_PATH"
REPOSITORY, TAG = "https://github.com/comfyanonymous/ComfyUI", "v0.33.0"
_HOME = Path("~/comfy/ComfyUI")
_CURE = (
    f"Install ComfyUI ({REPOSITORY}), or set the environment variable {VARIABLE} to the folder "
    "that contains its main.py, and run this again."
)


def locate() -> Path | None:
    """Look for ComfyUI in ``$COMFYUI_PATH``, around this pack, and in ~/comfy/ComfyUI.

    Raises:
        SetupError: ``$COMFYUI_PATH`` is set, but is not a ComfyUI.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        folder = Path(chosen).expanduser().absolute()
        if not is_comfyui(folder):
            raise SetupError(
                f"{VARIABLE} is {chosen}, which is not a ComfyUI: expected main.py and the folder "
                "comfy in it. Correct the variable, or unset it."
            )
        return folder
    # This folder may be a link in custom_nodes, which only the unresolved path shows.
    unresolved = Path(__file__).absolute().parent.parent
    packs = [pack for pack in (unresolved, ROOT) if pack.parent.name == "custom_nodes"]
    candidates = [*(pack.parent.parent for pack in packs), _HOME.expanduser()]
    return next((folder for folder in candidates if is_comfyui(folder)), None)


def locate_or_clone() -> Path:
    """Like ``locate``, but clone ComfyUI into ~/comfy/ComfyUI if there is none.

    Raises:
        SetupError: it cannot be cloned.
    """
    return locate() or _clone(_HOME.expanduser())


def is_comfyui(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy").is_dir()


def other_versions(comfyui: Path) -> list[Path]:
    """Further versions to test with: ``ComfyUI-<version>`` next to ``comfyui``."""
    return [f for f in sorted(comfyui.parent.glob(f"{comfyui.name}-*")) if is_comfyui(f)]


def side_env(comfyui: Path) -> Path:
    """Folder of the environment with the requirements of one of ``other_versions``."""
    return ROOT / f".venv-{comfyui.name}"


def python_of(comfyui: Path) -> Path:
    """The interpreter that runs ``comfyui``: its side environment's, else the current one."""
    folder = side_env(comfyui)
    return python_in(folder) if is_current(folder) else Path(sys.executable)


def _clone(target: Path) -> Path:
    if target.exists():
        raise SetupError(f"{target} exists, but is not a ComfyUI. Move it away. Or: {_CURE}")
    git = shutil.which("git")
    if git is None:
        raise SetupError(f"found neither ComfyUI nor git to clone it with. {_CURE}")
    print(f"No ComfyUI found; cloning {TAG} into {target} ...", flush=True)
    # renamed when complete, so that an interrupted clone is never mistaken for ComfyUI
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [git, "clone", "--depth", "1", "--branch", TAG, REPOSITORY, str(partial)]
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}  # never wait for a password
    cloned = subprocess.run(command, check=False, env=env, stdin=subprocess.DEVNULL)
    if cloned.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        raise SetupError(f"git cannot clone {REPOSITORY}; its messages are above. {_CURE}")
    partial.rename(target)
    return target
