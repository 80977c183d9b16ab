"""Copying a video stream, packets untouched, in step with the audio."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
from contextlib import suppress
from fractions import Fraction

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from ..errors import MediaError
from ..media import VideoFile
from ..media.container import error_text
from ..media.packets import read_packets
from ..media.timestamps import nominal_step, time_base
from ..progress import Progress
from .atomic_output import LIBAV_FORMATS
from .output_audio import OutputAudio
from .timestamps import output_times


def copy_video(
    video: VideoFile,
    duration: Fraction,
    audio: OutputAudio,
    output: OutputContainer,
    progress: Progress,
) -> None:
    """Copy a file's video stream into ``output``, with its audio.

    Args:
        video: the file.
        duration: seconds to copy; packets of later frames that earlier ones refer to are kept.
        audio: the tracks to write.
        output: the file to write.
        progress: called as ("mux", packets done, packets).

    Raises:
        CopyRefused: if the container does not take a packet.
        MediaError: if the file cannot be read.
    """
    times = output_times(video)
    with video.open() as (container, stream):
        unit = time_base(stream)
        if duration < video.packets.info.duration:
            last = max(i for i, time in enumerate(times) if time.pts * unit < duration)
            times = times[: last + 1]
        copied = _add_stream_like(output, stream)
        step = max(1, round(nominal_step(stream) / unit))
        packets = zip(read_packets(container, stream), times, strict=False)
        with audio.add_to(output) as tracks:
            for done, (packet, time) in enumerate(packets):
                progress("mux", done, len(times))
                tracks.write_until(max(Fraction(0), time.dts * unit))
                packet.pts, packet.dts = time.pts, time.dts
                packet.duration = packet.duration or step
                packet.stream = copied
                _write(packet, output)
            tracks.finish()
        progress("mux", len(times), len(times))


def copy_refusal(video: VideoFile, container: str) -> str | None:
    """Why a container's muxer refuses the stream, as the start of a sentence; None if it does not.

    Only the header is tried, in memory: its muxer alone knows the codecs that it can describe.
    """
    with video.open() as (_, stream), suppress(FFmpegError, ValueError):
        output = av.open(io.BytesIO(), "w", format=LIBAV_FORMATS[container])
        try:
            _add_stream_like(output, stream)
            output.start_encoding()
        finally:
            with suppress(FFmpegError):  # it has no packets
                output.close()
        return None
    return f"{container} does not take {video.packets.info.codec}"


class CopyRefused(MediaError):
    """A container that takes the stream does not take one of its packets."""


def _write(packet: Packet[VideoStream], output: OutputContainer) -> None:
    try:
        output.mux(packet)
    except FFmpegError as error:
        if not isinstance(error, ValueError):  # libav's EINVAL and "invalid data"
            raise
        raise CopyRefused(error_text(error)) from error


def _add_stream_like(output: OutputContainer, stream: VideoStream) -> VideoStream:
    """Add a stream with the parameters of ``stream``, display rotation included.

    Raises:
        ValueError: if the container has no way to describe the codec.
    """
    # opaque: from the codec parameters alone; otherwise PyAV looks for an encoder.
    copied = output.add_stream_from_template(stream, opaque=True)
    if stream.average_rate:  # PyAV 18 would derive one from the time base, such as 30000
        copied.codec_context.framerate = stream.average_rate
    if _needs_hvc1(stream):  # Matroska has no such tag, and ignores it
        copied.codec_context.codec_tag = "hvc1"
    return copied


def _needs_hvc1(stream: VideoStream) -> bool:
    """Whether it is HEVC with its parameter sets in the header, which hvc1 says and hev1 does not.

    libav's default is hev1, which Apple's players refuse.
    """
    if stream.codec_context.codec.canonical_name != "hevc":
        return False
    try:
        return stream.codec_context.codec_tag != "hev1"
    except UnicodeDecodeError:  # a tag that is no text: not from mp4 or mov
        return True
