"""WebP: frame times of its own, and what is said of what cannot be read."""

from __future__ import annotations

import io
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mmaudio_core.errors import MediaError
from mmaudio_core.features.visual import TimeRange, VideoClip, extract_visual_features
from mmaudio_core.media import FrameReader, frame_times, probe, still_image
from mmaudio_core.media.webp import is_webp

from .made_videos import expected_picks, numbered, numbers
from .small import MemoryNetworks

F = Fraction


def animation(path: Path, lengths: list[int], **options: Any) -> Path:
    """``numbered`` frames, each staying for so many milliseconds."""
    frames = [Image.fromarray(numbered(n)) for n in range(len(lengths))]
    rest = frames[1:]
    frames[0].save(path, save_all=True, append_images=rest, duration=lengths, **options)
    return path


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 60}, {"minimize_size": True}])
def test_frames_are_picked_by_time(options: dict[str, Any], tmp_path: Path) -> None:
    lengths = [40, 80, 10, 33, 200, 41, 41, 500, 120, 77, 5]
    path = animation(tmp_path / "a.webp", lengths, **options)
    times = [F(sum(lengths[:n]), 1000) for n in range(len(lengths))]
    assert frame_times(path) == times
    assert probe(path).duration == F(sum(lengths), 1000)
    assert (probe(path).codec, probe(path).width, probe(path).height) == ("webp", 96, 96)
    for source in (path, io.BytesIO(path.read_bytes())):
        for start in (F(0), F(1, 10), F(4, 5)):
            reader = FrameReader(source, start=start)
            chunks = list(reader)
            assert reader.duration == F(sum(lengths), 1000) - start
            for rate, name in ((8, "clip"), (25, "sync")):
                got = numbers(torch.cat([getattr(chunk, name) for chunk in chunks]))
                assert len(got) == int(rate * reader.duration)
                moved = [time - start for time in times]
                assert got == expected_picks(moved, rate, len(got))


def test_a_frame_of_no_length_stays_a_tenth_of_a_second(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp", [0, 0, 0], lossless=True)
    assert frame_times(path) == [F(0), F(1, 10), F(1, 5)]
    assert probe(path).duration == F(3, 10)


def test_a_still_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    for lossless in (False, True):
        Image.fromarray(numbered(5)).save(path, lossless=lossless)
        image = still_image(path)
        assert image is not None and image.shape == (96, 96, 3)
        assert numbers(image.permute(2, 0, 1)[None] * 255) == [5]
        seen = extract_visual_features(
            MemoryNetworks(), VideoClip(source=path), TimeRange(duration=F(2))
        )
        assert seen.features.duration == 2
        assert seen.features.sync is None
        assert seen.features.clip is not None and seen.features.clip.shape[1] == 1
    assert still_image(animation(path, [40, 40])) is None


def test_a_broken_tail_ends_the_video(tmp_path: Path) -> None:
    whole = animation(tmp_path / "a.webp", [100] * 20, lossless=True).read_bytes()
    path = tmp_path / "b.webp"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    reader = FrameReader(path)
    clip = numbers(torch.cat([chunk.clip for chunk in reader]))
    assert F(1) < probe(path).duration == reader.duration < F(3, 2)
    assert clip == expected_picks([F(n, 10) for n in range(20)], 8, len(clip))
    path.write_bytes(whole[:40])
    for read in (probe, lambda source: list(FrameReader(source))):
        with pytest.raises(MediaError, match=r"b.webp' holds no whole frame; expected a whole"):
            read(path)


def test_damage_is_told(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp", [100] * 4, lossless=True)
    data = bytearray(path.read_bytes())
    place = data.index(b"VP8L") + 8
    data[place : place + 20] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"no frame of .*a.webp' could be decoded .*; expected a"):
        list(FrameReader(path))


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The length is known all the same, and the error says what to install."""
    path = animation(tmp_path / "a.webp", [100] * 4)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert probe(path).duration == F(2, 5)
    with pytest.raises(MediaError, match=r"Pillow is not installed; .* Run pip install pillow"):
        list(FrameReader(path))


def test_what_is_webp(tmp_path: Path) -> None:
    (tmp_path / "b.webp").write_bytes(b"RIFF\0\0\0\0AVI LIST")
    assert not is_webp(tmp_path / "b.webp")
    assert not is_webp(tmp_path / "nothing.webp")
    path = animation(tmp_path / "c.webp", [40], lossless=True)
    assert is_webp(path.rename(tmp_path / "c.mp4"))
