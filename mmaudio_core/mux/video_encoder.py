"""Encoding video: its size, pixel format and encoder."""

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

from ..errors import MediaError, Problem
from .formats import OutputPlan

_BT709 = 1
"""libav's number of it as a matrix, as primaries and as a transfer curve."""
_MAX_INT32 = 2**31 - 1
"""libav stores numerators and denominators in 32 bits."""
_VP9_OPTIONS = {"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}


class EncodeFormat:
    """Size and pixel format of encoded video.

    Sides of odd length are padded by one pixel if chroma is subsampled along them.
    """

    def __init__(self, width: int, height: int, pix_fmt: str) -> None:
        form = VideoFormat(pix_fmt)
        self.pix_fmt = pix_fmt
        self.is_deep = max(component.bits for component in form.components) > 8
        self._pad_x = width % 2 if form.chroma_width(2) == 1 else 0
        self._pad_y = height % 2 if form.chroma_height(2) == 1 else 0
        self.width = width + self._pad_x
        self.height = height + self._pad_y

    def frame(self, pixels: Tensor) -> av.VideoFrame:
        """Convert (H, W, 3) RGB, uint8 or 16 bits in int32, to a BT.709 frame to encode."""
        if self._pad_x:
            pixels = torch.cat([pixels, pixels[:, -1:]], 1)
        if self._pad_y:
            pixels = torch.cat([pixels, pixels[-1:]], 0)
        array = pixels.contiguous().numpy()
        if pixels.dtype == torch.uint8:
            frame = av.VideoFrame.from_ndarray(array, "rgb24")
        else:
            frame = av.VideoFrame.from_ndarray(array.astype(np.uint16), "rgb48le")
        return frame.reformat(
            format=self.pix_fmt,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )


def add_video_stream(
    output: OutputContainer,
    plan: OutputPlan,
    encode_format: EncodeFormat,
    *,
    frame_rate: Fraction | None,
    time_base: Fraction,
) -> VideoStream:
    """Add a video stream that encodes.

    Args:
        output: the file to write.
        plan: says which encoder, and its quality.
        encode_format: size and pixel format.
        frame_rate: average frames per second, if known.
        time_base: seconds per tick of frame times.

    Raises:
        MediaError: if the frame rate is more than files can hold.
    """
    rate = (frame_rate or Fraction(25)).limit_denominator(100_000)
    if max(rate.numerator, time_base.denominator) > _MAX_INT32:
        raise MediaError(
            f"got a frame rate of {float(rate):g}, expected one that a video file can hold (below"
            f" {_MAX_INT32})",
            problem=Problem.FRAME_RATE,
        )
    options = {"crf": str(plan.options.crf)}
    if plan.encoded_codec == "vp9":
        options |= _VP9_OPTIONS
    stream = cast(VideoStream, output.add_stream(plan.video_encoder, rate=rate, options=options))
    stream.width = encode_format.width
    stream.height = encode_format.height
    stream.pix_fmt = encode_format.pix_fmt
    context = stream.codec_context
    context.time_base = time_base
    context.color_range = ColorRange.MPEG
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    return stream
