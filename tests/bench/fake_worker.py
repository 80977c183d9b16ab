"""A side that takes no time, makes known results, and fails where it is told to."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

SECONDS = {"ours": 1.0, "published": 3.0}


def main(name: str) -> None:
    job = json.loads(sys.stdin.readline())
    order = Path(job["out"]) / "order.txt"
    runs = 0
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "rates":
            answer = {"ok": True, "precision": request["precision"], "flops": 1e12, "bytes": 1e10}
        elif request["do"] == "floor":
            answer = {"ok": True, "seconds": 0.5}
        elif request.get("stage") == "clip" and name == "published":
            answer = {"ok": False, "reason": "no CLIP here"}
        elif request.get("stage") == "vocoder" and name == "published":
            print("about to go", file=sys.stderr, flush=True)
            os._exit(7)
        else:
            if request["do"] == "run":
                with order.open("a") as file:
                    file.write(f"{name} {request['stage']}\n")
                if request["keep"]:
                    shutil.copy(Path(job["out"]) / f"made_by_{name}", request["keep"])
            answer = {
                "ok": True,
                "seconds": SECONDS[name] * (10 if runs == 0 else 1),
                "cpu_seconds": SECONDS[name],
                "rss_mb": 100.0,
                "added_mb": 5.0,
                "device_mb": None,
            }
            runs += request["do"] == "run"
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
