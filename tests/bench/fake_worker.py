"""A worker with fixed timings and results, which fails at two stages of the published code."""

from __future__ import annotations

import os
import pickle
import shutil
import sys

from bench.messages import Failure, Load, Measurement
from bench.stages import Stage

SECONDS = {"ours": 1.0, "published": 3.0}


def main(name: str) -> None:
    requests, responses = sys.stdin.buffer, sys.stdout.buffer
    job = pickle.load(requests)
    runs = 0
    while True:
        request = pickle.load(requests)
        stage = None if isinstance(request, Load) else request.stage
        if name == "published" and stage is Stage.VOCODER:
            print("about to exit", file=sys.stderr, flush=True)
            os._exit(7)
        if name == "published" and stage is Stage.CLIP:
            response = Failure(reason="no CLIP here")
        else:
            response = Measurement(
                seconds=SECONDS[name] * (10 if runs == 0 else 1),
                cpu_seconds=SECONDS[name],
                rss_mb=100.0,
                added_mb=5.0,
                device_mb=None,
            )
        if not isinstance(request, Load):
            runs += 1
            with (job.out / "order.txt").open("a") as file:
                file.write(f"{name} {request.stage.value}\n")
            if request.save_to:
                shutil.copy(job.out / f"result_of_{name}", request.save_to)
        pickle.dump(response, responses)
        responses.flush()


if __name__ == "__main__":
    main(sys.argv[1])
