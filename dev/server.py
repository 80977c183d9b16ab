"""Runs a headless ComfyUI in its own process, with this pack as its only custom node."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import requests

from .client import ComfyClient
from .comfyui import python_of
from .environment import ROOT

ALIAS = "mmaudio-native"
_START_SECONDS = 300
_STOP_SECONDS = 20
_MAX_UPLOAD_MB = 16_384
# Not copied where folders cannot be linked.
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "bench", "dev", "dev.py", "out", "tests")


class ServerError(Exception):
    """ComfyUI did not start; the message ends with the last lines of its log."""


class ComfyServer:
    """ComfyUI on a free port of 127.0.0.1; a context manager that starts and stops it.

    Its files are in ``folder``: ``input``, ``output``, ``temp``, ``user``, ``server.log``, and
    ``models`` unless ``own_models``.

    Args:
        comfyui: folder of ComfyUI's ``main.py``.
        folder: created if it does not exist.
        own_models: use (and download into) ComfyUI's ``models`` and the folders that its
            ``extra_model_paths.yaml`` adds, instead of ``folder/models``.
        output: folder for results, instead of ``folder/output``.
        cpu: compute on the CPU.
        arguments: further arguments of ``main.py``.
        env: further environment variables.
        tls: files of a key, its certificate and the authority that signed it: serve https.
    """

    def __init__(
        self,
        comfyui: Path,
        folder: Path,
        *,
        own_models: bool = False,
        output: Path | None = None,
        cpu: bool = True,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        tls: tuple[Path, Path, Path] | None = None,
    ) -> None:
        self.comfyui = comfyui
        self.folder = folder
        self.input = folder / "input"
        self.output = output or folder / "output"
        self.temp = folder / "temp"
        self.models = (comfyui if own_models else folder) / "models"
        self.log = folder / "server.log"
        self.own_models = own_models
        self._cpu = cpu
        self._arguments = arguments
        self._env = env or {}
        self._tls = tls
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def client(self) -> ComfyClient:
        return ComfyClient(self.url, self._tls and self._tls[2])

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the server, which runs."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End the server without giving it a chance to clean up, as a crash does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> ComfyServer:
        """Start ComfyUI and wait until it answers.

        Raises:
            ServerError: it exited, or did not answer within 300 s.
        """
        for folder in (self.input, self.output, self.folder / "user", self.folder / "custom_nodes"):
            folder.mkdir(parents=True, exist_ok=True)
        _link_pack(self.folder / "custom_nodes" / ALIAS)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.comfyui,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **self._env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def log_text(self) -> str:
        """Everything ComfyUI has logged so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log_text().splitlines()[-lines:])

    def _command(self) -> list[str]:
        main = [str(python_of(self.comfyui)), "main.py"]
        base = [] if self.own_models else ["--base-directory", str(self.folder)]
        options = {
            "--listen": "127.0.0.1",
            "--port": str(self._port),
            "--input-directory": str(self.input),
            "--output-directory": str(self.output),
            "--temp-directory": str(self.folder),  # ComfyUI appends "temp"
            "--user-directory": str(self.folder / "user"),
            "--database-url": "sqlite:///:memory:",
            "--max-upload-size": str(_MAX_UPLOAD_MB),
            "--extra-model-paths-config": str(self._write_paths_config()),
        }
        command = [*main, *base, *(part for option in options.items() for part in option)]
        # other packs may be installed beside this one or listed in the user's configuration
        command += ["--disable-all-custom-nodes", "--whitelist-custom-nodes", ALIAS]
        command += ["--cpu"] if self._cpu else []
        if self._tls:
            key, certificate, _ = map(str, self._tls)
            command += ["--tls-keyfile", key, "--tls-certfile", certificate]
        return [*command, *self._arguments]

    def _write_paths_config(self) -> Path:
        path = self.folder / "extra_model_paths.yaml"
        # a JSON string is a YAML string, whatever characters the path contains
        nodes = json.dumps(str(self.folder / "custom_nodes"))
        path.write_text(f"pack:\n  custom_nodes: {nodes}\n", encoding="utf-8")
        return path

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if not self.running:
                raise ServerError(f"ComfyUI exited during startup. {self.log}:\n{self.log_tail()}")
            try:
                self.client.system_stats()
            except requests.RequestException:
                time.sleep(0.2)
            else:
                return
        raise ServerError(
            f"ComfyUI did not answer within {_START_SECONDS} s. {self.log}:\n{self.log_tail()}"
        )

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _link_pack(link: Path) -> None:
    """Link this repository as ``link``, or copy it where folders cannot be linked."""
    if link.is_symlink():
        link.unlink()
    elif link.exists():
        shutil.rmtree(link)
    try:
        link.symlink_to(ROOT, target_is_directory=True)
    except OSError:  # Windows, without the right to create links
        shutil.copytree(ROOT, link, ignore=_NOT_COPIED)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
