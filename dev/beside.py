"""Virtual environments beside ``.venv``; what they do not hold (torch above all) is taken from it.

Where ``ComfyUI-<version>`` lies beside ComfyUI, tests run in it too: each version has an
environment with what it requires. The benchmark has one for the code that it compares with.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from itertools import pairwise
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
    make_beside(_folder(comfyui), ["-r", str(comfyui / "requirements.txt")], what=comfyui.name)


def make_beside(folder: Path, arguments: Sequence[str], *, what: str) -> Path:
    """Make an environment in ``folder`` that shares ``.venv``, once for what it shall hold.

    Args:
        folder: of the environment.
        arguments: for pip install: requirements, or ``-r`` and a file of them.
        what: who needs them, for messages.

    Returns:
        Its Python.

    Raises:
        SetupError: something could not be installed.
    """
    stamp, python = folder / _STAMP, _python_in(folder)
    fingerprint = _fingerprint(arguments)
    if python.exists() and stamp.exists() and stamp.read_text() == fingerprint:
        return python
    print(f"Installing what {what} needs into {folder} ...", flush=True)
    venv.EnvBuilder(with_pip=False, clear=True, symlinks=os.name != "nt").create(folder)
    site_packages = _asked(python)
    (Path(site_packages) / _LINK).write_text(f"{_asked(PYTHON)}\n", encoding="utf-8")
    pip = [str(PYTHON), "-m", "pip", "--python", str(python), "install", *arguments]
    if call(pip) != 0:
        raise SetupError(f"pip could not install what {what} requires; its words are above.")
    stamp.write_text(fingerprint)
    return python


def _fingerprint(arguments: Sequence[str]) -> str:
    """Of the requirements: a file's content, whatever its path, else the words themselves."""
    files = [Path(a) for flag, a in pairwise(arguments) if flag == "-r"]
    parts = [file.read_bytes() for file in files] or ["\n".join(arguments).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _folder(comfyui: Path) -> Path:
    return ROOT / f".venv-{comfyui.name}"


def _python(comfyui: Path) -> Path:
    return _python_in(_folder(comfyui))


def _python_in(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _asked(python: Path) -> str:
    """The folder of a Python's packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return subprocess.run(
        [str(python), "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
