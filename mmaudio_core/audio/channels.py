"""Channel layouts: what a number of channels stands for, and mixing channels down.

A waveform has no layout of its own, so its number of channels stands for one: the layouts of FLAC,
which ComfyUI's loaders and libav's decoders share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
"""libav's names of the layouts of 1 to 8 channels."""
_POSITIONS = (
    ("FC",),
    ("FL", "FR"),
    ("FL", "FR", "FC"),
    ("FL", "FR", "BL", "BR"),
    ("FL", "FR", "FC", "BL", "BR"),
    ("FL", "FR", "FC", "LFE", "BL", "BR"),
    ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
)
"""The loudspeakers of ``LAYOUTS``, in the order of the channels."""
_CANCELLED = 0.01
"""Energy of a mix to the louder channel's below which the channels cancel each other."""
_HALF_POWER = math.sqrt(0.5)
_STEREO_GAINS = {
    "FL": (1.0, 0.0),
    "FR": (0.0, 1.0),
    "FC": (_HALF_POWER, _HALF_POWER),
    "LFE": (0.0, 0.0),
    "BL": (_HALF_POWER, 0.0),
    "BR": (0.0, _HALF_POWER),
    "SL": (_HALF_POWER, 0.0),
    "SR": (0.0, _HALF_POWER),
    "BC": (0.5, 0.5),
}
"""Gains to left and right of ITU-R BS.775, annex 4; LFE is left out there too."""


def layout_name(channels: int) -> str:
    """libav's name of the layout of 1 to 8 channels."""
    return LAYOUTS[channels - 1]


def standard_layout(positions: Sequence[str]) -> str:
    """The layout to decode channels to: theirs where it is one of ``LAYOUTS``, else stereo.

    Args:
        positions: libav's names of the loudspeakers; ``NONE`` where the file does not tell.
    """
    count = len(positions)
    if count > len(LAYOUTS):
        return "stereo"
    untold = all(position == "NONE" for position in positions)
    # with one pair of surround channels, files call it side or back
    as_back = tuple("B" + p[1:] if p in ("SL", "SR") else p for p in positions)
    standard = _POSITIONS[count - 1]
    known = tuple(positions) == standard or as_back == standard or count <= 2
    return layout_name(count) if untold or known else "stereo"


def mix_to_stereo(waveform: Tensor) -> Tensor:
    """Mix (..., C, T) down to at most two channels; the sum may exceed 1.

    3 to 8 channels become two by the gains of BS.775. More have no known layout and are averaged.
    """
    channels = waveform.shape[-2]
    if channels <= 2:
        return waveform
    if channels > len(LAYOUTS):
        return waveform.mean(dim=-2, keepdim=True)
    gains = torch.tensor([_STEREO_GAINS[position] for position in _POSITIONS[channels - 1]])
    return gains.T.to(waveform.dtype) @ waveform


def mix_to_mono(waveform: Tensor) -> Tensor:
    """Mix (..., C, T) down to (..., T): the mean of the two channels of ``mix_to_stereo``.

    Where they are in opposite phase, so that nearly nothing would be left, it is the louder one.
    """
    stereo = mix_to_stereo(waveform)
    mono = stereo.mean(dim=-2)
    energy = stereo.square().sum(dim=-1)
    cancelled = mono.square().sum(dim=-1) < _CANCELLED * energy.amax(dim=-1)
    if not cancelled.any():
        return mono
    louder = stereo.take_along_dim(energy.argmax(dim=-1)[..., None, None], dim=-2).squeeze(-2)
    return torch.where(cancelled[..., None], louder, mono)


def loudness_channels(waveform: Tensor) -> Tensor:
    """What BS.1770 measures of (C, T): (up to 5, T), in the order of left, right, center, surround.

    Surround channels at the sides count 1.5 dB more than others, LFE not at all. Channels at the
    back of 6.1 and 7.1, which count as the front ones, are added to them.
    """
    channels = waveform.shape[0]
    if channels < 4 or channels == 5 or channels > len(LAYOUTS):
        return mix_to_stereo(waveform) if channels > 5 else waveform
    by_position = dict(zip(_POSITIONS[channels - 1], waveform, strict=True))
    silence = torch.zeros_like(waveform[0])
    left, right, center = by_position["FL"], by_position["FR"], by_position.get("FC", silence)
    if channels <= 6:
        return torch.stack([left, right, center, by_position["BL"], by_position["BR"]])
    left, right = (
        front + by_position.get(back, silence) for front, back in ((left, "BL"), (right, "BR"))
    )
    center = center + by_position.get("BC", silence)
    return torch.stack([left, right, center, by_position["SL"], by_position["SR"]])
