"""Every codec that libav encodes here: copied if a container's muxer takes it, else encoded."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from mmaudio_core.media import open_source
from mmaudio_core.mux import FileOptions, MuxResult, mux_audio, timestamps

from .made_videos import steady, write_video
from .test_mux import packets_of

F = Fraction
COPIED = {
    "h264": ("libx264", "mkv", "mp4"),
    "hevc": ("libx265", "mov", "mp4"),
    "av1": ("libsvtav1", "mkv", "mp4"),
    "vp9": ("libvpx-vp9", "avi", "mp4"),
    "vp8": ("libvpx", "avi", "mkv"),
    "mpeg4": ("mpeg4", "avi", "mp4"),
    "mpeg1video": ("mpeg1video", "avi", "mp4"),
    "mpeg2video": ("mpeg2video", "avi", "mp4"),
    "mjpeg": ("mjpeg", "avi", "mp4"),
    "prores": ("prores_ks", "mov", "mov"),
    "cfhd": ("cfhd", "avi", "mov"),
    "cinepak": ("cinepak", "avi", "mov"),
    "dvvideo": ("dvvideo", "avi", "mov"),
    "h263": ("h263", "avi", "mov"),
    "png": ("png", "avi", "mov"),
    "qtrle": ("qtrle", "mov", "mov"),
    "ffv1": ("ffv1", "avi", "mkv"),
    "msmpeg4v3": ("msmpeg4", "avi", "mkv"),
    "snow": ("snow", "avi", "mkv"),
}
"""By codec: the encoder and container of the source, and the container written."""
ENCODED = {
    **{
        codec: (codec, "avi")
        for codec in (
            *("amv", "asv1", "asv2", "cljr", "dpx", "ffvhuff", "flashsv", "h261", "huffyuv"),
            *("jpegls", "magicyuv", "msmpeg4v2", "msvideo1", "r10k", "r210", "rpza", "speedhq"),
            *("svq1", "targa", "utvideo", "v210", "wmv1", "wmv2", "y41p", "yuv4", "zlib", "zmbv"),
        )
    },
    **{codec: (codec, "mov") for codec in ("avrp", "dxv", "exr", "sgi", "tiff")},
    "flv1": ("flv", "avi"),
    "flashsv2": ("flashsv2", "flv"),
    "rawvideo": ("rawvideo", "avi"),
    "roq": ("roqvideo", "roq"),
    "rv10": ("rv10", "rm"),
    "rv20": ("rv20", "rm"),
    "xface": ("xface", "nut"),
}
"""By codec: the encoder and container of the source."""
SIZES = {
    "dvvideo": (720, 576),
    "h261": (176, 144),
    "h263": (176, 144),
    "roqvideo": (128, 128),
    "xface": (48, 48),
}
PIX_FMTS = {"zmbv": "bgr0", "rawvideo": "yuv420p"}
DEEP = (
    "The video has more than 8 bits, and was encoded with 10. Browsers do not show H.264 of 10"
    " bits, so a preview may stay black: for one that they show, set pix_fmt to yuv420p."
)
PLAYABLE = ("h264", "av1", "vp8", "vp9")


def encoded(path: Path, encoder: str) -> Path:
    """Five frames; skips the test where libav lacks the encoder."""
    if encoder not in av.codecs_available:
        pytest.skip(f"this libav has no {encoder}")
    pix_fmt = PIX_FMTS.get(encoder) or (av.Codec(encoder, "w").video_formats or [])[0].name
    options = {"strict": "-2"}
    if encoder == "libx265":
        options = {"x265-params": "log-level=none"}
    size = SIZES.get(encoder, (96, 96))
    write_video(
        path,
        steady(5, 25),
        codec=encoder,
        pix_fmt=pix_fmt,
        size=size,
        unit=F(1, 25),
        options=options,
    )
    return path


def mux(source: Path, **options: Any) -> MuxResult:
    return mux_audio(
        source,
        torch.zeros(1, 3200),
        16000,
        source.with_name("out"),
        file_options=FileOptions(**options),
    )


@pytest.mark.parametrize("codec", COPIED)
def test_copied(codec: str, tmp_path: Path) -> None:
    encoder, suffix, container = COPIED[codec]
    source = encoded(tmp_path / f"a.{suffix}", encoder)
    result = mux(source)
    assert (result.video_codec, result.container) == (codec, container)
    assert packets_of(result.path) == packets_of(source)
    notes = list(result.notes)
    if container != "mp4":
        assert notes.pop(0) == f"{codec} does not go into mp4: wrote {container}."
    if codec in PLAYABLE:
        assert notes == []
        return
    (note,) = notes
    assert note.startswith("Some b" if codec == "hevc" else "B") and f"do not show {codec}" in note
    # what the note advises gives a file that browsers show
    advised = note.split("set container to ")[1].split(",")[0]
    again = mux(source, container=advised)
    assert again.video_codec in note.lower().replace(".", "")[-6:]
    assert again.video_codec in PLAYABLE


@pytest.mark.parametrize("container", ["mov", "mkv"])
@pytest.mark.parametrize("profile", ["proxy", "4444"])
def test_the_profile_of_prores(profile: str, container: str, tmp_path: Path) -> None:
    """Only its four-character code tells it; by that of 422 HQ, 4444 decodes with 10 bits."""
    source, tag = tmp_path / "a.mov", {"proxy": "apco", "4444": "ap4h"}[profile]
    pix_fmt = "yuva444p10le" if profile == "4444" else "yuv422p10le"
    write_video(
        source, steady(3, 25), codec="prores_ks", pix_fmt=pix_fmt, options={"profile": profile}
    )
    result = mux(source, container=container)
    decoded: list[list[Any]] = []
    for path in (source, result.path, mux(result.path, container="mov").path):
        with av.open(path) as file:
            assert file.streams.video[0].codec_context.codec_tag == tag
            frames = list(file.decode(video=0))
            decoded.append([frame.format.name for frame in frames])
            decoded[-1] += [bytes(plane) for frame in frames for plane in frame.planes]
    assert decoded[1] == decoded[2] == decoded[0]


def test_a_code_that_is_none_of_quicktime(tmp_path: Path) -> None:
    """libav reads AVI's names in mov as well, but does not write them."""
    source = encoded(tmp_path / "a.mov", "libx264")
    source.write_bytes(source.read_bytes().replace(b"avc1", b"DAVC"))
    result = mux(source, container="mov")
    assert packets_of(result.path) == packets_of(source)
    with av.open(result.path) as file:
        assert file.streams.video[0].codec_context.codec_tag == "avc1"


@pytest.mark.parametrize("codec", ENCODED)
def test_encoded(codec: str, tmp_path: Path) -> None:
    encoder, suffix = ENCODED[codec]
    source = encoded(tmp_path / f"a.{suffix}", encoder)
    result = mux(source)
    assert (result.video_codec, result.container) == ("h264", "mp4")
    deep = () if open_source(source).info.bit_depth <= 8 else (DEEP,)
    assert result.notes == (
        f"Neither mp4, mov nor mkv takes {codec}: the video was encoded as H.264.",
        *deep,
    )
    assert len(packets_of(result.path)) == len(packets_of(source))
    result = mux(source, container="mkv")
    assert (result.video_codec, result.container) == ("h264", "mkv")
    assert result.notes == (f"mkv does not take {codec}: the video was encoded as H.264.", *deep)


def test_a_packet_that_the_muxer_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header was accepted, a packet is not: the video is encoded from the beginning.

    Two packets of one time stand for whatever libav may refuse in the middle of a file.
    """
    source = encoded(tmp_path / "a.mkv", "libx264")
    times = timestamps.output_times(open_source(source))  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(timestamps, "output_times", lambda _: [*times[:4], times[3]])
    result = mux(source)
    assert (result.video_codec, result.container) == ("h264", "mp4")
    (note,) = result.notes
    assert note == (
        "mp4 did not take the h264 video's packets (Invalid argument): the video was encoded as"
        " H.264."
    )
    with av.open(result.path) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5
