"""WebP: frame times, still images, and errors of files that cannot be read."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from mmaudio_core.errors import MediaError
from mmaudio_core.features.visual import TimeRange, VideoClip, extract_visual_features
from mmaudio_core.media import FrameReader, VideoFile, open_source
from mmaudio_core.media.webp import WebPFile

from .made_videos import expected_picks, numbered, numbers
from .small import MemoryNetworks

F = Fraction


def animation(path: Path, lengths: list[int], **options: Any) -> Path:
    """``numbered`` frames with some noise, each shown for so many milliseconds."""
    noise = np.random.default_rng(0)
    frames = [
        Image.fromarray(numbered(n) + noise.integers(0, 20, (96, 96, 3), np.uint8))
        for n in range(len(lengths))
    ]
    rest = frames[1:]
    frames[0].save(path, save_all=True, append_images=rest, duration=lengths, **options)
    return path


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("orientation", range(1, 10))
def test_the_orientation_of_a_camera(orientation: int, count: int, tmp_path: Path) -> None:
    """As Pillow turns it; 9 is none."""
    frames = [Image.fromarray(numbered(n, 96, 60)) for n in range(8, 8 + count)]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.webp"
    rest = {"save_all": True, "append_images": frames[1:], "duration": 100} if count > 1 else {}
    frames[0].save(path, exif=exif, lossless=True, **rest)
    source = open_source(path)
    got = [frame.rgb() for frame in source.frames()]
    for frame, rgb in zip(frames, got, strict=True):
        frame.getexif()[0x0112] = orientation
        expected = np.array(ImageOps.exif_transpose(frame))
        assert torch.equal(rgb, torch.from_numpy(expected))
        assert (source.info.height, source.info.width) == expected.shape[:2]


def test_a_broken_orientation_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    Image.fromarray(numbered(8, 96, 60)).save(path, exif=b"Exif\0\0broken", lossless=True)
    (frame,) = open_source(path).frames()
    assert torch.equal(frame.rgb(), torch.from_numpy(numbered(8, 96, 60)))


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 60}, {"minimize_size": True}])
def test_frames_are_picked_by_time(options: dict[str, Any], tmp_path: Path) -> None:
    lengths = [40, 80, 10, 33, 200, 41, 41, 500, 120, 77, 5]
    path = animation(tmp_path / "a.webp", lengths, **options)
    times = [F(sum(lengths[:n]), 1000) for n in range(len(lengths))]
    assert open_source(path).frame_times() == times
    assert open_source(path).info.duration == F(sum(lengths), 1000)
    info = open_source(path).info
    assert (info.codec, info.width, info.height) == ("webp", 96, 96)
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


def test_a_frame_of_duration_0_lasts_a_tenth_of_a_second(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp", [0, 0, 0], lossless=True)
    assert open_source(path).frame_times() == [F(0), F(1, 10), F(1, 5)]
    assert open_source(path).info.duration == F(3, 10)


def test_a_still_image_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    for lossless in (False, True):
        Image.fromarray(numbered(5)).save(path, lossless=lossless)
        image = open_source(path).still_image
        assert image is not None and image.shape == (96, 96, 3)
        assert numbers(image.permute(2, 0, 1)[None] * 255) == [5]
        if lossless:
            assert torch.equal(image, torch.from_numpy(numbered(5)).float() / 255)
        seen = extract_visual_features(
            MemoryNetworks(), VideoClip(source=path), TimeRange(duration=F(2))
        )
        assert seen.features.duration == 2
        assert seen.features.sync is None
        assert seen.features.clip is not None and seen.features.clip.shape[1] == 1
    assert open_source(animation(path, [40, 40])).still_image is None


def read_info(path: Path) -> None:
    _ = open_source(path).info


def read_frames(path: Path) -> None:
    list(FrameReader(path))


def damage_frame(path: Path, number: int) -> None:
    """Overwrite a part of a lossless frame after its header of 5 bytes."""
    data = bytearray(path.read_bytes())
    place = -1
    for _ in range(number + 1):
        place = data.index(b"VP8L", place + 1)
    data[place + 13 : place + 33] = b"\xff" * 20
    path.write_bytes(data)


@pytest.mark.parametrize("read", [read_info, read_frames])
@pytest.mark.parametrize("kept", [40, 2000])
def test_a_file_that_is_cut_off_is_refused(
    read: Callable[[Path], None], kept: int, tmp_path: Path
) -> None:
    whole = animation(tmp_path / "a.webp", [100] * 40, lossless=True).read_bytes()
    assert len(whole) > kept
    path = tmp_path / "b.webp"
    path.write_bytes(whole[:kept])
    with pytest.raises(MediaError, match=r"b.webp' cannot be read \(.*\); expected a whole WebP"):
        read(path)


@pytest.mark.parametrize("read", [read_info, read_frames])
def test_no_frame_decodes(read: Callable[[Path], None], tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp", [100] * 4, lossless=True)
    damage_frame(path, 0)
    with pytest.raises(MediaError, match=r"no frame of .*a.webp' could be decoded .*; expected a"):
        read(path)


def test_a_damaged_frame_ends_the_animation(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp", [100] * 20, lossless=True)
    damage_frame(path, 12)
    reader = FrameReader(path)
    clip = numbers(torch.cat([chunk.clip for chunk in reader]))
    assert reader.duration == open_source(path).info.duration == F(12, 10)
    assert clip == expected_picks([F(n, 10) for n in range(12)], 8, 9)


@pytest.mark.parametrize("read", [read_info, read_frames])
def test_an_image_that_is_too_large(
    read: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = animation(tmp_path / "a.webp", [40])
    monkeypatch.setattr("mmaudio_core.media.source.MAX_FRAME_PIXELS", 96 * 95)
    with pytest.raises(MediaError, match=r"got a frame of 96x96 pixels, expected at most"):
        read(path)


@pytest.mark.parametrize("read", [read_info, read_frames])
def test_without_pillow(
    read: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = animation(tmp_path / "a.webp", [100] * 4)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MediaError, match=r"Pillow is not installed; .* Run pip install pillow"):
        read(path)


def test_a_source_is_chosen_by_content(tmp_path: Path) -> None:
    (tmp_path / "b.webp").write_bytes(b"RIFF\0\0\0\0AVI LIST")
    assert isinstance(open_source(tmp_path / "b.webp"), VideoFile)
    assert isinstance(open_source(tmp_path / "nothing.webp"), VideoFile)
    path = animation(tmp_path / "c.webp", [40], lossless=True).rename(tmp_path / "c.mp4")
    source = open_source(path)
    assert isinstance(source, WebPFile)
    assert isinstance(open_source(io.BytesIO(path.read_bytes())), WebPFile)
    assert open_source(source) is source


def test_frames_begin_with_the_one_shown_at_the_start(tmp_path: Path) -> None:
    source = open_source(animation(tmp_path / "a.webp", [100, 200, 300]))
    for start, times in ((F(0), [0, 100, 300]), (F(29, 100), [100, 300]), (F(9), [300])):
        assert [frame.time * 1000 for frame in source.frames(start)] == times
