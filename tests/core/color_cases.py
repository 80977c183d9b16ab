"""Lossless clips of every kind of color, made from one picture; none needs ffmpeg."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.format import VideoFormat

BT709, UNSPECIFIED, BT470BG, SMPTE170M, BT2020 = 1, 2, 5, 6, 9
PQ, HLG, BT2020_10 = 16, 18, 14
P3, GBR = 12, 0
LIMITED, FULL = 1, 2
_LUMA = {BT709: (0.2126, 0.0722), SMPTE170M: (0.299, 0.114), BT2020: (0.2627, 0.0593)}
"""Weights of red and blue."""
_LUMA[BT470BG] = _LUMA[UNSPECIFIED] = _LUMA[SMPTE170M]
TONE_MAP = (
    "zscale=t=linear:npl=100,tonemap=hable:desat=0,zscale=p=bt709:t=bt709:m=bt709,format=gbrp"
)
GAMUT = "zscale=p=bt709:m=gbr:r=full,format=gbrp"
MATRIX = "format=rgb24"
_MASTERING = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50)"


@dataclass(frozen=True, kw_only=True)
class ColorCase:
    """A kind of color.

    Attributes:
        pix_fmt: libav's name of the pixel format.
        matrix, transfer, primaries, color_range: the tags; an unspecified matrix is BT.601.
        reference: ffmpeg's filters with which the expected values were made.
        size: width and height.
        codec, options: a lossless encoder.
    """

    pix_fmt: str
    matrix: int
    transfer: int
    primaries: int
    reference: str
    color_range: int = LIMITED
    size: tuple[int, int] = (192, 128)
    codec: str = "ffv1"
    options: Mapping[str, str] = field(default_factory=lambda: {})

    @property
    def is_converted(self) -> bool:
        """Whether more than the matrix and the range changes."""
        return self.reference != MATRIX


_HDR = {"matrix": BT2020, "primaries": BT2020, "reference": TONE_MAP}
_SDR = {"matrix": BT709, "transfer": BT709, "primaries": BT709, "reference": MATRIX}
_UNTOLD = {"matrix": UNSPECIFIED, "transfer": UNSPECIFIED, "primaries": UNSPECIFIED}


def _hdr10(metadata: str) -> ColorCase:
    """Only x265 writes such metadata."""
    options = {"x265-params": f"lossless=1:bframes=0:log-level=none:pools=1:hdr10=1:{metadata}"}
    more: Any = {"codec": "libx265", "options": options, **_HDR}
    return ColorCase(pix_fmt="yuv420p10le", transfer=PQ, **more)


def _case(pix_fmt: str, *tags: Mapping[str, Any], **more: Any) -> ColorCase:
    return ColorCase(pix_fmt=pix_fmt, **{key: tag[key] for tag in tags for key in tag} | more)


CASES: dict[str, ColorCase] = {
    "PQ, 10 bit": _case("yuv420p10le", _HDR, transfer=PQ),
    "HLG, 10 bit": _case("yuv420p10le", _HDR, transfer=HLG),
    "PQ, 4:2:2, 12 bit, full range": _case("yuv422p12le", _HDR, transfer=PQ, color_range=FULL),
    "PQ, GBR, 10 bit": _case("gbrp10le", _HDR, transfer=PQ, matrix=GBR, color_range=FULL),
    "HLG, 8 bit": _case("yuv420p", _HDR, transfer=HLG),
    "PQ, content up to 2000 cd/m2": _hdr10(f"{_MASTERING}:max-cll=2000,400"),
    "PQ, display of 4000 cd/m2": _hdr10(_MASTERING),
    "BT.2020 SDR, 10 bit": _case("yuv420p10le", _HDR, transfer=BT2020_10, reference=GAMUT),
    "Display P3, 4:4:4": _case("yuv444p", _SDR, primaries=P3, reference=GAMUT),
    "BT.709": _case("yuv420p", _SDR),
    "BT.709, full range": _case("yuv420p", _SDR, color_range=FULL),
    "BT.709, 4:4:4": _case("yuv444p", _SDR),
    "BT.709, 10 bit": _case("yuv420p10le", _SDR),
    "BT.709, GBR, 10 bit": _case("gbrp10le", _SDR, matrix=GBR, color_range=FULL),
    "BT.601, 525 lines": _case(
        "yuv420p", _SDR, matrix=SMPTE170M, transfer=SMPTE170M, primaries=SMPTE170M
    ),
    "BT.601, 625 lines": _case(
        "yuv420p", _SDR, matrix=BT470BG, transfer=SMPTE170M, primaries=BT470BG
    ),
    "unspecified, SD": _case("yuv420p", _SDR, _UNTOLD, color_range=0),
    "unspecified, HD": _case("yuv420p", _SDR, _UNTOLD, color_range=0, size=(1280, 720)),
}


def synthetic_picture(width: int, height: int) -> np.ndarray:
    """(H, W, 3) in [0, 1]: every hue and shade, without hard edges."""
    y, x = np.mgrid[0:height, 0:width]
    u, v = x / (width - 1), y / (height - 1)
    shade = 0.06 + 0.88 * u
    hue = 2 * np.pi * v
    tint = np.stack([np.cos(hue + phase) for phase in (0, 2.1, 4.2)], -1)
    amount = 0.25 * np.sin(np.pi * u) * np.minimum(1, 6 * v)
    return np.clip(shade[..., None] + amount[..., None] * tint, 0, 1)


def write_clip(
    path: Path,
    case: ColorCase,
    pictures: np.ndarray | None = None,
    coded_as: int | None = None,
) -> Path:
    """Write pictures (n, H, W, 3) in [0, 1], coded as the case says, one a frame at 25 fps.

    ``coded_as`` is the matrix that is used if it is not the one told.
    """
    matrix = case.matrix if coded_as is None else coded_as
    if pictures is None:
        pictures = synthetic_picture(*case.size)[None]
    height, width = pictures.shape[1:3]
    with av.open(path, "w") as output:
        stream = output.add_stream(case.codec, rate=25, options=dict(case.options))
        stream.width, stream.height, stream.pix_fmt = width, height, case.pix_fmt
        context = stream.codec_context
        context.colorspace, context.color_range = case.matrix, case.color_range
        context.color_trc, context.color_primaries = case.transfer, case.primaries
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame(width, height, case.pix_fmt)
            for plane, samples in zip(frame.planes, _planes(picture, case, matrix), strict=True):
                samples_type = "<u2" if "le" in case.pix_fmt else np.uint8
                rows = np.frombuffer(memoryview(plane), samples_type)  # pyright: ignore
                rows.reshape(plane.height, -1)[:, : plane.width] = samples
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.colorspace, frame.color_range = case.matrix, case.color_range
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def _planes(picture: np.ndarray, case: ColorCase, matrix: int) -> list[np.ndarray]:
    """Integer samples of each plane."""
    form = VideoFormat(case.pix_fmt)
    bits = form.components[0].bits
    if matrix == GBR:
        return [np.round(picture[..., i] * (2**bits - 1)) for i in (1, 2, 0)]
    kr, kb = _LUMA[matrix]
    luma = picture @ np.array([kr, 1 - kr - kb, kb])
    chroma = [
        (picture[..., channel] - luma) / (2 * (1 - weight))
        for channel, weight in ((2, kb), (0, kr))
    ]
    across, down = (2 // form.chroma_width(2), 2 // form.chroma_height(2))
    height, width = luma.shape
    shape = (height // down, down, width // across, across)
    chroma = [plane.reshape(shape).mean((1, 3)) for plane in chroma]
    unit = 2 ** (bits - 8)
    if case.color_range == FULL:
        top, middle = 2**bits - 1, 2 ** (bits - 1)
        return [np.round(luma * top), *(np.round(plane * top + middle) for plane in chroma)]
    return [
        np.round((16 + 219 * luma) * unit),
        *(np.round((128 + 224 * plane) * unit) for plane in chroma),
    ]
