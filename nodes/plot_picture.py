"""A picture of sound and picture on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from ..mmaudio_core.audio.onsets import Onsets
from .plot_sheet import LABEL, MARGIN, ONSET, PLOT, SOUND, Sheet, paste_frames
from .take_spectrograms import spectrogram

_FRAMES, _MOTION, _WAVE, _MEL = 104, 72, 96, 120
_MOVED, _CUT = (255, 190, 92), (140, 220, 140)


@dataclass(frozen=True, kw_only=True)
class Plot:
    """What is drawn; all times are in seconds of the axis, which begins at 0.

    Attributes:
        duration: length of the axis.
        frames: (n, H, W, 3) uint8 at equal distances over the axis; None without a picture.
        motion: (m,) how far each frame is from the one before it, at equal distances.
        waveform: (C, T) samples.
        sample_rate: in Hz.
        sound_start: where the sound begins.
        onsets: of the sound, from its beginning.
        cuts: of the picture.
    """

    duration: float
    waveform: Tensor
    sample_rate: int
    sound_start: float
    onsets: Onsets
    frames: Tensor | None = None
    motion: Tensor | None = None
    cuts: Sequence[float] = ()


def draw(plot: Plot) -> Tensor:
    """The picture, (1, H, 1280, 3) float32 in [0, 1]."""
    rows = [
        ("frames", _FRAMES, plot.frames is not None),
        ("motion", _MOTION, plot.motion is not None),
        ("sound", _WAVE, True),
        ("mel", _MEL, True),
    ]
    shown = [(name, height) for name, height, there in rows if there]
    sheet = Sheet(plot.duration, shown)
    tops = {name: top for (name, _), top in zip(shown, sheet.tops, strict=True)}
    if plot.frames is not None:
        paste_frames(sheet.image, plot.frames, (LABEL, tops["frames"]), (PLOT, _FRAMES))
    _draw_mel(sheet, plot, tops["mel"])
    _draw_wave(sheet, plot, tops["sound"])
    if plot.motion is not None:
        _draw_motion(sheet.pen, plot.motion, tops["motion"])
    _draw_times(sheet, plot)
    return sheet.finish()


def _draw_motion(pen: ImageDraw.ImageDraw, motion: Tensor, top: int) -> None:
    most = max(float(motion.max()), 1e-6) if len(motion) else 1.0
    columns = F.interpolate(motion[None, None], PLOT, mode="nearest")[0, 0] / most
    for x, value in enumerate(columns.tolist()):
        y = top + _MOTION - value * _MOTION
        pen.line((LABEL + x, y, LABEL + x, top + _MOTION), _MOVED)


def _draw_wave(sheet: Sheet, plot: Plot, top: int) -> None:
    length = plot.waveform.shape[1]
    seconds = length / plot.sample_rate
    left, right = sheet.place(plot.sound_start), sheet.place(plot.sound_start + seconds)
    columns = max(1, round(right - left))
    edges = torch.linspace(0, length, columns + 1, dtype=torch.float64).round().long().tolist()
    middle = top + _WAVE / 2
    for x in range(columns):
        part = plot.waveform[:, edges[x] : max(edges[x] + 1, edges[x + 1])].clamp(-1, 1)
        low, high = float(part.min()), float(part.max())
        at = left + x
        sheet.pen.line((at, middle - high * _WAVE / 2, at, middle - low * _WAVE / 2), SOUND)


def _draw_mel(sheet: Sheet, plot: Plot, top: int) -> None:
    seconds = plot.waveform.shape[1] / plot.sample_rate
    left, right = sheet.place(plot.sound_start), sheet.place(plot.sound_start + seconds)
    picture = Image.fromarray(spectrogram(plot.waveform, plot.sample_rate))
    size = (max(1, round(right - left)), _MEL)
    sheet.image.paste(picture.resize(size, Image.Resampling.BILINEAR), (round(left), top))


def _draw_times(sheet: Sheet, plot: Plot) -> None:
    for cut in plot.cuts:
        x = sheet.place(cut)
        for y in range(MARGIN, sheet.axis, 8):
            sheet.pen.line((x, y, x, y + 4), _CUT)
    for time in plot.onsets.times:
        x = sheet.place(plot.sound_start + time)
        sheet.pen.line((x, MARGIN, x, sheet.axis), ONSET)
