"""The virtual environment in ``.venv``: made and filled once, then again when its inputs change."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
TORCH = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0")
# PyPI's torch computes on NVIDIA cards on Linux only.
_CUDA_WHEELS = "https://download.pytorch.org/whl/cu130"
_OLDEST = (3, 10)
_TIDYING_SECONDS = 15
_STAMP = VENV / "dev-requirements.sha256"


class SetupError(Exception):
    """Something the user has to put right; the message says how."""


def check_python() -> None:
    """Raises SetupError where the running Python is too old."""
    if sys.version_info < _OLDEST:
        raise SetupError(
            f"Python {sys.version.split()[0]} at {sys.executable} is too old: 3.10 or newer is "
            "needed. Run dev.py with a newer one."
        )


def ensure(comfyui: Path) -> None:
    """Make ``.venv`` hold what this pack, its tests and that ComfyUI need.

    Raises:
        SetupError: something could not be made or installed.
    """
    files = [
        comfyui / "requirements.txt",
        ROOT / "requirements.txt",
        ROOT / "requirements-dev.txt",
    ]
    arguments = [*TORCH, *_wheel_index()]
    fingerprint = _fingerprint(files, arguments)
    if PYTHON.exists() and _STAMP.exists() and _STAMP.read_text() == fingerprint:
        return
    if not _has_pip():
        _create()
    print(f"Installing into {VENV} (several GB the first time) ...", flush=True)
    for file in files:
        arguments += ["-r", str(file)]
    code = call([str(PYTHON), "-m", "pip", "install", *arguments])
    if code != 0:
        raise SetupError(
            f"pip ended with {code}; its own words are above. Check the network and the space on "
            f"the disk, delete {VENV} if it is broken, and run this again."
        )
    _STAMP.write_text(fingerprint)


def call(command: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Run a command in the repository's root, without a stdin; its exit code."""
    merged = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **(env or {})}
    process = subprocess.Popen(command, cwd=ROOT, env=merged, stdin=subprocess.DEVNULL)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # Ctrl+C went to the whole terminal: the command is putting things in order
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_TIDYING_SECONDS)
        raise
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _wheel_index() -> list[str]:
    if os.name == "nt" and shutil.which("nvidia-smi"):
        return ["--extra-index-url", _CUDA_WHEELS]
    return []


def _fingerprint(files: Sequence[Path], arguments: Sequence[str]) -> str:
    digest = hashlib.sha256("\n".join(arguments).encode())
    for file in files:
        digest.update(b"\0" + file.read_bytes())
    return digest.hexdigest()


def _has_pip() -> bool:
    if not PYTHON.exists():
        return False
    command = [str(PYTHON), "-m", "pip", "--version"]
    asked = subprocess.run(command, check=False, capture_output=True)
    return asked.returncode == 0


def _create() -> None:
    print(f"Making a virtual environment in {VENV} ...", flush=True)
    try:
        venv.EnvBuilder(with_pip=True, clear=VENV.exists(), symlinks=os.name != "nt").create(VENV)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(
            f"No virtual environment could be made in {VENV}: {error}. On Debian and Ubuntu, "
            "install the package python3-venv; otherwise check that the folder can be written to."
        ) from error
