"""A video file's picture, packets untouched, with new sound."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from av.container import OutputContainer
from av.video.stream import VideoStream
from torch import Tensor

from ..errors import MediaError
from ..media.packets import PacketSpan, packet_span, readable
from ..media.source import VideoSource, open_video
from ..media.timing import nominal_step
from ..progress import Progress, silent
from .encode import encode_video
from .order import packet_times
from .result import MuxResult, written_whole
from .sound import Sound, SoundTrack, fit_sound

_MP4 = {"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg", "vvc"}
"""Codecs that go into mp4 and that players expect there."""
_MOV = {"prores", "dnxhd", "cfhd", "png", "qtrle", "h263", "svq3", "cinepak", "dvvideo", "hap"}
"""Codecs at home in QuickTime files only."""
_ANIMATIONS = {"gif", "webp", "apng"}
"""Pictures that no container with sound takes."""


def mux_audio(
    video: VideoSource,
    waveform: Tensor,
    sample_rate: int,
    path_stem: Path,
    *,
    start: Fraction = Fraction(0),
    progress: Progress = silent,
) -> MuxResult:
    """Replace a video's sound.

    The picture's packets are copied bit for bit, all of them, with their times relative to the
    first frame shown; no other track of the file is kept. (Transport and raw streams mark where a
    unit begins; mp4 demands its length there instead, so those packets differ in just that.) The
    container is mp4 where it takes the codec, else mov or mkv.

    Args:
        video: the file with the picture.
        waveform: (C, T) samples in [-1, 1], C 1 or 2; louder ones are clipped.
        sample_rate: of the waveform, in Hz.
        path_stem: the file to write, without its suffix.
        start: where in the picture the sound begins, in seconds; silence before it.
        progress: called as ("mux", packets done, packets).

    Returns:
        The file written, which is there whole or not at all.

    Raises:
        MediaError: when the video cannot be read, the waveform cannot be used, or the file cannot
            be written.
    """
    with open_video(video) as (container, stream):
        span = packet_span(container, stream)
        codec = stream.codec_context.codec.canonical_name
    sound, notes = fit_sound(waveform, sample_rate, start=start, length=span.duration)
    suffix = _container_for(codec)
    if suffix is None:
        notes += (f"{codec} cannot be copied beside sound: the picture was encoded as H.264.",)
        return encode_video(video, sound, path_stem, notes=notes, progress=progress)
    if suffix != "mp4":
        notes += (f"{codec} does not go into mp4: wrote {suffix}.",)
    with written_whole(path_stem, suffix) as (output, path):
        _copy(video, span, output, sound, progress)
    return MuxResult(path=path, video_codec=codec, container=suffix, notes=notes)


def _container_for(codec: str) -> str | None:
    if codec in _ANIMATIONS:
        return None
    return "mp4" if codec in _MP4 else "mov" if codec in _MOV else "mkv"


def _copy(
    video: VideoSource,
    span: PacketSpan,
    output: OutputContainer,
    sound: Sound,
    progress: Progress,
) -> None:
    times = packet_times(video, span)
    with open_video(video) as (container, stream):
        picture = _like(output, stream)
        track = SoundTrack(output, sound)
        unit = Fraction(stream.time_base or Fraction(1, 25))
        step = max(1, round(nominal_step(stream) / unit))
        packets = zip(readable(container, stream), times, strict=False)
        for done, (packet, time) in enumerate(packets):
            progress("mux", done, len(times))
            track.write_until(max(Fraction(0), time.dts * unit))
            packet.pts, packet.dts = time.pts, time.dts
            packet.duration = packet.duration or step
            packet.stream = picture
            output.mux(packet)
        track.finish()
        progress("mux", len(times), len(times))


def _like(output: OutputContainer, stream: VideoStream) -> VideoStream:
    """A stream in ``output`` with the parameters, display rotation included, of ``stream``."""
    try:
        # opaque: by codec parameters alone; otherwise PyAV wants an encoder for the codec.
        picture = output.add_stream_from_template(stream, opaque=True)
    except ValueError as error:
        raise MediaError(
            f"a {stream.codec_context.name} picture cannot be copied into {output.format.name}"
            f" ({error}). Export the video again, for instance as H.264 in mp4."
        ) from error
    if _wants_hvc1(stream) and output.format.name in ("mp4", "mov"):
        picture.codec_context.codec_tag = "hvc1"
    return picture


def _wants_hvc1(stream: VideoStream) -> bool:
    """HEVC whose parameter sets are in its header: Apple's players refuse libav's default, hev1."""
    if stream.codec_context.codec.canonical_name != "hevc":
        return False
    try:
        return stream.codec_context.codec_tag != "hev1"
    except UnicodeDecodeError:
        return True
