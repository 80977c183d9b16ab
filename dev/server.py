"""A real ComfyUI, headless, in a process of its own, with this pack as its only custom node."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from .beside import python_of
from .client import ComfyClient
from .environment import ROOT

ALIAS = "mmaudio_native"
_START_SECONDS = 300
_STOP_SECONDS = 20
_MAX_UPLOAD_MB = 16_384
# What a copy of the pack leaves behind, where folders cannot be linked.
_NOT_THE_PACK = shutil.ignore_patterns(
    ".*", "__pycache__", "bench", "dev", "dev.py", "out", "tests"
)


class ServerError(Exception):
    """ComfyUI did not start, or is gone; the message ends with its log's last lines."""


class ComfyServer:
    """ComfyUI on a free port of 127.0.0.1, run by this very Python.

    What it reads and writes is in ``folder``: ``input``, ``output``, ``temp``, ``user``,
    ``server.log``, and ``models`` unless ``own_models``. Works as a context manager.

    Args:
        comfyui: the folder with ComfyUI's ``main.py``.
        folder: made where it is missing.
        pack: the custom node's folder, seen by ComfyUI under the name ``ALIAS``.
        own_models: use (and download into) ComfyUI's own ``models``, with what its
            ``extra_model_paths.yaml`` adds, instead of ``folder/models``.
        output: where results go, instead of ``folder/output``.
        cpu: compute on the CPU.
        arguments: more arguments for ``main.py``.
        env: more environment variables.
    """

    def __init__(
        self,
        comfyui: Path,
        folder: Path,
        *,
        pack: Path = ROOT,
        own_models: bool = False,
        output: Path | None = None,
        cpu: bool = True,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.comfyui = comfyui
        self.folder = folder
        self.pack = pack
        self.input = folder / "input"
        self.output = output or folder / "output"
        self.temp = folder / "temp"
        self.models = (comfyui if own_models else folder) / "models"
        self.log = folder / "server.log"
        self.own_models = own_models
        self.cpu = cpu
        self.arguments = tuple(arguments)
        self.env = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        if self._url is None:
            raise ServerError("ComfyUI has no URL before start() was called.")
        return self._url

    @property
    def client(self) -> ComfyClient:
        return ComfyClient(self.url)

    def __enter__(self) -> ComfyServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start ComfyUI, and return when it answers.

        Raises:
            ServerError: it ended, or did not answer in 300 s.
        """
        for folder in (self.input, self.output, self.folder / "user", self.folder / "custom_nodes"):
            folder.mkdir(parents=True, exist_ok=True)
        link_pack(self.pack, self.folder / "custom_nodes" / ALIAS)
        port = _free_port()
        self._url = f"http://127.0.0.1:{port}"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(port),
                cwd=self.comfyui,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, and wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log_text(self) -> str:
        """Everything ComfyUI has logged so far."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log_text().splitlines()[-lines:])

    def _command(self, port: int) -> list[str]:
        command = [python_of(self.comfyui), "main.py", "--listen", "127.0.0.1", "--port", str(port)]
        if not self.own_models:
            command += ["--base-directory", str(self.folder)]
        command += ["--input-directory", str(self.input)]
        command += ["--output-directory", str(self.output)]
        command += ["--temp-directory", str(self.folder)]  # ComfyUI appends "temp"
        command += ["--user-directory", str(self.folder / "user")]
        command += ["--database-url", "sqlite:///:memory:"]
        command += ["--max-upload-size", str(_MAX_UPLOAD_MB)]
        command += ["--extra-model-paths-config", str(self._paths_config())]
        # other packs may lie beside this one, or in folders of the user's configuration
        command += ["--disable-all-custom-nodes", "--whitelist-custom-nodes", ALIAS]
        command += ["--cpu"] if self.cpu else []
        return [*command, *self.arguments]

    def _paths_config(self) -> Path:
        path = self.folder / "extra_model_paths.yaml"
        # JSON strings are YAML strings, whatever a path holds
        nodes = json.dumps(str(self.folder / "custom_nodes"))
        path.write_text(f"pack:\n  custom_nodes: {nodes}\n", encoding="utf-8")
        return path

    def _wait(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if not self.running:
                raise ServerError(f"ComfyUI ended at its start. {self.log}:\n{self.log_tail()}")
            try:
                self.client.system_stats()
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
            else:
                return
        raise ServerError(
            f"ComfyUI did not answer in {_START_SECONDS} s. {self.log}:\n{self.log_tail()}"
        )


def link_pack(pack: Path, link: Path) -> None:
    """Make ``pack`` visible as ``link``; as a copy where folders cannot be linked."""
    if link.is_symlink():
        link.unlink()
    elif link.exists():
        shutil.rmtree(link)
    try:
        link.symlink_to(pack, target_is_directory=True)
    except OSError:  # Windows, without the right to make links
        shutil.copytree(pack, link, ignore=_NOT_THE_PACK)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
