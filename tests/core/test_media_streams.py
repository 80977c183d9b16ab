"""Which stream of a file is its picture, and how large it is shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image, features

from mmaudio_core.errors import MediaError
from mmaudio_core.media import ImageSequence, open_source
from mmaudio_core.media.packets import check_restarts
from mmaudio_core.mux import FileOptions, mux_audio

from .made_videos import numbered, numbers, set_display_matrix, steady, write_video

F = Fraction


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "2"}])
def test_a_rotation_of_few_frames(count: int, options: dict[str, str], tmp_path: Path) -> None:
    """The decoder gives none of them before it is flushed; their header knows no rotation."""
    source = tmp_path / "a.mp4"
    write_video(source, steady(count, 25), size=(96, 64), options=options)
    set_display_matrix(source, 0, 1, -1, 0)
    info = open_source(source).info
    assert (info.width, info.height) == (64, 96)
    result = mux_audio(
        source,
        torch.zeros(1, 640 * count),
        16000,
        tmp_path / "out",
        file_options=FileOptions(container="webm"),
    )
    (first, *rest) = open_source(source).frames()
    (encoded, *others) = open_source(result.path).frames()
    assert len(rest) == len(others) == count - 1
    assert (encoded.rgb().float() - first.rgb()).abs().mean() < 4


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
@pytest.mark.parametrize("gray", [False, True])
def test_the_mask_of_an_avif_is_not_its_picture(gray: bool, tmp_path: Path) -> None:
    """Though libav prefers it: it has more bits."""
    noise = np.random.default_rng(0)
    frames = []
    for number in range(4):
        picture = numbered(number, 96, 64)
        alpha = noise.integers(0, 256, (64, 96, 1), np.uint8)
        frames.append(Image.fromarray(np.concatenate([picture, alpha], 2), "RGBA"))
    if gray:
        frames = [frame.convert("LA") for frame in frames]
    path = tmp_path / "a.avif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, quality=90)
    with av.open(path) as container:
        best = container.streams.best("video")
        assert best is not None and best.index == 3
    got = [frame.rgb() for frame in open_source(path).frames()]
    assert len(got) == 4
    for number, rgb in enumerate(got):
        picture = torch.from_numpy(numbered(number, 96, 64))
        assert (rgb.float() - picture).abs().mean() < 8
    assert open_source(path).info.duration == Fraction(4, 10)


@pytest.mark.parametrize("container", ["asf", "mxf"])
def test_times_that_are_those_of_decoding(container: str, tmp_path: Path) -> None:
    """libav says when packets are decoded, as if frames were shown in that order."""
    source = tmp_path / f"a.{container}"
    write_video(source, steady(24, 25), unit=F(1, 25), container=container)
    shown: list[tuple[Fraction, int]] = []
    with av.open(_mux(source, "mp4", F(24, 25))) as file:
        for frame in file.decode(video=0):
            assert frame.pts is not None and frame.time_base is not None
            picture = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
            shown.append((frame.pts * frame.time_base, numbers(picture[None])[0]))
    assert shown == list(zip(steady(24, 25), range(24), strict=True))


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_a_gap_before_frames_that_are_reordered(codec: str, tmp_path: Path) -> None:
    """A copy shows frames when the encoders saw them, whatever the decoder's delay."""
    source, times = tmp_path / "a.avi", [F(0), *steady(30, 25)[4:]]
    write_video(source, times, codec=codec, unit=F(1, 25), options={"bf": "2"})
    seen = [frame.time for frame in open_source(source).frames()]
    copied = open_source(_mux(source, "mp4", F(1)))
    assert len(seen) == len(times)
    assert [frame.time for frame in copied.frames()] == seen


@pytest.mark.parametrize("container", ["mpeg", "h264"])
def test_packets_without_times(container: str, tmp_path: Path) -> None:
    """Of some (a program stream with H.264) or all of them (a raw stream)."""
    source = tmp_path / "a.bin"
    write_video(source, steady(24, 25), unit=F(1, 25), container=container)
    video = open_source(source)
    assert video.info.duration == F(24, 25)
    assert video.frame_times() == steady(24, 25)
    assert [frame.time for frame in video.frames()] == steady(24, 25)


@pytest.mark.parametrize(("container", "codec"), [("mpegts", "libx264"), ("mpeg", "mpeg2video")])
def test_recordings_joined_byte_by_byte(container: str, codec: str, tmp_path: Path) -> None:
    """The times of each are its own, so half of the frames would replace the others."""
    source = tmp_path / "a.bin"
    write_video(source, steady(24, 25), unit=F(1, 25), container=container, codec=codec)
    assert open_source(source).info.duration == F(24, 25)
    source.write_bytes(source.read_bytes() * 2)
    with pytest.raises(MediaError, match=r"times jump back by .* after its packet 2. of .*overlap"):
        _ = open_source(source).info


def test_one_wrong_time_is_no_restart() -> None:
    unit = F(1, 10)
    for wrong in ([0, 1, 2, 90, 4, 5], [20, 21, 22, 3, 24, 25], [0, 1, 2, 3, 90], [90, 0, 1, 2]):
        check_restarts(wrong, unit)
    check_restarts([0, 4, 1, 8, 5, 12], unit)
    with pytest.raises(MediaError, match=r"back by 0\.9 s after its packet 10 of 12"):
        check_restarts([*range(10), 0, 1], unit)


@pytest.mark.parametrize("form", ["sparse", "meta"])
def test_images_that_are_not_dense(form: str) -> None:
    images = torch.ones(2, 8, 8, 3)
    images = images.to_sparse() if form == "sparse" else images.to("meta")
    with pytest.raises(MediaError, match=r"got images of layout torch\..*, expected dense"):
        ImageSequence(images=images, frame_rate=F(25))


def test_messages_are_text_whatever_a_file_is_called(tmp_path: Path) -> None:
    """ComfyUI sends no event any more after one that is none."""
    with pytest.raises(MediaError, match="does not exist") as caught:
        _ = open_source(tmp_path / "a\udcff.mp4").info
    assert str(caught.value).encode() and r"a\udcff.mp4" in str(caught.value)


def _mux(source: Path, container: str, seconds: Fraction) -> Path:
    return mux_audio(
        source,
        torch.zeros(1, int(16000 * seconds)),
        16000,
        source.with_name("out"),
        file_options=FileOptions(container=container),
    ).path
