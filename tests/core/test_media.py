"""Opening videos, errors of files that cannot be read, sizes, rotation, damage, cancelling."""

from __future__ import annotations

import gc
import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.stream import Disposition

from mmaudio_core.errors import MediaError
from mmaudio_core.media import (
    FrameReader,
    ImageSequence,
    VideoFile,
    VideoInfo,
    image_for_clip,
    open_source,
    packets,
    resolve_range,
    source,
    video_file,
)
from mmaudio_core.media.resize import resize_for_clip, resize_for_sync, to_uint8

from .made_videos import numbered, numbers, set_display_matrix, steady, write_sound, write_video

F = Fraction


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    write_video(path, steady(50, 25), size=(96, 64))
    return path


def test_probe(video: Path) -> None:
    info = VideoInfo(duration=F(2), width=96, height=64, frame_rate=F(25), codec="h264")
    for file in (video, str(video), io.BytesIO(video.read_bytes())):
        assert open_source(file).info == info


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_large_file_is_read_at_both_ends_only(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    codec, unit = ("mpeg4", F(1, 25)) if name == "a.avi" else ("libx264", F(1, 1000))
    write_video(path, steady(200, 25), codec=codec, unit=unit)
    whole = open_source(path).info
    read: list[int] = []
    original = packets.read_packets

    def counting(container, stream):
        for packet in original(container, stream):
            read.append(packet.size)
            yield packet

    monkeypatch.setattr(packets, "read_packets", counting)
    monkeypatch.setattr(video_file, "_LARGE_FILE", 0)
    assert open_source(path).info == whole
    assert whole.duration == 8
    assert len(read) < 150


def test_a_large_file_with_a_broken_end_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mkv"
    write_video(path, steady(200, 25), unit=F(1, 1000))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    whole = open_source(path).info
    monkeypatch.setattr(video_file, "_LARGE_FILE", 0)
    assert open_source(path).info == whole
    assert 4 < whole.duration < 8


def test_packets_are_walked_once(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walks: list[str] = []
    original = packets.read_packets

    def counting(container, stream):
        walks.append(stream.codec_context.name)
        return original(container, stream)

    monkeypatch.setattr(packets, "read_packets", counting)
    source = VideoFile(video)
    assert source.info.duration == F(2)
    assert source.frame_times() == steady(50, 25)
    assert len(source.packets.packets) == 50
    assert walks == ["h264"]


def test_readers_of_a_file_in_memory_do_not_share_a_position(video: Path) -> None:
    source = VideoFile(io.BytesIO(video.read_bytes()))
    with source.open() as (first, _), source.open() as (second, _):
        pairs = zip(first.decode(video=0), second.decode(video=0), strict=True)
        times = [(frame.time, other.time) for frame, other in pairs]
    assert times == [(n / 25, n / 25) for n in range(50)]


def test_a_file_in_memory_gives_the_same_frames(video: Path) -> None:
    data = io.BytesIO(video.read_bytes())
    data.seek(100)
    for from_memory, from_file in zip(FrameReader(data), FrameReader(video), strict=True):
        assert torch.equal(from_memory.clip, from_file.clip)
        assert torch.equal(from_memory.sync, from_file.sync)


def test_a_cover_picture_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(path, "w", format="mp4") as output:
        sound = output.add_stream("aac", rate=16000, layout="mono")
        cover = output.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 64
        cover.pix_fmt = "yuvj420p"
        cover.disposition = Disposition.attached_pic.value
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        output.mux([*sound.encode(frame), *sound.encode(None)])
        picture = av.VideoFrame.from_ndarray(numbered(1, 64, 64), "rgb24")
        picture = picture.reformat(format="yuvj420p")
        output.mux([*cover.encode(picture), *cover.encode(None)])
    with pytest.raises(MediaError, match="an audio track and a cover picture only"):
        _ = open_source(path).info


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "does not exist; expected a video file"),
        ("folder", "is a folder; expected a video file"),
        ("empty", r"is empty \(0 bytes\); expected a video file"),
        ("text", "cannot be opened as a video .*; expected a whole video file"),
        ("half an mp4", "cannot be opened as a video .*half downloaded"),
        ("sound", "no video stream: it holds an audio track only; expected a video"),
    ],
)
def test_errors_say_what_was_expected(kind: str, words: str, video: Path, tmp_path: Path) -> None:
    path = tmp_path / "given.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("not a video, " * 1000)
    elif kind == "half an mp4":  # Its index is at the end.
        path.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    elif kind == "sound":
        write_sound(path)
    for read in (lambda path: open_source(path).info, lambda path: list(FrameReader(path))):
        with pytest.raises(MediaError, match=words) as error:
            read(path)
        assert "given.mp4" in str(error.value)
    if path.is_file():
        with pytest.raises(MediaError, match=words):
            _ = open_source(io.BytesIO(path.read_bytes())).info


def test_a_broken_tail_ends_the_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_video(path, steady(50, 25), unit=F(1, 1000), options={"bf": "0"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    reader = FrameReader(path)
    sync = numbers(torch.cat([chunk.sync for chunk in reader]))
    assert F(1, 2) < reader.duration < F(2)
    assert sync == list(range(int(25 * reader.duration)))


def blank(path: Path, frames: set[int]) -> None:
    """Overwrite some frames of an AVI with zeros."""
    data = bytearray(path.read_bytes())
    place = data.index(b"movi") + 4
    for number in range(max(frames) + 1):
        assert data[place : place + 4] == b"00dc"
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        if number in frames:
            data[place + 8 : place + 8 + size] = bytes(size)
        place += 8 + size + size % 2
    path.write_bytes(data)


def test_damage_in_the_middle_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write_video(path, steady(50, 25), codec="mjpeg", pix_fmt="yuvj420p", unit=F(1, 25))
    blank(path, {20, 21})
    reader = FrameReader(path)
    sync = numbers(torch.cat([chunk.sync for chunk in reader]))
    assert reader.duration == F(2)
    assert sync == [*range(20), 19, 19, *range(22, 50)]


def test_no_frame_decodes(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write_video(path, steady(10, 25), codec="mjpeg", pix_fmt="yuvj420p", unit=F(1, 25))
    blank(path, set(range(10)))
    with pytest.raises(MediaError, match=r"no frame of .* could be decoded .*; expected a whole"):
        list(FrameReader(path))


def test_a_frame_that_is_too_large(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_FRAME_PIXELS", 96 * 63)
    for read in (lambda path: open_source(path).info, lambda path: list(FrameReader(path))):
        with pytest.raises(MediaError, match="got a frame of 96x64 pixels, expected at most"):
            read(video)


def test_a_matrix_that_libav_cannot_convert(tmp_path: Path) -> None:
    """BT.2020 with constant luminance is read as if the file named no matrix."""
    path = tmp_path / "a.mov"
    write_video(path, steady(3, 3), codec="prores_ks", pix_fmt="yuv422p10le")
    plain = next(iter(FrameReader(path)))
    data = bytearray(path.read_bytes())
    for header in (n for n in range(len(data)) if data[n : n + 4] == b"icpf"):
        data[header + 20] = 10
    path.write_bytes(data)
    constant_luminance = next(iter(FrameReader(path)))
    assert numbers(constant_luminance.sync) == numbers(plain.sync)


@pytest.mark.parametrize(
    ("matrix", "turned"),
    [
        ((1, 0, 0, 1), lambda x: x),
        ((0, 1, -1, 0), lambda x: x.rot90(-1, (0, 1))),  # a quarter clockwise, as phones write
        ((-1, 0, 0, -1), lambda x: x.rot90(2, (0, 1))),
        ((0, -1, 1, 0), lambda x: x.rot90(1, (0, 1))),
        ((-1, 0, 0, 1), lambda x: x.flip(1)),
        ((1, 0, 0, -1), lambda x: x.flip(0)),
        ((0, 1, 1, 0), lambda x: x.transpose(0, 1)),
        ((0, -1, -1, 0), lambda x: x.rot90(2, (0, 1)).transpose(0, 1)),
    ],
)
def test_display_rotation_is_applied(matrix, turned, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, steady(3, 25), size=(96, 64), options={"qp": "0", "preset": "ultrafast"})
    with av.open(path) as container:
        decoded = next(container.decode(video=0)).to_ndarray(format="rgb24")
    set_display_matrix(path, *matrix)
    upright = turned(torch.from_numpy(decoded)).contiguous()
    info = open_source(path).info
    assert (info.height, info.width) == tuple(upright.shape[:2])
    chunk = next(iter(FrameReader(path)))
    assert torch.equal(chunk.sync[0], resize_for_sync(upright))


def test_sizes() -> None:
    draw = torch.Generator().manual_seed(0)
    for height, width in ((64, 96), (97, 31), (224, 224), (500, 300)):
        picture = torch.randint(0, 256, (height, width, 3), generator=draw, dtype=torch.uint8)
        assert resize_for_clip(picture).shape == (3, 384, 384)
        assert resize_for_sync(picture).shape == (3, 224, 224)


@pytest.mark.parametrize("portrait", [False, True])
@pytest.mark.parametrize(("extra", "first"), [(0, 0), (1, 0), (2, 1), (3, 2), (5, 2), (7, 4)])
def test_the_crop_is_centered_and_halves_round_to_even(
    extra: int, first: int, portrait: bool
) -> None:
    """At a shorter side of 224 nothing is resized, so every pixel tells its own position."""
    positions = torch.arange(224 + extra, dtype=torch.uint8)
    image = positions[None, :, None].expand(224, -1, 3)
    cropped = resize_for_sync(image.transpose(0, 1) if portrait else image)
    kept = cropped[0, :, 0] if portrait else cropped[0, 0]
    assert kept.tolist() == list(range(first, first + 224))


def test_the_longer_side_is_truncated() -> None:
    """640x272 becomes 527x224, of which columns 152 (151.5 to even) to 375 remain."""
    ramp = torch.arange(640, dtype=torch.float64).mul(255 / 639).round().to(torch.uint8)
    picture = ramp[None, :, None].expand(272, 640, 3)
    whole = torch.nn.functional.interpolate(
        picture.permute(2, 0, 1)[None].contiguous(), (224, 527), mode="bicubic", antialias=True
    )
    assert torch.equal(resize_for_sync(picture), whole[0, :, :, 152:376])


def test_image_for_clip() -> None:
    image = torch.rand((50, 70, 4), generator=torch.Generator().manual_seed(0))
    assert torch.equal(image_for_clip(image)[0], resize_for_clip(to_uint8(image)))
    assert image_for_clip(image).shape == (1, 3, 384, 384)
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8((values / 255).view(1, 256, 1).expand(1, 256, 3))[0, :, 0], values)
    with pytest.raises(MediaError, match="NaN or infinity, expected values between 0 and 1"):
        image_for_clip(image * torch.nan)
    with pytest.raises(
        MediaError, match=r"got an image of shape \(1, 50, 70, 4\), expected \(height"
    ):
        image_for_clip(image[None])


@pytest.mark.parametrize(
    ("shape", "rate", "words"),
    [
        ((0, 8, 8, 3), F(25), "expected floats of shape"),
        ((8, 8, 3), F(25), "expected floats of shape"),
        ((2, 8, 8, 1), F(25), "expected floats of shape"),
        ((2, 8, 8, 3), F(0), r"expected at least 0\.001"),
        ((2, 8, 8, 3), F(1, 10**6), r"got a frame rate of 1e-06, expected at least 0\.001"),
    ],
)
def test_images_that_cannot_be_used(shape, rate, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        ImageSequence(images=torch.zeros(shape), frame_rate=rate)


def test_resolve_range() -> None:
    assert resolve_range(F(10), F(0), F(8)) == 8
    assert resolve_range(F(10), F(4), F(8)) == 6
    assert resolve_range(F(10), F(4), None) == resolve_range(F(10), F(4), F(0)) == 6
    assert resolve_range(F(10), F(0), F(16, 25)) == F(16, 25)
    for start in (F(10), F(11)):
        with pytest.raises(MediaError, match="past the end of the video, which lasts 10 s"):
            resolve_range(F(10), start, F(8))
    for start, duration in ((F(94, 10), F(8)), (F(0), F(63, 100))):
        with pytest.raises(
            MediaError, match=r"expected at least 0\.64 s \(16 frames at 25 per second\)"
        ):
            resolve_range(F(10), start, duration)
    with pytest.raises(MediaError, match="expected 0 or more for both"):
        resolve_range(F(10), F(-1), F(8))


def test_progress_and_cancelling(video: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    reader = FrameReader(video, duration=F(1), progress=lambda *call: calls.append(call))
    with pytest.raises(RuntimeError, match="once every chunk has been read"):
        _ = reader.duration
    list(reader)
    assert {(stage, total) for stage, _, total in calls} == {("frames", 25)}
    done = [call[1] for call in calls]
    assert done == sorted(done) and done[-1] == 25 and len(done) >= 25

    class Cancelled(Exception):
        pass

    def cancel(_stage: str, done: int, _total: int) -> None:
        if done == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(FrameReader(video, progress=cancel))


def test_frames_are_freed_at_once(tmp_path: Path) -> None:
    """Without the cycle collector: 4K frames would fill the memory before it runs."""
    path = tmp_path / "a.mp4"
    write_video(path, steady(60, 25))
    set_display_matrix(path, 0, 1, -1, 0)
    gc.collect()
    gc.disable()
    try:
        most = 0
        for _ in FrameReader(path, chunk_seconds=1):
            frames = [item for item in gc.get_objects() if type(item) is av.VideoFrame]
            most = max(most, len(frames))
    finally:
        gc.enable()
    assert 0 < most <= 8
