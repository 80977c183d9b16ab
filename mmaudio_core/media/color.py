"""HDR and wide gamuts as SDR BT.709, on which the encoders were trained.

The result is that of ffmpeg's ``zscale=t=linear:npl=100,tonemap=hable:desat=0,
zscale=p=bt709:t=bt709:m=bt709``, whose filter zscale is not in PyAV. Code points are those of ITU-T
H.273 (tables 2 to 4), as in libav.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from av.video.frame import VideoFrame
from torch import Tensor

from .compat import color_description, light_metadata

RGB_FORMAT = "gbrp16le"
"""libav's name of the pixel format that ``SdrConverter`` takes."""
_PQ, _HLG = 16, 18
_BT709, _BT2020, _DISPLAY_P3 = 1, 9, 12
_UNSPECIFIED = 2
_WHITE = (0.3127, 0.3290)  # D65
_PRIMARIES = {
    _BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    _BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    _DISPLAY_P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""Chromaticities (x, y) of red, green and blue. BT.601's are close to BT.709's, and are not
converted: nor were they in training."""
_REFERENCE_WHITE = 100
"""Luminance of SDR white in cd/m2."""
_DEFAULT_PEAK = 10.0
"""Brightest value, in multiples of the reference white, where metadata does not tell."""
_SDR_GAMMA = 2.4  # ITU-R BT.1886
_LEVELS = 1 << 16
_PIXELS_AT_ONCE = 1 << 19
"""Bounds the memory; 4K in float would take several times 100 MB."""


@dataclass(frozen=True)
class FrameColor:
    """What a frame's RGB values mean.

    Attributes:
        transfer, primaries: code points.
        peak: the brightest value, in multiples of the reference white; only of HDR.
    """

    transfer: int
    primaries: int
    peak: float = _DEFAULT_PEAK

    @property
    def is_hdr(self) -> bool:
        """Whether the transfer is PQ or HLG."""
        return self.transfer in (_PQ, _HLG)


def frame_color(frame: VideoFrame, context_color: tuple[int, int]) -> FrameColor | None:
    """The color of a frame that is not SDR BT.709 or close to it; None if it is.

    Args:
        frame: the frame.
        context_color: transfer and primaries of its stream.
    """
    transfer, primaries = color_description(frame, context_color)
    if transfer not in (_PQ, _HLG):
        return FrameColor(transfer, primaries) if primaries in (_BT2020, _DISPLAY_P3) else None
    if primaries == _UNSPECIFIED:
        primaries = _BT2020
    return FrameColor(transfer, primaries, _peak(frame))


class SdrConverter:
    """Converts RGB of one color to SDR BT.709.

    Args:
        color: of the RGB values.
    """

    def __init__(self, color: FrameColor) -> None:
        signal = torch.arange(_LEVELS, dtype=torch.float64) / (_LEVELS - 1)
        linear = _to_linear(signal, color.transfer)
        self._linear = linear.float()
        self._scale = None
        if color.is_hdr:
            brightest = linear.clamp(min=1e-6)
            peak = torch.tensor(color.peak, dtype=torch.float64)
            self._scale = (_hable(brightest) / _hable(peak) / brightest).float()
        self._matrix = _gamut_matrix(color.primaries).float()

    def __call__(self, frame: VideoFrame) -> Tensor:
        """Convert a frame in ``RGB_FORMAT`` to (H, W, 3) uint8."""
        green, blue, red = (_rows(frame, plane) for plane in range(3))
        rgb = torch.empty((frame.height, frame.width, 3), dtype=torch.uint8)
        for top, bottom in _strips(frame.height, frame.width):
            strip = torch.stack([plane[top:bottom] for plane in (red, green, blue)])
            signal = strip.to(torch.int32).bitwise_and_(_LEVELS - 1).view(3, -1)
            sdr = self._convert(signal).view(3, bottom - top, frame.width)
            rgb[top:bottom] = sdr.permute(1, 2, 0)
        return rgb

    def _convert(self, signal: Tensor) -> Tensor:
        """(3, n) int32 below 65536 -> (3, n) uint8."""
        linear = self._linear.index_select(0, signal.view(-1)).view(3, -1)
        if self._scale is not None:
            linear *= self._scale.index_select(0, signal.amax(0))
        linear = (self._matrix @ linear).clamp_(0, 1)
        return linear.pow_(1 / _SDR_GAMMA).mul_(255).add_(0.5).to(torch.uint8)


def _to_linear(signal: Tensor, transfer: int) -> Tensor:
    """Signal in [0, 1] to light, in multiples of the reference white; SDR white is 1."""
    if transfer == _PQ:
        return _pq_eotf(signal) / _REFERENCE_WHITE
    if transfer == _HLG:
        return _hlg_eotf(signal) / _REFERENCE_WHITE
    return signal**_SDR_GAMMA


def _pq_eotf(signal: Tensor) -> Tensor:
    """Perceptual quantizer to cd/m2: ITU-R BT.2100-2, table 4."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = signal ** (1 / m2)
    return 10_000 * ((root - c1).clamp(min=0) / (c2 - c3 * root)) ** (1 / m1)


def _hlg_eotf(signal: Tensor) -> Tensor:
    """Hybrid log-gamma to cd/m2 on a display of 1000 cd/m2: ITU-R BT.2100-2, table 5.

    The OOTF's gamma of 1.2 is applied to each channel instead of to the luminance, as ffmpeg does.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = torch.where(signal <= 0.5, signal**2 / 3, (((signal - c) / a).exp() + b) / 12)
    return 1000 * scene**1.2


def _hable(light: Tensor) -> Tensor:
    """John Hable's filmic curve: "Uncharted 2: HDR Lighting", GDC 2010."""
    a, b, c, d, e, f = 0.15, 0.50, 0.10, 0.20, 0.02, 0.30
    return (light * (a * light + c * b) + d * e) / (light * (a * light + b) + d * f) - e / f


def _gamut_matrix(primaries: int) -> Tensor:
    """(3, 3): linear RGB of these primaries to that of BT.709; unknown ones count as BT.709."""
    if primaries not in _PRIMARIES:
        primaries = _BT709
    return _xyz_matrix(_BT709).inverse() @ _xyz_matrix(primaries)


def _xyz_matrix(primaries: int) -> Tensor:
    """(3, 3): linear RGB to CIE XYZ: SMPTE RP 177, 3.3."""
    red, green, blue, white = (
        torch.tensor([x / y, 1, (1 - x - y) / y], dtype=torch.float64)
        for x, y in (*_PRIMARIES[primaries], _WHITE)
    )
    columns = torch.stack([red, green, blue], 1)
    return columns * (columns.inverse() @ white)


def _peak(frame: VideoFrame) -> float:
    """The brightest value by the frame's metadata: of its content, else of its mastering display.

    The layouts are those of libav's ``AVContentLightMetadata`` and
    ``AVMasteringDisplayMetadata`` (ten rationals, the last of which is the highest luminance).
    """
    content, mastering = light_metadata(frame)
    if content is not None:
        maximum = struct.unpack_from("=I", content)[0]
        if maximum:
            return maximum / _REFERENCE_WHITE
    if mastering is not None:
        numerator, denominator, _, has_luminance = struct.unpack_from("=4i", mastering, 72)
        if has_luminance and numerator > 0 and denominator > 0:
            return numerator / denominator / _REFERENCE_WHITE
    return _DEFAULT_PEAK


def _rows(frame: VideoFrame, index: int) -> Tensor:
    """A plane's samples (H, W), 16 bits without a sign, as int16."""
    plane = frame.planes[index]
    rows = torch.frombuffer(plane, dtype=torch.int16).view(frame.height, plane.line_size // 2)
    return rows[:, : frame.width]


def _strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """First and last row (excluded) of strips that cover a picture."""
    step = max(1, _PIXELS_AT_ONCE // width)
    return pairwise([*range(0, height, step), height])
