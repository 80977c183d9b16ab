"""The benchmark's side of a worker process: starts it, sends requests, ends it."""

from __future__ import annotations

import os
import pickle
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from dev.environment import ROOT

from .job import Job
from .messages import Failure, Measurement, Request

_LOG_LINES = 15


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """An implementation, the Python that has its packages, and the module that runs it."""

    name: str
    python: Path
    module: str = "bench.worker"


class WorkerProcess:
    """A worker process; a context manager that ends it."""

    def __init__(self, spec: WorkerSpec, job: Job) -> None:
        self.name = spec.name
        self._log = job.out / f"{spec.name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [spec.python, "-m", spec.module, spec.name],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._send(job)

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def request(self, request: Request) -> Measurement | Failure:
        """Send a request and wait for the response; a dead process is a ``Failure``."""
        assert self._process.stdout is not None
        self._send(request)
        try:
            return pickle.load(self._process.stdout)
        except EOFError:
            return Failure(reason=self._exit_reason())

    def _send(self, message: Job | Request) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # the process is gone, which shows when its response is read

    def _exit_reason(self) -> str:
        code = self._process.wait()
        if code == -9:  # SIGKILL
            return "the process was killed, most likely because memory ran out"
        tail = "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:])
        return f"the process exited with code {code}; the end of {self._log}:\n{tail}"
