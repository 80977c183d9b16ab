"""Copying a video stream, packets untouched, in step with the audio."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
from contextlib import suppress
from fractions import Fraction
from itertools import islice

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from ..media import VideoFile
from ..media.packets import read_packets
from ..media.timestamps import average_rate, nominal_step, time_base
from ..progress import Progress
from .atomic_output import OutputFile, open_output
from .display_size import keep_pixel_aspect
from .edit_list import end_first_track
from .output_tracks import OutputTracks
from .timestamps import CopiedPart, PacketSelection, select_packets

_EDITED = ("mp4", "mov")
"""Containers whose edit list can hide frames."""
_KEPT_TAGS = {"alpha_mode", "stereo_mode"}
"""What Matroska says of a picture in libav's metadata."""


def copy_video(
    video: VideoFile,
    part: CopiedPart,
    duration: Fraction,
    tracks: OutputTracks,
    output: OutputFile,
    progress: Progress,
) -> tuple[str, ...]:
    """Copy a file's video stream into ``output``, with its audio.

    Args:
        video: the file.
        part: its packets from the first one to copy on.
        duration: seconds to show; packets of frames that are not, but that others refer to, are
            kept, and mp4 and mov hide them.
        tracks: what to write beside it.
        output: the file to write.
        progress: called as ("mux", packets done, packets).

    Returns:
        What of the tracks beside it is not as before, a sentence each.

    Raises:
        FFmpegError: if the container does not take a packet.
        MediaError: if the file cannot be read.
    """
    with video.open() as (container, stream):
        unit = time_base(stream)
        can_hide = output.container.format.name in _EDITED
        selection = _select(video, part, duration, can_hide)
        times = selection.times
        copied = _add_stream_like(output.container, stream)
        tracks.kept.describe_picture(copied)
        if selection.hidden_from is not None and can_hide:
            shown = min(duration, selection.hidden_from * unit)
            output.patches.append(lambda file: end_first_track(file, shown))
        aspect = stream.sample_aspect_ratio
        if aspect:
            keep_pixel_aspect(output, copied, aspect)
        step = max(1, round(nominal_step(stream) / unit))
        read = islice(read_packets(container, stream), part.first, None)
        packets = zip(read, times, strict=False)
        with tracks.add_to(output.container) as writer:
            for done, (packet, time) in enumerate(packets):
                progress("mux", done, len(times))
                writer.write_until(max(Fraction(0), time.dts * unit))
                packet.pts, packet.dts = time.pts, time.dts
                packet.duration = packet.duration or step
                packet.stream = copied
                output.container.mux(packet)
            notes = writer.finish()
        progress("mux", len(times), len(times))
        return notes


def _select(
    video: VideoFile, part: CopiedPart, duration: Fraction, can_hide: bool
) -> PacketSelection:
    unit = video.packets.time_base
    end = duration / unit
    last = max((time.pts for time in part.times if not time.hidden), default=0)
    return select_packets(part.times, end if end <= last else None, can_hide=can_hide)


def copy_refusal(
    video: VideoFile, part: CopiedPart, duration: Fraction, container: str
) -> str | None:
    """Why a container cannot hold the stream, as the start of a sentence; None if it can.

    Of the muxer only the header is tried, in memory: it alone knows what codecs it can describe.
    """
    can_hide = container in _EDITED
    selection = _select(video, part, duration, can_hide)
    hides = selection.hides_within if can_hide else selection.hides_any
    if hides:
        reason = "the file's edit list leaves out" if part.edited else "come after the cut"
        return f"{container} cannot hide the frames that {reason}"
    with video.open() as (_, stream), suppress(FFmpegError, ValueError):
        output = open_output(io.BytesIO(), container)
        try:
            _add_stream_like(output, stream)
            output.start_encoding()
        finally:
            with suppress(FFmpegError):  # it has no packets
                output.close()
        return None
    return f"{container} does not take {video.packets.info.codec}"


def _add_stream_like(output: OutputContainer, stream: VideoStream) -> VideoStream:
    """Add a stream with the parameters of ``stream``, display rotation included.

    Raises:
        ValueError: if the container has no way to describe the codec.
    """
    # opaque: from the codec parameters alone; otherwise PyAV looks for an encoder.
    copied = output.add_stream_from_template(stream, opaque=True)
    for key, value in stream.metadata.items():
        if key.lower() in _KEPT_TAGS:
            copied.metadata[key.lower()] = value
    if stream.sample_aspect_ratio:  # the container's own, where it overrules the codec's
        copied.codec_context.sample_aspect_ratio = stream.sample_aspect_ratio
    rate = average_rate(stream)
    if rate is not None:  # PyAV 18 would derive one from the time base, such as 30000
        copied.codec_context.framerate = rate
    tag = _kept_tag(stream, output.format.name)
    if tag is None and _needs_hvc1(stream):  # Matroska has no such tag, and ignores it
        tag = "hvc1"
    if tag is not None:
        copied.codec_context.codec_tag = tag
    return copied


def _kept_tag(stream: VideoStream, muxer: str) -> str | None:
    """The codec's four-character code, if the muxer takes it; None leaves the choice to libav.

    It can say more than the codec: in QuickTime's files and for ProRes it is the profile, such as
    ap4h with transparency, without which frames decode with fewer bits.
    """
    context = stream.codec_context
    told = "mov" in stream.container.format.name or context.codec.canonical_name == "prores"
    try:
        tag = context.codec_tag if told else ""
    except UnicodeDecodeError:  # no text
        return None
    if len(tag) != 4 or not (tag.isascii() and tag.isprintable()):
        return None
    with suppress(FFmpegError, ValueError):
        output = av.open(io.BytesIO(), "w", format=muxer)
        try:
            output.add_stream_from_template(stream, opaque=True).codec_context.codec_tag = tag
            output.start_encoding()
        finally:
            with suppress(FFmpegError):  # it has no packets
                output.close()
        return tag
    return None


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
