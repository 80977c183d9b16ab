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
from ..media import FrameSource, PathOrBytes, VideoFile, open_source
from ..media.packets import read_packets
from ..media.timestamps import nominal_step, time_base
from ..progress import Progress, no_progress
from .atomic_output import MuxResult, atomic_output
from .encode import encode_video
from .formats import plan_copy
from .options import AudioOptions, FileOptions
from .output_audio import OutputAudio, prepare_output_audio
from .timestamps import packet_times


def mux_audio(
    video: PathOrBytes | FrameSource,
    waveform: Tensor,
    sample_rate: int,
    path_stem: Path,
    *,
    start: Fraction = Fraction(0),
    sound: AudioOptions | None = None,
    file: FileOptions | None = None,
    progress: Progress = no_progress,
) -> MuxResult:
    """Give a video another sound.

    The picture's packets are copied bit for bit, all of them, with their times relative to the
    first frame shown; of the file's other tracks only the best sound can be kept. (Transport and
    raw streams mark where a unit begins; mp4 demands its length there instead, so those packets
    differ in just that.) A container that does not take the picture's codec gets it encoded.

    Args:
        video: the file with the picture.
        waveform: (C, T) samples in [-1, 1], C 1 or 2; louder ones are clipped.
        sample_rate: of the waveform, in Hz.
        path_stem: the file to write, without its suffix.
        start: where in the picture the sound begins, in seconds; silence before it.
        sound, file: see there.
        progress: called as ("mux", packets done, packets).

    Returns:
        The file written, which is there whole or not at all.

    Raises:
        MediaError: when the video cannot be read, the waveform cannot be used, or the file cannot
            be written.
    """
    file = file or FileOptions()
    video = open_source(video)
    codec = (video.packets.info if isinstance(video, VideoFile) else video.info).codec
    plan = plan_copy(codec, file)
    if not isinstance(video, VideoFile) or not plan.copied:
        return encode_video(
            video,
            waveform,
            sample_rate,
            path_stem,
            start=start,
            sound=sound,
            file=file,
            plan=plan,
            progress=progress,
        )
    heard, length, notes = prepare_output_audio(
        waveform,
        sample_rate,
        start=start,
        zero=video.packets.start,
        length=video.packets.info.duration,
        source=video,
        options=(sound or AudioOptions(), file),
        plan=plan,
        progress=progress,
    )
    until = length if length < video.packets.info.duration else None
    with atomic_output(path_stem, plan.container, file.metadata) as (output, path):
        _copy(video, until, output, heard, progress)
    notes = (*plan.notes, *notes)
    return MuxResult(path=path, video_codec=codec, container=plan.container, notes=notes)


def _copy(
    video: VideoFile,
    until: Fraction | None,
    output: OutputContainer,
    heard: OutputAudio,
    progress: Progress,
) -> None:
    times = packet_times(video)
    with video.open() as (container, stream):
        unit = time_base(stream)
        if until is not None:
            # Later pictures that earlier ones refer to stay.
            times = times[: 1 + max(i for i, time in enumerate(times) if time.pts * unit < until)]
        picture = _like(output, stream)
        step = max(1, round(nominal_step(stream) / unit))
        packets = zip(read_packets(container, stream), times, strict=False)
        with heard.into(output) as tracks:
            for done, (packet, time) in enumerate(packets):
                progress("mux", done, len(times))
                tracks.write_until(max(Fraction(0), time.dts * unit))
                packet.pts, packet.dts = time.pts, time.dts
                packet.duration = packet.duration or step
                packet.stream = picture
                output.mux(packet)
            tracks.finish()
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
