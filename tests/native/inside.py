"""Run test cases with ComfyUI's modules and the pack imported, without a server.

pytest never imports ComfyUI (both have modules named ``nodes`` and ``tests``), so the functions of
a file in ``cases`` run in a process of their own, and what they return comes back as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from dev.comfyui import python_of

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Results:
    """What the cases of a file returned, or the tracebacks of those that failed."""

    returned: dict[str, Any]
    failed: dict[str, str]
    log: str

    def __call__(self, name: str) -> Any:
        """What ``case_<name>()`` returned; AssertionError with its traceback if it failed."""
        if name in self.failed:
            raise AssertionError(f"case_{name} failed inside ComfyUI\n{self.failed[name]}")
        if name not in self.returned:
            raise AssertionError(f"there is no case_{name}, only {sorted(self.returned)}")
        return self.returned[name]


class Interpreter:
    """A Python that has imported ComfyUI, in whose forks cases run; a context manager.

    Args:
        comfy_path: the folder with ComfyUI's main.py.
        base: ComfyUI's base directory, an empty folder.
    """

    def __init__(self, comfy_path: Path, base: Path) -> None:
        self._comfy_path = comfy_path
        self._base = base
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def run_cases(self, name: str, work: Path) -> Results:
        """Run every ``case_*`` function of ``cases/<name>.py`` inside ComfyUI.

        Args:
            name: the file's name without its ending.
            work: an empty folder; the current one of the cases, and that of ComfyUI's output,
                temp, input and user folders.
        """
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        print(json.dumps([name, str(work)]), file=process.stdin, flush=True)
        ended = process.stdout.readline().strip()
        if not ended or not hasattr(os, "fork"):
            self._stop()
        answer, log = work / "answer.json", work / "log"
        told = (log if log.exists() else self._log).read_text(errors="replace")
        if not answer.exists():
            raise AssertionError(f"cases/{name}.py ended with {ended or 'the interpreter'}\n{told}")
        return Results(**json.loads(answer.read_text()), log=told)

    @property
    def _log(self) -> Path:
        """What was printed while ComfyUI was imported."""
        return self._base / "log"

    def _start(self) -> subprocess.Popen[str]:
        command = [python_of(self._comfy_path), HERE / "runner.py", self._comfy_path]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, "--base-directory", self._base, "--cpu"],
                cwd=self._base,
                env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self._process

    def _stop(self) -> None:
        """Let the process end, for want of more to read."""
        if self._process is not None:
            self._process.communicate()
            self._process = None
