"""HEVC copied into other containers, tagged so that Apple's players play it."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
import torch

from mmaudio_core.mux import FileOptions, mux_audio

from .made_videos import steady, write_video
from .test_mux import packets_of


def hevc_video(path: Path, tag: str) -> Path:
    """One second of HEVC with this codec tag, in the container of the suffix."""
    plain = path.with_name("plain.mkv")
    write_video(plain, steady(25, 25), codec="libx265", options={"x265-params": "log-level=none"})
    with av.open(plain) as source, av.open(path, "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0], opaque=True)
        if tag:
            stream.codec_context.codec_tag = tag
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    return path


@pytest.mark.parametrize(
    ("source", "tag", "container", "expected"),
    [
        ("mp4", "hvc1", "mp4", b"hvc1"),
        ("mp4", "hvc1", "mov", b"hvc1"),
        ("mkv", "", "mp4", b"hvc1"),
        ("mkv", "", "mov", b"hvc1"),
        ("mp4", "hev1", "mp4", b"hev1"),
        ("mp4", "hev1", "mov", b"hev1"),
        ("mp4", "hvc1", "mkv", None),
    ],
)
def test_codec_tag(
    source: str, tag: str, container: str, expected: bytes | None, tmp_path: Path
) -> None:
    """hvc1 unless the file says hev1; read from the sample description itself."""
    video = hevc_video(tmp_path / f"a.{source}", tag)
    result = mux_audio(
        video,
        torch.zeros(1, 48000),
        48000,
        tmp_path / "out",
        file_options=FileOptions(container=container),
    )
    assert (result.video_codec, result.container) == ("hevc", container)
    assert packets_of(result.path) == packets_of(video)
    data = result.path.read_bytes()
    if expected is None:
        assert b"hvc1" not in data and b"hev1" not in data
    else:
        box = data.index(b"stsd")
        assert data[box + 16 : box + 20] == expected
