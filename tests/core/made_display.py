"""Small videos with display properties that an encoder, a container or both state."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from .made_videos import numbered, set_display_matrix
from .mp4_boxes import SAMPLE_ENTRY, TRACK, add_boxes, box, edit_box, full_box

F = Fraction
PQ, HLG = (9, 16, 9, 1), (9, 18, 9, 1)
"""BT.2020 in limited range: primaries, transfer, matrix, range, as libav numbers them."""
BT601_FULL = (6, 6, 6, 2)
_VP9 = {"deadline": "realtime", "cpu-used": "8", "b": "1M"}
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "bf": "0"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx-vp9": _VP9,
    "libvpx": _VP9,
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
}


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Five frames.

    Attributes:
        suffix, codec, pix_fmt, size: of the file.
        aspect: pixel aspect ratio that encoder and muxer are told.
        color: primaries, transfer, matrix and range that they are told.
        turn: the upper left of the display matrix, row by row (mp4 only).
        tags: of the stream.
        boxes: put into the sample entry of an mp4.
        change: what else is done to the file.
    """

    suffix: str = "mp4"
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (96, 96)
    aspect: Fraction | None = None
    color: tuple[int, int, int, int] | None = None
    turn: tuple[int, int, int, int] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    boxes: Sequence[bytes] = ()
    change: Callable[[Path], None] | None = None

    def write(self, path: Path) -> Path:
        """Write it to ``path``, without suffix, and return the path with it."""
        path = path.with_name(f"{path.name}.{self.suffix}")
        with av.open(path, "w") as output:
            stream: Any = output.add_stream(self.codec, rate=25, options=_OPTIONS.get(self.codec))
            stream.width, stream.height = self.size
            stream.pix_fmt = self.pix_fmt
            stream.metadata.update(self.tags)
            context = stream.codec_context
            if self.aspect:
                context.sample_aspect_ratio = self.aspect
            if self.color:
                context.color_primaries, context.color_trc, *_ = self.color
                context.colorspace, context.color_range = self.color[2:]
            for number in range(5):
                output.mux(stream.encode(self._frame(number)))
            output.mux(stream.encode(None))
        if self.boxes:
            add_boxes(path, *self.boxes)
        if self.turn:
            set_display_matrix(path, *self.turn)
        if self.change:
            self.change(path)
        return path

    def _frame(self, number: int) -> av.VideoFrame:
        picture = numbered(number, *self.size)
        alpha = np.full((*picture.shape[:2], 1), 128, np.uint8)
        if self.pix_fmt != "yuva420p":
            return av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=self.pix_fmt)
        return av.VideoFrame.from_ndarray(np.concatenate([picture, alpha], 2), "rgba").reformat(
            format="yuva420p"
        )


def pasp(horizontal: int, vertical: int) -> bytes:
    """Pixel aspect ratio (ISO/IEC 14496-12, 12.1.4)."""
    return box("pasp", struct.pack(">II", horizontal, vertical))


def colr(primaries: int, transfer: int, matrix: int, *, full: bool) -> bytes:
    """Colour information (12.1.5)."""
    return box("colr", b"nclx" + struct.pack(">HHHB", primaries, transfer, matrix, full << 7))


MDCV = box(
    "mdcv", struct.pack(">8H2I", 8500, 39850, 6550, 2300, 35400, 14600, 15635, 16450, 10**7, 50)
)
"""Mastering display: Display P3, D65, 1000 to 0.005 cd/m²."""
CLLI = box("clli", struct.pack(">HH", 1000, 400))
AMVE = box("amve", struct.pack(">IHH", 3140000, 15635, 16450))
ST3D = full_box("st3d", bytes([2]))
"""Side by side."""
SV3D = box(
    "sv3d",
    full_box("svhd", b"made\0")
    + box("proj", full_box("prhd", bytes(12)) + full_box("equi", bytes(16))),
)
"""Equirectangular."""
CLAP = box("clap", struct.pack(">4I4i", 80, 1, 64, 1, -2, 1, 4, 1))
"""Clean aperture of a picture of 96x96: 80x64, its middle 2 to the left and 4 down."""
DVCC = box("dvvC", bytes([1, 0, 8 << 1, 6 << 3 | 0b101, 4 << 4]) + bytes(19))
"""Dolby Vision 1.0, profile 8, level 6, base layer with RPU, compatible with HLG."""


def square_pasp(path: Path) -> None:
    """Let the container say that pixels are square."""
    edit_box(path, (*SAMPLE_ENTRY, "pasp"), lambda _: pasp(1, 1)[8:])
    shown_as(96, 96)(path)


def shown_as(width: int, height: int) -> Callable[[Path], None]:
    """Set the size in the track header."""
    size = struct.pack(">II", width << 16, height << 16)
    return lambda path: edit_box(path, (*TRACK, "tkhd"), lambda old: old[:-8] + size)


CLIPS = {
    "VP9, 64:45 in mp4": Clip(codec="libvpx-vp9", size=(80, 64), aspect=F(64, 45)),
    "H.264, 2:1": Clip(aspect=F(2)),
    "H.264, 12:11 in mkv": Clip(suffix="mkv", aspect=F(12, 11)),
    "H.264, 2:1, but square in the container": Clip(aspect=F(2), change=square_pasp),
    "H.264, 3:2 in the container alone": Clip(boxes=[pasp(3, 2)], change=shown_as(144, 96)),
    "H.264, shown twice as wide": Clip(change=shown_as(192, 96)),
    "H.263 in 3gp": Clip(suffix="3gp", codec="h263", size=(176, 144), aspect=F(12, 11)),
    "MPEG-4, 16:11": Clip(codec="mpeg4", aspect=F(16, 11)),
    "VP9, rotated and 4:3": Clip(codec="libvpx-vp9", turn=(0, -1, 1, 0), aspect=F(4, 3)),
    "VP8": Clip(suffix="webm", codec="libvpx"),
    "VP9, square": Clip(suffix="webm", codec="libvpx-vp9"),
    "AV1, 4:3": Clip(codec="libsvtav1", aspect=F(4, 3)),
    "ProRes, 10:11": Clip(suffix="mov", codec="prores_ks", pix_fmt="yuv422p10le", aspect=F(10, 11)),
    "90 degrees": Clip(size=(96, 64), turn=(0, -1, 1, 0)),
    "180 degrees": Clip(size=(96, 64), turn=(-1, 0, 0, -1)),
    "270 degrees and 2:1": Clip(size=(96, 64), turn=(0, 1, -1, 0), aspect=F(2)),
    "mirrored": Clip(size=(96, 64), turn=(-1, 0, 0, 1)),
    "mirrored and rotated": Clip(size=(96, 64), turn=(0, -1, -1, 0)),
    "HLG": Clip(pix_fmt="yuv420p10le", color=HLG),
    "PQ with mastering data": Clip(pix_fmt="yuv420p10le", color=PQ, boxes=[MDCV, CLLI]),
    "HEVC PQ with ambient light": Clip(
        codec="libx265", pix_fmt="yuv420p10le", color=PQ, boxes=[MDCV, CLLI, AMVE]
    ),
    "AV1, PQ": Clip(codec="libsvtav1", pix_fmt="yuv420p10le", color=PQ, boxes=[MDCV, CLLI]),
    "VP9, HLG in the container": Clip(suffix="mkv", codec="libvpx-vp9", color=(9, 18, 9, 1)),
    "full range": Clip(pix_fmt="yuvj420p", color=BT601_FULL),
    "MPEG-4, colors in the container": Clip(codec="mpeg4", boxes=[colr(9, 18, 9, full=True)]),
    "MJPEG, full range": Clip(codec="mjpeg", pix_fmt="yuvj420p", color=(1, 1, 6, 2)),
    "stereo 3D": Clip(boxes=[ST3D]),
    "stereo 3D in mkv": Clip(suffix="mkv", tags={"stereo_mode": "left_right"}),
    "spherical": Clip(boxes=[SV3D]),
    "Dolby Vision": Clip(codec="libx265", pix_fmt="yuv420p10le", color=HLG, boxes=[DVCC]),
    "cropped": Clip(boxes=[CLAP]),
    "cropped, 2:1": Clip(boxes=[pasp(2, 1), CLAP]),
    "cropped, rotated, in VP9": Clip(codec="libvpx-vp9", turn=(0, -1, 1, 0), boxes=[CLAP]),
    "VP9 with transparency": Clip(suffix="webm", codec="libvpx-vp9", pix_fmt="yuva420p"),
}
