"""Pictures that are encoded: time, shape, fields and colors are as before, or a note says so."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.error import FFmpegError
from av.filter import Graph
from PIL import Image

from mmaudio_core.errors import MediaError
from mmaudio_core.media import VideoFile, open_source
from mmaudio_core.mux import FileOptions, MuxResult, mux_audio

from .color_cases import CASES, synthetic_picture, write_clip
from .made_videos import numbered, numbers, set_display_matrix, steady, write_video
from .test_deinterlace import combing, write_interlaced

F = Fraction
_END = {"start": F(1, 25)}
"""A part that has to be encoded."""


def encode(source: Path, part: dict[str, Any], **options: Any) -> MuxResult:
    return mux_audio(
        source,
        torch.zeros(1, 16000),
        16000,
        source.with_name("out"),
        file_options=FileOptions(crf=1, **options),
        **part,
    )


def described(path: Path) -> dict[str, Any]:
    """Pixel format, colors, shape and fields of a file."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        frame = next(container.decode(stream))
        return {
            "pix_fmt": context.pix_fmt,
            "color": (context.colorspace, context.color_trc, context.color_primaries),
            "range": context.color_range,
            "aspect": stream.sample_aspect_ratio,
            "interlaced": frame.interlaced_frame,
        }


def seen(path: Path) -> torch.Tensor:
    """(n, H, W, 3) as the encoders see it."""
    return torch.stack([frame.rgb() for frame in VideoFile(path).frames()]).float()


def still(*size: int) -> np.ndarray:
    return synthetic_picture(*size)[None].repeat(4, 0)


@pytest.mark.parametrize("title", CASES)
def test_colors_stay(title: str, tmp_path: Path) -> None:
    case = CASES[title]
    source = write_clip(tmp_path / "a.mkv", case, still(*case.size))
    before = described(source)
    result = encode(source, _END)
    after = described(result.path)
    deep = "10" in case.pix_fmt or "12" in case.pix_fmt
    assert after["pix_fmt"] == ("yuv420p10le" if deep else "yuv420p")
    tone_mapped = title == "HLG, 8 bit"
    assert any("tone-mapped" in note for note in result.notes) == tone_mapped
    assert any("more than 8 bits" in note for note in result.notes) == deep
    if not tone_mapped:
        matrix = before["color"][0] or 1
        assert after["color"] == (matrix, *before["color"][1:])
    assert after["range"] == min(1, before["range"])
    bound = 3 if "444" in case.pix_fmt or "gbr" in case.pix_fmt else 2
    assert (seen(result.path)[0] - seen(source)[0]).abs().mean() < bound


@pytest.mark.parametrize("title", ["PQ, 10 bit", "HLG, 10 bit"])
@pytest.mark.parametrize("options", [{"pix_fmt": "yuv420p"}, {"container": "webm"}])
def test_hdr_in_8_bits_is_tone_mapped(title: str, options: dict[str, str], tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", CASES[title], still(*CASES[title].size))
    result = encode(source, _END, **options)
    after = described(result.path)
    assert (after["pix_fmt"], after["color"]) == ("yuv420p", (1, 1, 1))
    assert any("HDR, and was tone-mapped to SDR" in note for note in result.notes)
    assert (seen(result.path)[0] - seen(source)[0]).abs().mean() < 2.5


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("turned", [False, True])
def test_the_shape_of_pixels_stays(container: str, turned: bool, tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    with av.open(source, "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = F(2)
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(numbered(number, 64, 96), "rgb24")
            output.mux(stream.encode(frame.reformat(format="yuv420p")))
        output.mux(stream.encode(None))
    if turned:
        set_display_matrix(source, 0, 1, -1, 0)
    result = encode(source, _END, container=container)
    assert described(result.path)["aspect"] == (F(1, 2) if turned else 2)
    info = open_source(result.path).info
    assert (info.width, info.height) == ((96, 64) if turned else (64, 96))
    shown = seen(result.path)
    assert (shown - seen(source)[1 : 1 + len(shown)]).abs().mean() < 3


@pytest.mark.parametrize("size", [(101, 97), (97, 100), (100, 101)])
def test_odd_sides_repeat_their_last_pixels(size: tuple[int, int], tmp_path: Path) -> None:
    source = tmp_path / "a.mkv"
    write_video(source, steady(5, 25), codec="ffv1", size=size, unit=F(1, 1000))
    result = encode(source, _END)
    width, height = (side + side % 2 for side in size)
    shown, before = seen(result.path), seen(source)[1:]
    assert shown.shape[1:3] == (height, width)
    assert (shown[:, : size[1], : size[0]] - before).abs().mean() < 3
    assert (shown[:, -1] - shown[:, -2]).abs().mean() < 3


def write_animation(path: Path) -> tuple[list[Fraction], Fraction]:
    """Frames of uneven lengths, the last of which is the longest; their times and the end."""
    lengths = [100, 40, 700, 60, 1080]
    images = [Image.fromarray(numbered(number)) for number in range(len(lengths))]
    images[0].save(path, save_all=True, append_images=images[1:], duration=lengths, loop=0)
    times = [F(sum(lengths[:number]), 1000) for number in range(len(lengths))]
    return times, F(sum(lengths), 1000)


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_animations_keep_their_time(name: str, container: str, tmp_path: Path) -> None:
    times, end = write_animation(tmp_path / name)
    result = encode(tmp_path / name, {}, container=container)
    frames = list(open_source(result.path).frames())
    tolerance = F(1, 500) if container in ("mkv", "webm") else F(1, 45_000)
    for frame, time in zip(frames, times, strict=False):
        assert abs(frame.time - time) <= tolerance
    shown = numbers(torch.stack([frame.rgb() for frame in frames]).permute(0, 3, 1, 2))
    assert shown == [0, 1, 2, 3, 4] + [4] * (len(shown) - 5)
    assert len(shown) == (6 if container in ("mkv", "webm") else 5)
    assert abs(frames[-1].end_time - end) <= F(1, 90) * (5 if len(shown) > 5 else 1)
    assert abs(open_source(result.path).info.duration - end) < F(1, 20)
    if container in ("mp4", "mov"):
        copied = encode(result.path, {}, container=container).path
        assert open_source(copied).info.duration == open_source(result.path).info.duration


def test_what_libav_cannot_convert_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def reformat(self, *_: Any, **__: Any) -> None:
            raise FFmpegError(22, "no such conversion")

    source = write_clip(tmp_path / "a.mkv", CASES["BT.709"], still(64, 64))
    monkeypatch.setattr("mmaudio_core.mux.file_pictures.VideoReformatter", Refusing)
    assert described(encode(source, _END).path)["color"] == (1, 1, 1)
    monkeypatch.setattr("mmaudio_core.media.decode.VideoReformatter", Refusing)
    with pytest.raises(MediaError, match="cannot be converted to RGB"):
        encode(source, _END)


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_fields_stay_fields(order: str, container: str, tmp_path: Path) -> None:
    source = write_interlaced(tmp_path / "a.mp4", order=order)
    result = encode(source, _END, container=container)
    assert described(result.path)["interlaced"]
    assert not any("interlaced" in note for note in result.notes)
    with av.open(result.path) as container_, av.open(source) as original:
        after = [frame.to_ndarray(format="rgb24") for frame in container_.decode(video=0)]
        before = [frame.to_ndarray(format="rgb24") for frame in original.decode(video=0)][1:]
    assert abs(np.stack(after).astype(int) - np.stack(before)).mean() < 2
    # the order of fields shows when both are seen: deinterlacing keeps the first
    assert (seen(result.path)[1:-1] - seen(source)[2:-1]).abs().mean() < 2


def test_fields_in_vp9_are_deinterlaced(tmp_path: Path) -> None:
    source = write_interlaced(tmp_path / "a.mp4")
    result = encode(source, _END, container="webm")
    assert not described(result.path)["interlaced"]
    assert "The video is interlaced: it was deinterlaced to be encoded." in result.notes
    with av.open(result.path) as container:
        for frame in container.decode(video=0):
            assert combing(torch.from_numpy(frame.to_ndarray(format="rgb24"))) < 4


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_fields_of_which_the_bottom_comes_first(container: str, tmp_path: Path) -> None:
    """Though the file says the top: frames are right, and all that is written says the same."""
    source = write_interlaced(tmp_path / "a.avi", order="bff")
    result = encode(source, _END, container=container)
    told: list[int] = []
    for path in (source, result.path):
        with av.open(path) as file:
            stream = file.streams.video[0]
            told.append(getattr(stream.codec_context, "field_order", 0))
            assert _shown_first(next(file.decode(stream))) == "bff"
    assert told in ([2, 3], [0, 0])  # PyAV 14 tells none


def _shown_first(frame: av.VideoFrame) -> str:
    """The order of fields by which libav's deinterlacer keeps one."""
    gray = frame.reformat(format="gray")
    for order in ("tff", "bff"):
        graph = Graph()
        source = graph.add_buffer(
            width=gray.width, height=gray.height, format=gray.format, time_base=F(1, 25)
        )
        filters = graph.add("fieldorder", f"order={order}"), graph.add("buffersink")
        graph.link_nodes(source, *filters).configure()
        graph.push(gray)
        if np.array_equal(graph.vpull().to_ndarray(), gray.to_ndarray()):
            return order
    raise AssertionError("the frame has no order")


_LOST = "The video's transparency was lost when it was encoded."


@pytest.mark.parametrize("alpha", [255, 254, 0])
@pytest.mark.parametrize("suffix", ["mkv", "gif", "webp", "apng"])
def test_lost_transparency_is_said(suffix: str, alpha: int, tmp_path: Path) -> None:
    source, color = tmp_path / f"a.{suffix}", np.full((64, 64, 4), 200, np.uint8)
    color[..., 3] = 255
    color[5, 7, 3] = alpha
    if suffix == "mkv":
        with av.open(source, "w") as file:
            stream = file.add_stream("ffv1", rate=25)
            stream.width = stream.height = 64
            stream.pix_fmt = "bgra"
            for _ in range(3):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(color, "rgba")))
            file.mux(stream.encode(None))
    else:
        frames = [Image.fromarray(color, "RGBA") for _ in range(2)]
        frames[1].putpixel((0, 0), (0, 0, 0, 255))
        frames[0].save(
            source,
            "PNG" if suffix == "apng" else None,
            save_all=True,
            append_images=frames[1:],
            duration=100,
            **({"lossless": True} if suffix == "webp" else {}),
        )
    said = _LOST in encode(source, {}, container="mp4").notes
    assert said == (alpha < (128 if suffix == "gif" else 255))


def test_lost_transparency_that_libav_does_not_decode(tmp_path: Path) -> None:
    """WebM has it in blocks beside the picture's."""
    source = tmp_path / "a.webm"
    write_video(source, steady(5, 25), codec="libvpx-vp9", pix_fmt="yuva420p", unit=F(1, 25))
    assert _LOST in encode(source, _END, container="mp4").notes
