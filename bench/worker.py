"""``python -m bench.worker NAME``: runs one implementation in its own process.

Reads the job, then requests, from stdin, and writes a response to each to stdout, all pickled. See
``process`` for the other side.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import sys
import traceback
from pathlib import Path
from typing import BinaryIO

import torch

from .clock import Clock
from .implementations import CannotRunError, Implementation, Run, create
from .inputs import Inputs
from .job import Job
from .messages import Failure, Load, Measurement, Request
from .stages import Stage
from .weights import open_bundle


class Worker:
    """Answers requests for the implementation ``name``."""

    def __init__(self, name: str, job: Job) -> None:
        self._name = name
        self._job = job
        self._device = torch.device(job.device)
        self._implementation: Implementation | None = None
        self._runs: dict[Stage, Run] = {}

    def respond(self, request: Request) -> Measurement | Failure:
        """Do what ``request`` says; an error becomes a ``Failure``."""
        try:
            if isinstance(request, Load):
                return self._load(request.stages)
            return self._run(request.stage, request.save_to)
        except CannotRunError as error:
            return Failure(reason=str(error))
        except (MemoryError, torch.OutOfMemoryError) as error:
            return Failure(reason=f"out of memory: {_first_line(error)}")
        except Exception as error:
            traceback.print_exc()
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{frame.filename}:{frame.lineno}"
            return Failure(reason=f"{type(error).__name__}: {_first_line(error)} ({where})")

    def _load(self, stages: tuple[Stage, ...]) -> Measurement:
        params = open_bundle(self._job.weights, self._job.variant).params
        inputs = Inputs(job=self._job, flow=params)
        clock = Clock(self._device)
        self._implementation = create(self._name, inputs)
        self._implementation.load(stages)
        return clock.stop()

    def _run(self, stage: Stage, save_to: Path | None) -> Measurement:
        assert self._implementation is not None, "Load comes first"
        if stage not in self._runs:
            self._runs[stage] = self._implementation.prepare(stage)
        gc.collect()
        clock = Clock(self._device)
        result = self._runs[stage](clock)
        measurement = clock.stop()
        if save_to is not None and result is not None:
            torch.save(result.detach().float().cpu(), save_to)
        return measurement


def serve(name: str, requests: BinaryIO, responses: BinaryIO) -> None:
    """Answer requests until there are no more."""
    worker = Worker(name, pickle.load(requests))
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        pickle.dump(worker.respond(request), responses)
        responses.flush()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")


if __name__ == "__main__":
    responses = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the code under test prints goes to the log
    with contextlib.suppress(OSError):  # Linux: if memory runs out, kill this process first
        Path("/proc/self/oom_score_adj").write_text("1000")
    serve(sys.argv[1], sys.stdin.buffer, responses)
