"""Run test cases with ComfyUI's modules and the pack imported, without a server.

pytest never imports ComfyUI (both have modules named ``nodes`` and ``tests``), so the functions of
a file in ``cases`` run in one fresh interpreter, and what they return comes back as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.comfyui import python_of

HERE = Path(__file__).resolve().parent
_TIMEOUT = 280  # seconds, below pytest's own limit


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


def run_cases(
    name: str,
    comfy_path: Path,
    work: Path,
    *,
    arguments: Sequence[str] = ("--cpu",),
) -> Results:
    """Run every ``case_*`` function of ``cases/<name>.py`` inside ComfyUI.

    Args:
        name: the file's name without its ending.
        comfy_path: the folder with ComfyUI's main.py.
        work: an empty folder; ComfyUI's base directory, and the current one of the cases.
        arguments: ComfyUI's command line.
    """
    work.mkdir(parents=True, exist_ok=True)
    answer = work / "answer.json"
    command = [python_of(comfy_path), HERE / "runner.py", comfy_path, name, answer]
    done = subprocess.run(
        [*command, "--base-directory", work, *arguments],
        cwd=work,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_TIMEOUT,
        check=False,
    )
    if not answer.exists():
        raise AssertionError(f"cases/{name}.py ended with {done.returncode}\n{done.stdout}")
    read = json.loads(answer.read_text())
    return Results(returned=read["returned"], failed=read["failed"], log=done.stdout)
