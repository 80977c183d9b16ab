"""``python -m bench.worker SIDE``: one side, in a process of its own, told by lines of JSON.

A request and its answer are one line each. The first request is the job; see ``process``.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import torch

from mmaudio_core.checkpoint import VARIANTS

from .clock import Clock, highest_mb
from .inputs import Inputs
from .job import Job
from .sides.side import CannotRunError, Run, Side
from .stages import Stage
from .weights import published_name


def make_side(name: str, job: Job) -> Side:
    """The side of that name; only its own code is imported."""
    if name == "ours":
        from .sides.ours import Ours

        return Ours(job)
    if name == "published":
        from .sides.published import Published

        return Published(job)
    if name == "kijai":
        from .sides.kijai import Kijai

        return Kijai(job)
    raise ValueError(f"side {name!r} was got; ours, published or kijai was expected")


class Worker:
    """Answers requests for one side."""

    def __init__(self, name: str, job: Job, make: Callable[[str, Job], Side] = make_side) -> None:
        self._name = name
        self._job = job
        self._make = make
        self._device = torch.device(job.device)
        self._side: Side | None = None
        self._runs: dict[Stage, Run] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What to say to a request; failures are answers too."""
        try:
            return {"ok": True, **self._do(request)}
        except CannotRunError as error:
            return {"ok": False, "reason": str(error)}
        except torch.OutOfMemoryError as error:
            return {"ok": False, "reason": f"out of device memory: {_first_line(error)}"}
        except MemoryError:
            return {"ok": False, "reason": f"out of memory (it held {highest_mb():,.0f} MB)"}
        except Exception as error:
            traceback.print_exc()
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{frame.filename}:{frame.lineno}"
            words = f"{type(error).__name__}: {_first_line(error)} ({where})"
            return {"ok": False, "reason": words}

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "load":
            clock = Clock(self._device)
            self._side = self._make(self._name, self._job)
            self._side.load([Stage(name) for name in request["stages"]])
            return asdict(clock.stop())
        if request["do"] == "rates":
            from .rates import measure_rates

            return asdict(measure_rates(self._device, request["precision"]))
        if request["do"] == "floor":
            return {"seconds": self._floor(Stage(request["stage"]))}
        return self._run(Stage(request["stage"]), request["keep"])

    def _floor(self, stage: Stage) -> float:
        """What libav alone takes for a stage that no network does."""
        from .floor import media_seconds, mux_seconds

        job, video = self._job, Path(self._job.video)
        if stage is Stage.MEDIA:
            return media_seconds(video, job.duration)
        inputs = Inputs(job=job, flow=VARIANTS[published_name(job.variant)].params)
        target = Path(job.out) / "floor.mp4"
        return mux_seconds(video, inputs.waveform, inputs.flow.audio.sample_rate, target)

    def _run(self, stage: Stage, keep: str | None) -> dict[str, Any]:
        assert self._side is not None, "load comes first"
        if stage not in self._runs:
            self._runs[stage] = self._side.prepare(stage)
        gc.collect()
        clock = Clock(self._device)
        made = self._runs[stage](clock)
        measured = clock.stop()
        if keep is not None and made is not None:
            torch.save(made.detach().float().cpu(), Path(keep))
        return asdict(measured)


def main(name: str, requests: TextIO, answers: TextIO) -> None:
    """Answer until the requests end."""
    job = Job.from_json(json.loads(requests.readline()))
    if job.memory_gb and name != "ours":  # which maps files of weights: the limit counts those too
        _limit_memory(job.memory_gb)
    if job.threads:
        torch.set_num_threads(job.threads)
    worker = Worker(name, job)
    for line in requests:
        answers.write(json.dumps(worker.answer(json.loads(line))) + "\n")
        answers.flush()


def _limit_memory(gigabytes: float) -> None:
    """Let allocations beyond that fail, where the system can, before it runs out itself."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limit = int(gigabytes * 1024**3)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"


if __name__ == "__main__":
    # What the code under test prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # If memory runs out, this process is the one to go. Only Linux has the file.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    main(sys.argv[1], sys.stdin, answers)
