"""A worker seen from the process that compares: started, asked, ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from dev.environment import ROOT

from .clock import Measured
from .job import Job
from .stages import Stage

_LOG_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Why there is no figure."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class SideSpec:
    """A side to start: its name, the Python that has what it imports, and what it takes part in."""

    name: str
    python: str
    module: str = "bench.worker"
    stages: tuple[Stage, ...] = tuple(Stage)


class WorkerProcess:
    """A side at work; a context manager."""

    def __init__(self, spec: SideSpec, job: Job) -> None:
        self.name = spec.name
        self.stages = spec.stages
        self.log = Path(job.out) / f"{spec.name}.log"
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "HF_HUB_OFFLINE": "1"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [spec.python, "-m", spec.module, spec.name],
                cwd=ROOT,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
            )
        self._send(job.to_json())

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:  # it is gone already
                continue
        self._process.wait()

    def load(self, stages: tuple[Stage, ...]) -> Measured | Failed:
        """Load the networks of ``stages``."""
        return _measured(self._ask({"do": "load", "stages": [stage.value for stage in stages]}))

    def run(self, stage: Stage, keep: Path | None = None) -> Measured | Failed:
        """Run a stage once; ``keep``: where its result goes, if it has one to compare."""
        path = None if keep is None else str(keep)
        return _measured(self._ask({"do": "run", "stage": stage.value, "keep": path}))

    def rates(self, precision: str) -> Mapping[str, Any] | Failed:
        """See ``rates.Rates``."""
        return self._ask({"do": "rates", "precision": precision})

    def floor(self, stage: Stage) -> float | None:
        """Seconds of a stage's limit that has to be measured; see ``floor``."""
        answer = self._ask({"do": "floor", "stage": stage.value})
        return None if isinstance(answer, Failed) else float(answer["seconds"])

    def _ask(self, request: Mapping[str, Any]) -> Mapping[str, Any] | Failed:
        assert self._process.stdout is not None
        if not self._send(request):
            return Failed(reason=self._gone())
        line = self._process.stdout.readline()
        if not line:
            return Failed(reason=self._gone())
        answer = json.loads(line)
        if answer.pop("ok"):
            return answer
        return Failed(reason=answer["reason"])

    def _send(self, message: Mapping[str, Any]) -> bool:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except OSError:
            return False
        return True

    def _gone(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "the process was killed: memory ran out, most likely"
        tail = "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:])
        return f"the process ended with {code}; the end of {self.log}:\n{tail}"


def _measured(answer: Mapping[str, Any] | Failed) -> Measured | Failed:
    return answer if isinstance(answer, Failed) else Measured(**answer)
