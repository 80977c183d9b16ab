"""Pictures encoded as H.264, with sound."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import torch
from av.container import OutputContainer
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from torch import Tensor

from ..errors import MediaError
from ..media.decode import pictures
from ..media.probe import VideoInfo, probe
from ..media.source import ImageSequence, VideoSource
from ..media.timing import SYNC_RATE, whole_frames
from ..progress import Progress, silent
from .result import MuxResult, written_whole
from .sound import Sound, SoundTrack, fit_sound

_ENCODER = "libx264"
_BT709 = 1
"""libav's number of it as a matrix, as primaries and as a transfer curve."""
_TICKS = 90_000
"""Ticks a second for times that follow no frame rate."""
_LARGEST = 2**31 - 1
"""libav keeps numerators and denominators in 32 bits."""


def encode_images(
    images: ImageSequence,
    waveform: Tensor,
    sample_rate: int,
    path_stem: Path,
    *,
    start: Fraction = Fraction(0),
    crf: int = 19,
    pix_fmt: str = "yuv420p",
    progress: Progress = silent,
) -> MuxResult:
    """Write images as an H.264 mp4 with sound.

    A side of odd length, which most pixel formats cannot hold, gets its last pixel twice.

    Args:
        images: the picture.
        waveform: (C, T) samples in [-1, 1], C 1 or 2; louder ones are clipped.
        sample_rate: of the waveform, in Hz.
        path_stem: the file to write, without its suffix.
        start: where in the picture the sound begins, in seconds; silence before it.
        crf: x264's quality, 0 (lossless) to 51.
        pix_fmt: libav's name of the pixel format, for instance yuv420p or yuv444p.
        progress: called as ("encode", done, total), in 25ths of a second.

    Returns:
        The file written, which is there whole or not at all.

    Raises:
        MediaError: when the images or the waveform cannot be used, or the file cannot be written.
    """
    info = probe(images)
    sound, notes = fit_sound(waveform, sample_rate, start=start, length=info.duration)
    rate = images.frame_rate.limit_denominator(100_000)
    return _encode(
        images, info, sound, path_stem, 1 / rate, crf, pix_fmt, notes=notes, progress=progress
    )


def encode_video(
    video: VideoSource,
    sound: Sound,
    path_stem: Path,
    *,
    notes: tuple[str, ...],
    progress: Progress,
) -> MuxResult:
    """As ``encode_images``, from a file whose packets cannot be copied."""
    return _encode(
        video,
        probe(video),
        sound,
        path_stem,
        Fraction(1, _TICKS),
        19,
        "yuv420p",
        notes=notes,
        progress=progress,
    )


def _encode(
    source: VideoSource | ImageSequence,
    info: VideoInfo,
    sound: Sound,
    path_stem: Path,
    unit: Fraction,
    crf: int,
    pix_fmt: str,
    *,
    notes: tuple[str, ...],
    progress: Progress,
) -> MuxResult:
    total = max(1, whole_frames(info.duration, SYNC_RATE))
    with written_whole(path_stem, "mp4") as (output, path):
        shape = _Shape(info.width, info.height, pix_fmt)
        stream = _h264(output, shape, info, unit, crf)
        track = SoundTrack(output, sound)
        for picture in pictures(source, Fraction(0)):
            progress("encode", min(total, whole_frames(picture.time, SYNC_RATE)), total)
            track.write_until(picture.time)
            frame = shape.frame(picture.rgb())
            frame.time_base = unit
            frame.pts = round(picture.time / unit)
            output.mux(stream.encode(frame))
        track.finish()
        output.mux(stream.encode(None))
        progress("encode", total, total)
    return MuxResult(path=path, video_codec="h264", container="mp4", notes=notes)


class _Shape:
    """The encoded picture's size and pixel format."""

    def __init__(self, width: int, height: int, pix_fmt: str) -> None:
        try:
            form = VideoFormat(pix_fmt)
        except ValueError as error:
            raise MediaError(
                f"a pixel format '{pix_fmt}' was asked for; expected one that libav knows, for"
                " instance yuv420p or yuv444p."
            ) from error
        self.pix_fmt = pix_fmt
        self._more_x = width % 2 if form.chroma_width(2) == 1 else 0
        self._more_y = height % 2 if form.chroma_height(2) == 1 else 0
        self.width = width + self._more_x
        self.height = height + self._more_y

    def frame(self, picture: Tensor) -> av.VideoFrame:
        """(H, W, 3) uint8 -> a frame to encode, BT.709."""
        if self._more_x:
            picture = torch.cat([picture, picture[:, -1:]], 1)
        if self._more_y:
            picture = torch.cat([picture, picture[-1:]], 0)
        frame = av.VideoFrame.from_ndarray(picture.contiguous().numpy(), "rgb24")
        return frame.reformat(
            format=self.pix_fmt,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )


def _h264(
    output: OutputContainer, shape: _Shape, info: VideoInfo, unit: Fraction, crf: int
) -> VideoStream:
    rate = (info.frame_rate or Fraction(25)).limit_denominator(100_000)
    if max(rate.numerator, unit.denominator) > _LARGEST:
        raise MediaError(
            f"a frame rate of {float(rate):g} was given, more than a video file can hold."
            " Set frame_rate to the images' own rate, for instance 25."
        )
    stream = output.add_stream(_ENCODER, rate=rate, options={"crf": str(crf)})
    stream.width = shape.width
    stream.height = shape.height
    stream.pix_fmt = shape.pix_fmt
    context = stream.codec_context
    context.time_base = unit
    context.color_range = ColorRange.MPEG
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    return stream
