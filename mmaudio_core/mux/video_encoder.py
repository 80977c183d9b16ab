"""The encoded picture: its size, its pixel format, its encoder."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from fractions import Fraction
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
from ..media import VideoInfo
from .formats import OutputPlan

_BT709 = 1
"""libav's number of it as a matrix, as primaries and as a transfer curve."""
_LARGEST = 2**31 - 1
"""libav keeps numerators and denominators in 32 bits."""
_PLAIN = "yuv420p"
_BITS = 8
"""Of each colour, in pictures that are not deep."""
_VP9 = {"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}


class EncodeFormat:
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


def choose_encode_format(
    info: VideoInfo, plan: OutputPlan, pix_fmt: str
) -> tuple[EncodeFormat, tuple[str, ...]]:
    """The shape asked for, or what comes nearest, and a note on why."""
    shape = EncodeFormat(info.width, info.height, pix_fmt)
    known = av.Codec(plan.video_encoder, "w").video_formats or ()
    if pix_fmt in {form.name for form in known}:
        return shape, ()
    note = f"{plan.picture} cannot be encoded as {pix_fmt} here: {_PLAIN} was used."
    return EncodeFormat(info.width, info.height, _PLAIN), (note,)


def add_video_stream(
    output: OutputContainer,
    plan: OutputPlan,
    shape: EncodeFormat,
    *,
    frame_rate: Fraction | None,
    unit: Fraction,
    crf: int,
) -> VideoStream:
    """A stream in ``output`` that encodes, its times in ``unit`` seconds.

    Raises:
        MediaError: when the rate is more than files can hold.
    """
    rate = (frame_rate or Fraction(25)).limit_denominator(100_000)
    if max(rate.numerator, unit.denominator) > _LARGEST:
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
    context.time_base = unit
    context.color_range = ColorRange.MPEG
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    return stream
