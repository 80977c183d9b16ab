"""The peak memory of reading a large picture does not depend on the length of the video."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest

from .made_videos import steady, write_video

_ALLOWED = 200  # MB more than importing and reading a small video take
_SCRIPT = """
import sys, torch
from fractions import Fraction
from mmaudio_core.media import FrameReader, align_masks, open_source

def megabytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name)) / 1024

torch.set_num_threads(1)
small, large = sys.argv[1:]
mask = torch.rand(1, 270, 480)
def read(path):
    open_source(path).info
    masks = align_masks(mask, (), Fraction(0), Fraction(1))
    return sum(len(chunk.sync) for chunk in FrameReader(path, masks=masks, chunk_seconds=1))
read(small)
before = megabytes("VmRSS")
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")
frames = read(large)
print(frames, megabytes("VmHWM") - before)
"""


@pytest.fixture(scope="module")
def second_of_hd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "second.mp4"
    options = {"preset": "ultrafast", "bf": "2", "refs": "4", "g": "30"}
    write_video(path, steady(25, 25), size=(1920, 1080), options=options)
    return path


def repeated(path: Path, times: int) -> Path:
    """A longer video: the same packets, repeated."""
    longer = path.with_name(f"{times}.mp4")
    with av.open(path) as source, av.open(longer, "w") as output:
        stream = source.streams.video[0]
        copy = output.add_stream_from_template(stream, opaque=True)
        packets = [packet for packet in source.demux(stream) if packet.size]
        assert stream.time_base is not None
        second = int(1 / stream.time_base)
        for number in range(times):
            for packet in packets:
                assert packet.pts is not None and packet.dts is not None
                shifted = av.Packet(bytes(packet))
                shifted.pts, shifted.dts = (
                    packet.pts + number * second,
                    packet.dts + number * second,
                )
                shifted.time_base = packet.time_base
                shifted.duration = packet.duration or second // 25  # 0 before PyAV 15
                shifted.is_keyframe = packet.is_keyframe
                shifted.stream = copy
                output.mux(shifted)
    return longer


def read_in_process(small: Path, large: Path) -> tuple[int, float]:
    """Read a video in a new process; returns the frames read and the megabytes it took."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(small), str(large)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    frames, megabytes = done.stdout.split()
    return int(frames), float(megabytes)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_does_not_grow_with_the_length(second_of_hd: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.mp4"
    write_video(small, steady(25, 25))
    frames, short = read_in_process(small, repeated(second_of_hd, 2))
    assert frames == 50
    frames, long = read_in_process(small, repeated(second_of_hd, 4))
    assert frames == 100
    assert max(short, long) < _ALLOWED
    assert long < short + 60


def test_repeated(second_of_hd: Path) -> None:
    with av.open(repeated(second_of_hd, 3)) as container:
        stream = container.streams.video[0]
        assert stream.frames == 75
        assert abs(Fraction(container.duration or 0, av.time_base) - 3) < Fraction(1, 10)
