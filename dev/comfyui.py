"""Which ComfyUI the demo and the tests run in."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .environment import ROOT, SetupError

VARIABLE = "COMFYUI_PATH"
REPOSITORY = "https://github.com/comfyanonymous/ComfyUI"
_HOME = Path("~/comfy/ComfyUI")
_CURE = (
    f"Install ComfyUI ({REPOSITORY}), or set the environment variable {VARIABLE} to the folder of "
    "one that you have (the one with main.py), and run this again."
)


def locate() -> Path | None:
    """The ComfyUI there is: ``$COMFYUI_PATH``, the one this pack lies in, or ~/comfy/ComfyUI.

    Raises:
        SetupError: ``$COMFYUI_PATH`` is set, but holds no ComfyUI.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        folder = Path(chosen).expanduser().absolute()
        if not is_comfyui(folder):
            raise SetupError(
                f"{VARIABLE} is {chosen}, which is no ComfyUI: main.py and the folder comfy are "
                "expected in it. Correct the variable, or unset it."
            )
        return folder
    # The folder may be linked into custom_nodes; only the path it was started by tells.
    started_from = Path(__file__).absolute().parent.parent
    candidates = [pack.parent.parent for pack in (started_from, ROOT) if _in_custom_nodes(pack)]
    candidates.append(_HOME.expanduser())
    return next((folder for folder in candidates if is_comfyui(folder)), None)


def locate_or_clone() -> Path:
    """The ComfyUI there is, else a new one in ~/comfy/ComfyUI.

    Raises:
        SetupError: there is none and it cannot be fetched.
    """
    return locate() or _clone(_HOME.expanduser())


def is_comfyui(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy").is_dir()


def _in_custom_nodes(pack: Path) -> bool:
    return pack.parent.name == "custom_nodes"


def _clone(target: Path) -> Path:
    if target.exists():
        raise SetupError(f"{target} is in the way: it is no ComfyUI. Move it. Or: {_CURE}")
    git = shutil.which("git")
    if git is None:
        raise SetupError(f"No ComfyUI was found, and no git to fetch one with. {_CURE}")
    print(f"No ComfyUI was found; fetching one into {target} ...", flush=True)
    # A clone that is cut off must not be taken for a ComfyUI the next time.
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [git, "clone", "--depth", "1", REPOSITORY, str(partial)]
    # git must not wait for a password that nobody can type
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    cloned = subprocess.run(command, check=False, env=env, stdin=subprocess.DEVNULL)
    if cloned.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        raise SetupError(f"git could not fetch {REPOSITORY}; its own words are above. {_CURE}")
    partial.rename(target)
    return target
