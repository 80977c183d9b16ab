"""Encoding video: its size, pixel format and encoder."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
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

_MAX_INT32 = 2**31 - 1
"""libav stores numerators and denominators in 32 bits."""
_VP9_OPTIONS = {"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}
_INTERLACED_OPTIONS = {"flags": "+ildct+ilme"}


@dataclass(frozen=True, kw_only=True)
class ColorTags:
    """Code points of ITU-T H.273; those of BT.709 by default."""

    matrix: int = 1
    transfer: int = 1
    primaries: int = 1


class EncodeFormat:
    """Size, shape, pixel format, color and fields of encoded video.

    Sides of odd length are padded by one pixel if chroma is subsampled along them.

    Args:
        width, height: pixels of the frames that come.
        pix_fmt: libav's name of the pixel format to encode.
        pixel_aspect: width of a pixel to its height.
        tags: what its colors mean; their range is limited.
        field_order: libav's number of the order of fields; None if the video is progressive.
        x264_params: for what is said of its light and fields.
    """

    def __init__(
        self,
        width: int,
        height: int,
        pix_fmt: str,
        *,
        pixel_aspect: Fraction = Fraction(1),
        tags: ColorTags | None = None,
        field_order: int | None = None,
        x264_params: str = "",
    ) -> None:
        form = VideoFormat(pix_fmt)
        self.pix_fmt = pix_fmt
        self.pixel_aspect = pixel_aspect
        self.tags = tags or ColorTags()
        self.field_order = field_order
        self.x264_params = x264_params
        self.is_deep = max(component.bits for component in form.components) > 8
        self.pad_x = width % 2 if form.chroma_width(2) == 1 else 0
        self.pad_y = height % 2 if form.chroma_height(2) == 1 else 0
        self.width = width + self.pad_x
        self.height = height + self.pad_y

    def frame(self, pixels: Tensor) -> av.VideoFrame:
        """Convert (H, W, 3) RGB, uint8 or 16 bits in int32, to a BT.709 frame to encode."""
        if self.pad_x:
            pixels = torch.cat([pixels, pixels[:, -1:]], 1)
        if self.pad_y:
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
        encode_format: what the frames are.
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
    elif encode_format.x264_params:
        options["x264-params"] = encode_format.x264_params
    if encode_format.field_order is not None:
        options |= _INTERLACED_OPTIONS
    stream = cast(VideoStream, output.add_stream(plan.video_encoder, rate=rate, options=options))
    stream.width = encode_format.width
    stream.height = encode_format.height
    stream.pix_fmt = encode_format.pix_fmt
    context = stream.codec_context
    context.time_base = time_base
    context.sample_aspect_ratio = encode_format.pixel_aspect
    context.color_range = ColorRange.MPEG
    tags = encode_format.tags
    context.colorspace, context.color_trc = tags.matrix, tags.transfer
    context.color_primaries = tags.primaries
    if encode_format.field_order is not None and hasattr(context, "field_order"):
        context.field_order = encode_format.field_order  # PyAV 14 lacks it; H.264 has its own
    return stream
