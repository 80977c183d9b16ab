"""More versions of ComfyUI: where ``ComfyUI-<version>`` lies beside ComfyUI, tests run in it too.

Each has a virtual environment of its own, with what that version requires; everything it does not
require otherwise (torch above all) it takes from ``.venv``.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

from .comfyui import is_comfyui
from .environment import PYTHON, ROOT, SetupError, call

_STAMP = "dev-requirements.sha256"
_LINK = "zz_shared.pth"  # read last: what this environment has itself comes first


def others(comfyui: Path) -> list[Path]:
    """The further versions that lie beside ``comfyui``."""
    found = sorted(comfyui.parent.glob(f"{comfyui.name}-*"))
    return [folder for folder in found if is_comfyui(folder)]


def python_of(comfyui: Path) -> str:
    """The Python that ComfyUI runs with: of its own environment, or this very one."""
    own = _python(comfyui)
    return str(own) if own.exists() else sys.executable


def is_set_up(comfyui: Path) -> bool:
    """Whether ``set_up`` has made an environment for it."""
    return _python(comfyui).exists() and (_folder(comfyui) / _STAMP).exists()


def set_up(comfyui: Path) -> None:
    """Make the environment of a further version, once for its requirements.

    Raises:
        SetupError: something could not be installed.
    """
    folder, requirements = _folder(comfyui), comfyui / "requirements.txt"
    stamp, python = folder / _STAMP, _python(comfyui)
    fingerprint = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == fingerprint:
        return
    print(f"Installing what {comfyui.name} needs into {folder} ...", flush=True)
    venv.EnvBuilder(with_pip=False, clear=True, symlinks=os.name != "nt").create(folder)
    site_packages = _asked(python)
    (Path(site_packages) / _LINK).write_text(f"{_asked(PYTHON)}\n", encoding="utf-8")
    pip = [str(PYTHON), "-m", "pip", "--python", str(python), "install", "-r", str(requirements)]
    if call(pip) != 0:
        raise SetupError(f"pip could not install what {comfyui} requires; its words are above.")
    stamp.write_text(fingerprint)


def _folder(comfyui: Path) -> Path:
    return ROOT / f".venv-{comfyui.name}"


def _python(comfyui: Path) -> Path:
    return _folder(comfyui) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _asked(python: Path) -> str:
    """The folder of a Python's packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return subprocess.run(
        [str(python), "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
