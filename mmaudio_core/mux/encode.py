"""Pictures encoded as H.264 or VP9, with sound."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import torch
from av.container import OutputContainer
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from torch import Tensor

from ..errors import MediaError
from ..media.decode import Picture, pictures
from ..media.packets import packet_span
from ..media.probe import VideoInfo, probe
from ..media.source import ImageSequence, VideoSource, open_video
from ..media.timing import SYNC_RATE, whole_frames
from ..progress import Progress, silent
from .formats import Plan, plan_encode
from .options import FileOptions, SoundOptions
from .order import shown_first
from .result import MuxResult, written_whole
from .soundtrack import soundtrack

_BT709 = 1
"""libav's number of it as a matrix, as primaries and as a transfer curve."""
_TICKS = 90_000
"""Ticks a second for times that follow no frame rate."""
_LARGEST = 2**31 - 1
"""libav keeps numerators and denominators in 32 bits."""
_PLAIN = "yuv420p"
_BITS = 8
"""Of each colour, in pictures that are not deep."""
_VP9 = {"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}


def encode_images(
    images: ImageSequence,
    waveform: Tensor,
    sample_rate: int,
    path_stem: Path,
    *,
    start: Fraction = Fraction(0),
    sound: SoundOptions | None = None,
    file: FileOptions | None = None,
    original: tuple[Tensor, int] | None = None,
    progress: Progress = silent,
) -> MuxResult:
    """Write images as H.264 (in webm as VP9) with sound.

    A side of odd length, which most pixel formats cannot hold, gets its last pixel twice.

    Args:
        images: the picture.
        waveform: (C, T) samples in [-1, 1], C 1 or 2; louder ones are clipped.
        sample_rate: of the waveform, in Hz.
        path_stem: the file to write, without its suffix.
        start: where in the picture the sound begins, in seconds; silence before it.
        sound, file: see there.
        original: the sound that the images came with, (C, T), and its rate.
        progress: called as ("encode", done, total), in 25ths of a second.

    Returns:
        The file written, which is there whole or not at all.

    Raises:
        MediaError: when the images or the waveform cannot be used, or the file cannot be written.
    """
    info = probe(images)
    rate = images.frame_rate.limit_denominator(100_000)
    part = _Part(source=images, info=info, length=info.duration, unit=1 / rate, old=original)
    return _encode(part, (waveform, sample_rate), path_stem, start, sound, file, progress=progress)


def encode_video(
    video: VideoSource,
    waveform: Tensor,
    sample_rate: int,
    path_stem: Path,
    *,
    begin: Fraction = Fraction(0),
    duration: Fraction | None = None,
    start: Fraction = Fraction(0),
    sound: SoundOptions | None = None,
    file: FileOptions | None = None,
    plan: Plan | None = None,
    progress: Progress = silent,
) -> MuxResult:
    """As ``encode_images``, from a file whose packets cannot be copied, or from a part of one.

    Args:
        begin: where in the file the picture begins, in seconds.
        duration: seconds of it; None for all.
        plan: what was decided before.
    """
    with open_video(video) as (container, stream):
        zero = shown_first(packet_span(container, stream), stream)
    info = probe(video)
    length = info.duration - begin
    if not 0 <= begin < info.duration:
        raise MediaError(
            f"a part of the video from {float(begin):g} s on was asked for, but it lasts"
            f" {float(info.duration):g} s; expected a start within it. Trim it less."
        )
    part = _Part(
        source=video,
        info=info,
        begin=begin,
        length=length if duration is None else min(length, duration),
        unit=Fraction(1, _TICKS),
        old=video,
        zero=zero + begin,
    )
    return _encode(
        part, (waveform, sample_rate), path_stem, start, sound, file, plan=plan, progress=progress
    )


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What of a picture is encoded.

    Args:
        source, info: the picture.
        begin, length: the part of it that is, in seconds.
        unit: seconds a tick of the encoded picture lasts.
        old: where its own sound is; None when it has none.
        zero: see ``Original``.
    """

    source: VideoSource | ImageSequence
    info: VideoInfo
    length: Fraction
    unit: Fraction
    old: VideoSource | tuple[Tensor, int] | None
    begin: Fraction = Fraction(0)
    zero: Fraction = Fraction(0)

    def shown(self, length: Fraction) -> Iterator[tuple[Picture, Fraction]]:
        """The pictures with their times in the part, up to ``length``."""
        held = None  # the one shown when the part begins
        for picture in pictures(self.source, self.begin):
            time = picture.time - self.begin
            if time >= length:
                break
            if time <= 0:
                held = picture
                continue
            if held is not None:
                yield held, Fraction(0)
                held = None
            yield picture, time
        if held is not None:
            yield held, Fraction(0)

    def pixels(self, picture: Picture, deep: bool) -> Tensor:
        """(H, W, 3) uint8; uint16 in int32 where the images have more than 8 bits to give."""
        if not deep or not isinstance(self.source, ImageSequence):
            return picture.rgb()
        picture.rgb()  # refuses NaN and infinity
        image = self.source.images[round(picture.time * self.source.frame_rate), ..., :3]
        image = image.detach().to("cpu", torch.float32)
        return image.clamp(0, 1).mul(65535).round().to(torch.int32)


def _encode(
    part: _Part,
    take: tuple[Tensor, int],
    path_stem: Path,
    start: Fraction,
    sound: SoundOptions | None,
    file: FileOptions | None,
    *,
    plan: Plan | None = None,
    progress: Progress,
) -> MuxResult:
    file = file or FileOptions()
    plan = plan or plan_encode(file)
    heard, length, notes = soundtrack(
        *take,
        start=start,
        zero=part.zero,
        length=part.length,
        source=part.old,
        options=(sound or SoundOptions(), file),
        plan=plan,
        progress=progress,
    )
    shape, more = _shape(part.info, plan, file.pix_fmt)
    total = max(1, whole_frames(length, SYNC_RATE))
    with written_whole(path_stem, plan.container, file.metadata) as (output, path):
        stream = _encoder(output, plan, shape, part, file.crf)
        with heard.into(output) as tracks:
            for picture, time in part.shown(length):
                progress("encode", min(total, whole_frames(time, SYNC_RATE)), total)
                tracks.write_until(time)
                frame = shape.frame(part.pixels(picture, shape.is_deep))
                frame.time_base = part.unit
                frame.pts = round(time / part.unit)
                output.mux(stream.encode(frame))
            tracks.finish()
            output.mux(stream.encode(None))
        progress("encode", total, total)
    return MuxResult(
        path=path,
        video_codec=plan.encoded,
        container=plan.container,
        notes=(*plan.notes, *more, *notes),
    )


def _shape(info: VideoInfo, plan: Plan, pix_fmt: str) -> tuple[_Shape, tuple[str, ...]]:
    shape = _Shape(info.width, info.height, pix_fmt)
    known = av.Codec(plan.video_encoder, "w").video_formats or ()
    if pix_fmt in {form.name for form in known}:
        return shape, ()
    note = f"{plan.picture} cannot be encoded as {pix_fmt} here: {_PLAIN} was used."
    return _Shape(info.width, info.height, _PLAIN), (note,)


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
        self.is_deep = max(part.bits for part in form.components) > _BITS
        self._more_x = width % 2 if form.chroma_width(2) == 1 else 0
        self._more_y = height % 2 if form.chroma_height(2) == 1 else 0
        self.width = width + self._more_x
        self.height = height + self._more_y

    def frame(self, picture: Tensor) -> av.VideoFrame:
        """(H, W, 3) uint8, or uint16 in int32 -> a frame to encode, BT.709."""
        if self._more_x:
            picture = torch.cat([picture, picture[:, -1:]], 1)
        if self._more_y:
            picture = torch.cat([picture, picture[-1:]], 0)
        pixels = picture.contiguous().numpy()
        if picture.dtype == torch.uint8:
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
        else:
            frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint16), "rgb48le")
        return frame.reformat(
            format=self.pix_fmt,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )


def _encoder(
    output: OutputContainer, plan: Plan, shape: _Shape, part: _Part, crf: int
) -> VideoStream:
    rate = (part.info.frame_rate or Fraction(25)).limit_denominator(100_000)
    if max(rate.numerator, part.unit.denominator) > _LARGEST:
        raise MediaError(
            f"a frame rate of {float(rate):g} was given, more than a video file can hold."
            " Set frame_rate to the images' own rate, for instance 25."
        )
    options = {"crf": str(crf)} | (_VP9 if plan.encoded == "vp9" else {})
    added = output.add_stream(plan.video_encoder, rate=rate, options=options)
    stream = cast(VideoStream, added)
    stream.width = shape.width
    stream.height = shape.height
    stream.pix_fmt = shape.pix_fmt
    context = stream.codec_context
    context.time_base = part.unit
    context.color_range = ColorRange.MPEG
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    return stream
