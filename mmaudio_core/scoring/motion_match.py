"""Whether sound begins where the picture moves, and by how much the sound is late.

The strength of the sound's onsets is correlated with the accents of the motion: by how much a frame
moves more than those around it, and by how much more than those just before it. The former follows
strokes, which are fastest where they strike; the latter tells a flash's begin from its end, and
something that sets off from something that goes on. Both are on a logarithmic scale, so that one
loud bang or cut does not outweigh everything else.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio.onsets import ONSET_FPS, ONSET_LEAD, find_onsets
from ..config import SYNC_FPS
from .types import Offsets

MAX_OFFSET = 0.6
"""Seconds; what is further apart is not taken for one event."""
MIN_SECONDS = 2.0
_FPS = 100  # of the curves that are compared
_SPREAD = 0.03  # s, deviation of the bell that an onset becomes; a frame is 0.04 s
_USUAL_SOUND = 0.6  # s, whose median strength is that of the steady sound
_USUAL_MOTION = 15  # frames before and after, 1.2 s in all
_BEFORE = 6  # frames, 0.24 s: sources down to 5 fps, whose frames repeat, have one that moves
_RISE_WEIGHT = 2.0  # against being above the usual
_STILL = 5e-4  # energy of motion that noise and compression cause
_WINDOW, _WINDOW_STEP = 6.0, 2.0  # s, of the offset over time
_WINDOW_MATCH = 0.5  # below it, a window's offset may be chance
_NEAREST = 0.1  # by which a peak at ``MAX_OFFSET`` must be higher than one at 0


@dataclass(frozen=True, kw_only=True)
class MotionMatch:
    """How one take goes together with the motion of the picture.

    Attributes:
        match: peak of the normalized cross-correlation, in [-1, 1]; None if not measured.
        offset: seconds by which the sound is late (below 0: early), at that peak.
        offsets: the same over time, of the windows in which sound and picture match.
        reason: why it was not measured; empty if it was.
    """

    match: float | None = None
    offset: float | None = None
    offsets: Offsets = ()
    reason: str = ""


def match_motion(motion: Tensor | None, waveform: Tensor, sample_rate: int) -> MotionMatch:
    """Compare a take with the motion of the picture; both begin at the same time.

    Args:
        motion: (n,) energy of motion of each frame, 25 a second; None without a video.
        waveform: (C, T) finite samples.
        sample_rate: in Hz.
    """
    if motion is None:
        return MotionMatch(reason="there is no video that moves")
    seconds = min(len(motion) / SYNC_FPS, waveform.shape[1] / sample_rate)
    if seconds < MIN_SECONDS:
        reason = f"{seconds:.2f} s of sound and picture; at least {MIN_SECONDS:g} s are compared"
        return MotionMatch(reason=reason)
    if motion.max() < _STILL:
        return MotionMatch(reason="nothing moves in the picture")
    onsets = find_onsets(waveform, sample_rate)
    if not onsets.times:
        return MotionMatch(reason="the sound has no onsets")
    count = int(seconds * _FPS)
    sound = _curve(_above_usual(onsets.strength), ONSET_FPS, ONSET_LEAD, count)
    picture = _curve(motion_accents(motion), SYNC_FPS, 0.0, count)
    match, offset = _peak(sound, picture)
    return MotionMatch(match=match, offset=offset, offsets=_over_time(sound, picture))


def motion_accents(motion: Tensor) -> Tensor:
    """How much each frame (n,) stands out from those around it and from those before it."""
    level = torch.log1p(motion / (motion.mean() + _STILL))
    level[0] = level[1]  # what was before the first frame is not known
    around = F.pad(level[None], (_USUAL_MOTION, _USUAL_MOTION), mode="replicate")
    usual = F.avg_pool1d(around, 2 * _USUAL_MOTION + 1, 1)[0]
    before = F.pad(level[None, :-1], (_BEFORE, 0), value=float(level[0]))
    rise = (level - F.max_pool1d(before, _BEFORE, 1)[0]).clamp(min=0)
    return level - usual + _RISE_WEIGHT * rise


def _above_usual(strength: Tensor) -> Tensor:
    """Onset strength (n,) without what a steady sound has of it."""
    radius = round(_USUAL_SOUND / 2 * ONSET_FPS)
    around = F.pad(strength[None], (radius, radius), mode="replicate")[0]
    return (strength - around.unfold(0, 2 * radius + 1, 1).median(dim=1).values).clamp(min=0)


def _curve(values: Tensor, fps: float, lead: float, count: int) -> Tensor:
    """A curve (count,) of ``_FPS`` points a second, on which each value is a bell at its time.

    Args:
        values: (n,), ``fps`` a second.
        lead: time of the first one in seconds.
    """
    times = torch.arange(len(values)) / fps + lead
    curve = torch.zeros(count)
    reach = round(3 * _SPREAD * _FPS)
    middle = (times * _FPS).round().long()
    for step in range(-reach, reach + 1):
        place = middle + step
        bell = torch.exp(-(((place / _FPS - times) / _SPREAD) ** 2) / 2)
        inside = (place >= 0) & (place < count)
        curve.index_add_(0, place[inside], (values * bell)[inside])
    return curve


def _peak(sound: Tensor, picture: Tensor) -> tuple[float, float]:
    """Highest correlation of two curves (n,), and seconds by which the sound is late there.

    A regular rhythm has many peaks that are equally high: the one nearest to 0 is taken.
    """
    most = round(MAX_OFFSET * _FPS)
    scores = torch.stack([_correlation(sound, picture, late) for late in range(-most, most + 1)])
    distance = torch.linspace(-1, 1, len(scores)).abs()
    at = int((scores - _NEAREST * distance).argmax())
    return float(scores[at]), (at - most) / _FPS


def _correlation(sound: Tensor, picture: Tensor, late: int) -> Tensor:
    """Pearson's correlation where both are known, if the sound is so many points late."""
    count = len(sound) - abs(late)
    heard, seen = sound[max(0, late) :][:count], picture[max(0, -late) :][:count]
    return F.cosine_similarity(heard - heard.mean(), seen - seen.mean(), dim=0)


def _over_time(sound: Tensor, picture: Tensor) -> Offsets:
    """The offsets of windows, those in which sound and picture match."""
    size, step = round(_WINDOW * _FPS), round(_WINDOW_STEP * _FPS)
    found: list[tuple[float, float]] = []
    for begin in range(0, len(sound) - size + 1, step):
        match, offset = _peak(sound[begin : begin + size], picture[begin : begin + size])
        if match >= _WINDOW_MATCH:
            found.append(((begin + size / 2) / _FPS, offset))
    return tuple(found)
