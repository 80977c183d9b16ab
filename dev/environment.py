"""The virtual environment in ``.venv``, and side environments that add packages to it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TORCH = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0")
# On Windows, PyPI's torch has no CUDA.
_CUDA_WHEELS = ("--extra-index-url", "https://download.pytorch.org/whl/cu130")
_OLDEST_PYTHON = (3, 10)
_STAMP = "dev-requirements.sha256"
_LINK = "zz_shared.pth"  # sorted last, so a side environment's own packages take precedence
_SHUTDOWN_SECONDS = 15


class SetupError(Exception):
    """A problem that the user has to fix; the message says how."""


def python_in(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


PYTHON = python_in(VENV)


def check_python() -> None:
    """Raises SetupError if the running Python is too old."""
    if sys.version_info < _OLDEST_PYTHON:
        raise SetupError(
            f"got Python {sys.version.split()[0]} at {sys.executable}, expected 3.10 or later. Run "
            "dev.py with a newer one."
        )


def ensure_env(comfyui: Path) -> None:
    """Install the requirements of this pack, its tests and ``comfyui`` into ``.venv``.

    Does nothing if they have not changed since the last time.

    Raises:
        SetupError: the environment could not be created or filled.
    """
    cuda = _CUDA_WHEELS if os.name == "nt" and shutil.which("nvidia-smi") else ()
    arguments = [*TORCH, *cuda]
    for folder, name in (
        (comfyui, "requirements.txt"),
        (ROOT, "requirements.txt"),
        (ROOT, "requirements-dev.txt"),
    ):
        arguments += ["-r", str(folder / name)]
    if is_current(VENV, arguments):
        return
    if not PYTHON.exists() or call([PYTHON, "-m", "pip", "--version"]) != 0:
        _create(VENV, with_pip=True)
    print(f"Installing into {VENV} (several GB the first time) ...", flush=True)
    _install(VENV, ["install", *arguments], arguments)


def ensure_side_env(folder: Path, arguments: Sequence[str], *, purpose: str) -> Path:
    """Install packages into a side environment; packages it lacks come from ``.venv``.

    Args:
        folder: of the side environment.
        arguments: of ``pip install``.
        purpose: what the packages are for, for messages.

    Returns:
        Its interpreter.

    Raises:
        SetupError: the environment could not be created or filled.
    """
    python = python_in(folder)
    if not is_current(folder, arguments):
        print(f"Installing the requirements of {purpose} into {folder} ...", flush=True)
        if not python.exists():
            _create(folder, with_pip=False)
        (_site_packages(python) / _LINK).write_text(f"{_site_packages(PYTHON)}\n", "utf-8")
        _install(folder, ["--python", str(python), "install", *arguments], arguments)
    return python


def is_current(folder: Path, arguments: Sequence[str] | None = None) -> bool:
    """Whether an environment was filled completely, with exactly ``arguments`` if given."""
    stamp = folder / _STAMP
    if not python_in(folder).exists() or not stamp.exists():
        return False
    return arguments is None or stamp.read_text() == _fingerprint(arguments)


def call(command: Sequence[str | Path], *, cwd: Path = ROOT) -> int:
    """Run a command without stdin and return its exit code."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # Ctrl+C reached the child too: give it time to shut down
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_SHUTDOWN_SECONDS)
        raise
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _install(folder: Path, pip_arguments: Sequence[str], requirements: Sequence[str]) -> None:
    code = call([PYTHON, "-m", "pip", *pip_arguments])
    if code != 0:
        raise SetupError(
            f"pip exited with code {code}; its messages are above. Check the network and the free "
            f"disk space, delete {folder} if it is broken, and run this again."
        )
    (folder / _STAMP).write_text(_fingerprint(requirements))


def _fingerprint(arguments: Sequence[str]) -> str:
    """SHA-256 of pip's arguments, with the content of requirements files instead of their paths."""
    files = [file for flag, file in pairwise(arguments) if flag == "-r"]
    digest = hashlib.sha256("\n".join(a for a in arguments if a not in ("-r", *files)).encode())
    for file in files:
        digest.update(b"\0" + Path(file).read_bytes())
    return digest.hexdigest()


def _create(folder: Path, *, with_pip: bool) -> None:
    print(f"Creating a virtual environment in {folder} ...", flush=True)
    builder = venv.EnvBuilder(with_pip=with_pip, clear=folder.exists(), symlinks=os.name != "nt")
    try:
        builder.create(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(
            f"cannot create a virtual environment in {folder}: {error}. On Debian and Ubuntu, "
            "install the package python3-venv; otherwise check that the folder is writable."
        ) from error


def _site_packages(python: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    command = [str(python), "-c", code]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
