"""A file's decoded frames as they are encoded: in their own color, shape and fields if possible."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction

import torch
from av.error import FFmpegError
from av.filter import Graph
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
_TOP_FIRST, _BOTTOM_FIRST = 2, 3
"""libav's numbers of the orders of fields."""
_TIME_BASE = Fraction(1, 1000)
"""Of a filter that uses none."""
_PLANAR = ("yuv4", "gray")
"""How names of pixel formats begin that have one plane per component."""
_TONE_MAPPED = (
    "The video is HDR, and was tone-mapped to SDR for the 8 bits of {}; mp4 and mkv keep HDR with"
    " pix_fmt yuv420p10le."
)
_DEINTERLACED = "The video is interlaced: it was deinterlaced to be encoded."
WITHOUT_TRANSPARENCY = "The video's transparency was lost when it was encoded."
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
        transparent = "alpha_mode" in {key.lower() for key in stream.metadata}
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
    params = [] if through_rgb else _light_params(picture)
    order = None
    if picture.interlaced_frame and keeps_fields:
        order = _field_order(picture)
        if order == _BOTTOM_FIRST:  # the first frames would say otherwise
            params.append("bff=1")
    if transparent or _is_transparent(picture):
        notes += (WITHOUT_TRANSPARENCY,)
    form = EncodeFormat(
        width,
        height,
        pix_fmt,
        pixel_aspect=1 / aspect if orientation.transpose else aspect,
        tags=ColorTags() if through_rgb else _tags(picture, colors),
        field_order=order,
        x264_params=":".join(params),
    )
    return size, form, notes


def _field_order(picture: VideoFrame) -> int:
    """Of an interlaced frame: which of its fields is shown first.

    Files may tell nothing, as those with DV, or something else. PyAV has no name for it, but
    libav's filter fieldorder changes only frames of the other order.
    """
    with suppress(FFmpegError, ValueError):
        gray = picture.reformat(format="gray")  # a format that the filter takes as it is
        graph = Graph()
        source = graph.add_buffer(
            width=gray.width, height=gray.height, format=gray.format, time_base=_TIME_BASE
        )
        filters = graph.add("fieldorder", "order=tff"), graph.add("buffersink")
        graph.link_nodes(source, *filters).configure()
        graph.push(gray)
        if not torch.equal(_samples(graph.vpull(), 0), _samples(gray, 0)):
            return _BOTTOM_FIRST
    return _TOP_FIRST


def _is_transparent(picture: VideoFrame) -> bool:
    """Whether any pixel of a frame is; that it has a channel for it says little, as of a GIF."""
    form = picture.format
    if not form.has_palette and not any(part.is_alpha for part in form.components):
        return False
    with suppress(FFmpegError, ValueError):
        plane = picture.reformat(format="rgba").planes[0]
        rows = torch.frombuffer(plane, dtype=torch.uint8).view(picture.height, plane.line_size)
        return bool((rows[:, 3 : picture.width * 4 : 4] < 255).any())
    return False


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


def _light_params(picture: VideoFrame) -> list[str]:
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
    return params


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
