"""A file's decoded frames as they are encoded: in their own color, shape and fields if possible."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction

import torch
from av.error import FFmpegError
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from torch import Tensor

from ..media import VideoFile
from ..media.compat import (
    color_description,
    converts_range,
    is_full_range,
    light_metadata,
    side_data,
)
from ..media.decode import DecodedFrame, FrameConverter
from ..media.deinterlace import deinterlace
from ..media.orientation import Orientation, frame_orientation
from .video_encoder import ColorTags, EncodeFormat

_UNSPECIFIED = 2
_TOP_FIRST, _FIELD_ORDERS = 2, range(2, 6)
"""libav's numbers of the orders of fields."""
_PLANAR = ("yuv4", "gray")
"""How names of pixel formats begin that have one plane per component."""
_TONE_MAPPED = (
    "The video is HDR, and was tone-mapped to SDR for the 8 bits of {}; mp4 and mkv keep HDR with"
    " pix_fmt yuv420p10le."
)
_DEINTERLACED = "The video is interlaced: it was deinterlaced to be encoded."
_WITHOUT_CAPTIONS = (
    "The video's closed captions were lost when it was encoded; where it is copied, they stay."
)


class FilePictures:
    """The frames of a file from ``start`` on, and how they are encoded.

    HDR is tone-mapped to SDR BT.709 for 8 bits. Fields stay fields in H.264; frames that are turned
    or padded, and those of VP9, are deinterlaced.

    Args:
        source: the file.
        start: seconds after the first frame.
        pix_fmt: libav's name of the pixel format to encode.
        codec: h264 or vp9.

    Attributes:
        format: what the encoder gets.
        notes: what is not as in the file, a sentence each.
    """

    def __init__(self, source: VideoFile, start: Fraction, pix_fmt: str, codec: str) -> None:
        self._source = source
        self._start = start
        self._size, self.format, self.notes = _plan(source, start, pix_fmt, codec)
        self._reformatter = VideoReformatter()
        self._to_frame = FrameConverter()

    def frames(self) -> Iterator[DecodedFrame]:
        """The frames as decoded, deinterlaced if they are not encoded as fields."""
        frames = self._source.decoded_frames(self._start)
        return frames if self.format.field_order is not None else deinterlace(frames)

    def convert(self, frame: DecodedFrame) -> VideoFrame:
        """A frame as it is encoded, but for its time."""
        picture = frame.picture
        if _through_rgb(frame, self.format):
            return self.format.frame(self._to_frame(frame).rgb())
        try:
            converted = self._converted(picture)
        except FFmpegError:  # a pixel format that only RGB is made from, or nothing at all
            return self.format.frame(self._to_frame(frame).rgb())
        orientation = frame_orientation(picture)
        if orientation != Orientation() or self.format.pad_x or self.format.pad_y:
            converted = _arranged(converted, orientation, self.format)
        converted.pict_type = 0  # the encoder would follow it
        return converted

    def _converted(self, picture: VideoFrame) -> VideoFrame:
        full = is_full_range(picture) or _is_rgb(picture)
        # The same matrix on both sides, whatever it is: only RGB is converted, to BT.709.
        return self._reformatter.reformat(
            picture,
            *self._size,
            format=self.format.pix_fmt,
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
        )


def _plan(
    source: VideoFile, start: Fraction, pix_fmt: str, codec: str
) -> tuple[tuple[int, int], EncodeFormat, tuple[str, ...]]:
    """Size of the decoded frames, what is encoded, and what is not as in the file."""
    first = next(source.decoded_frames(start))
    picture, orientation = first.picture, frame_orientation(first.picture)
    with source.open() as (_, stream):
        context = stream.codec_context
        colors = (context.color_trc, context.color_primaries)
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        order = getattr(context, "field_order", 0)
    size = (picture.width, picture.height)
    width, height = reversed(size) if orientation.transpose else size
    form = EncodeFormat(width, height, pix_fmt)
    through_rgb = _through_rgb(first, form)
    keeps_fields = codec == "h264" and not through_rgb and orientation == Orientation()
    keeps_fields = keeps_fields and not form.pad_x and height % 4 == 0
    notes = ()
    if through_rgb and first.color is not None and first.color.is_hdr:
        notes += (_TONE_MAPPED.format(pix_fmt),)
    if picture.interlaced_frame and not keeps_fields:
        notes += (_DEINTERLACED,)
    # libx264 writes those of frames that are neither made anew nor, as fields, woven from others
    new = through_rgb or orientation != Orientation() or form.pad_x or form.pad_y
    kept = codec == "h264" and not new and (keeps_fields or not picture.interlaced_frame)
    if not kept and _has_captions(picture):
        notes += (_WITHOUT_CAPTIONS,)
    form = EncodeFormat(
        width,
        height,
        pix_fmt,
        pixel_aspect=1 / aspect if orientation.transpose else aspect,
        tags=ColorTags() if through_rgb else _tags(picture, colors),
        field_order=(order if order in _FIELD_ORDERS else _TOP_FIRST)
        if picture.interlaced_frame and keeps_fields
        else None,
        light_params="" if through_rgb else _light_params(picture),
    )
    return size, form, notes


def _has_captions(picture: VideoFrame) -> bool:
    try:
        return side_data(picture, Type.A53_CC) is not None
    except ValueError:  # a kind of side data that this PyAV does not know
        return False


def _through_rgb(frame: DecodedFrame, form: EncodeFormat) -> bool:
    """Whether a frame is tone-mapped, or its pixel format is one that planes do not make up."""
    hdr = frame.color is not None and frame.color.is_hdr
    planar = form.pix_fmt.startswith(_PLANAR) and converts_range(frame.picture, form.pix_fmt)
    return (hdr and not form.is_deep) or not planar


def _tags(picture: VideoFrame, context: tuple[int, int]) -> ColorTags:
    """The frame's own; RGB gets BT.709's matrix."""
    transfer, primaries = color_description(picture, context)
    if not _is_rgb(picture):
        return ColorTags(matrix=picture.colorspace, transfer=transfer, primaries=primaries)
    told = _UNSPECIFIED not in (transfer, primaries)
    return ColorTags(transfer=transfer, primaries=primaries) if told else ColorTags()


def _light_params(picture: VideoFrame) -> str:
    """HDR10's metadata as x264 takes it, in its units: 0.00002, and 0.0001 cd/m2."""
    content, mastering = light_metadata(picture)
    params: list[str] = []
    if content is not None:
        params.append("cll={},{}".format(*struct.unpack_from("=2I", content)))
    if mastering is not None:
        *numbers, has_primaries, has_luminance = struct.unpack_from("=22i", mastering)
        if has_primaries and has_luminance and all(numbers[1::2]):
            ratios = [Fraction(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
            red, green, blue, white = (
                f"({round(x * 50_000)},{round(y * 50_000)})"
                for x, y in zip(ratios[:8:2], ratios[1:8:2], strict=True)
            )
            light = f"({round(ratios[9] * 10_000)},{round(ratios[8] * 10_000)})"
            params.append(f"mastering-display=G{green}B{blue}R{red}WP{white}L{light}")
    return ":".join(params)


def _is_rgb(picture: VideoFrame) -> bool:
    return picture.format.is_rgb or picture.format.has_palette


def _arranged(frame: VideoFrame, orientation: Orientation, form: EncodeFormat) -> VideoFrame:
    """A planar frame upright, its sides made even by repeating the last row or column."""
    result = VideoFrame(form.width, form.height, form.pix_fmt)
    for number in range(len(frame.planes)):
        source = orientation(_samples(frame, number)[..., None])[..., 0]
        target = _samples(result, number)
        height, width = source.shape
        target[:height, :width] = source
        target[height:] = target[height - 1 : height]
        target[:, width:] = target[:, width - 1 : width]
    return result


def _samples(frame: VideoFrame, number: int) -> Tensor:
    """A plane (H, W), as uint8 or int16, which share its memory."""
    plane = frame.planes[number]
    deep = max(component.bits for component in frame.format.components) > 8
    dtype = torch.int16 if deep else torch.uint8
    rows = torch.frombuffer(plane, dtype=dtype).view(plane.height, -1)
    return rows[:, : plane.width]
