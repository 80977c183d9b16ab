"""A picture of sound and picture on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..mmaudio_core.audio.onsets import Onsets
from .take_spectrograms import spectrogram

WIDTH = 1280
_MARGIN = 12
_LABEL = 90  # px at the left, for the rows' names
_PLOT = WIDTH - _LABEL - _MARGIN
_FRAMES, _MOTION, _WAVE, _MEL, _AXIS = 104, 72, 96, 120, 30
_GAP = 10
_BACK, _INK, _FAINT = (22, 22, 26), (225, 225, 230), (95, 95, 105)
_SOUND, _MOVED, _ONSET, _CUT = (92, 170, 255), (255, 190, 92), (255, 90, 54), (140, 220, 140)
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)
_MAX_TICKS = 12
_Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


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
    height = _MARGIN + sum(size + _GAP for _, size in shown) + _AXIS
    image = Image.new("RGB", (WIDTH, height), _BACK)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=14)
    top = _MARGIN
    tops: dict[str, int] = {}
    for name, size in shown:
        tops[name] = top
        pen.text((_MARGIN, top + size // 2 - 8), name, _INK, font)
        top += size + _GAP
    if plot.frames is not None:
        _draw_frames(image, plot.frames, tops["frames"])
    _draw_mel(image, plot, tops["mel"])
    _draw_wave(pen, plot, tops["sound"])
    if plot.motion is not None:
        _draw_motion(pen, plot.motion, tops["motion"])
    _draw_times(pen, plot, top, font)
    return torch.from_numpy(np.asarray(image).copy()).float()[None] / 255


def _place(time: float, plot: Plot) -> float:
    return _LABEL + time / plot.duration * _PLOT


def _draw_frames(image: Image.Image, frames: Tensor, top: int) -> None:
    width = _PLOT // len(frames)
    for number, frame in enumerate(frames):
        picture = Image.fromarray(frame.numpy())
        picture.thumbnail((width - 2, _FRAMES))
        left = _LABEL + number * width + (width - picture.width) // 2
        image.paste(picture, (left, top + (_FRAMES - picture.height) // 2))


def _draw_motion(pen: ImageDraw.ImageDraw, motion: Tensor, top: int) -> None:
    most = max(float(motion.max()), 1e-6) if len(motion) else 1.0
    columns = F.interpolate(motion[None, None], _PLOT, mode="nearest")[0, 0] / most
    for x, value in enumerate(columns.tolist()):
        y = top + _MOTION - value * _MOTION
        pen.line((_LABEL + x, y, _LABEL + x, top + _MOTION), _MOVED)


def _draw_wave(pen: ImageDraw.ImageDraw, plot: Plot, top: int) -> None:
    length = plot.waveform.shape[1]
    seconds = length / plot.sample_rate
    left, right = _place(plot.sound_start, plot), _place(plot.sound_start + seconds, plot)
    columns = max(1, round(right - left))
    edges = torch.linspace(0, length, columns + 1, dtype=torch.float64).round().long().tolist()
    middle = top + _WAVE / 2
    for x in range(columns):
        part = plot.waveform[:, edges[x] : max(edges[x] + 1, edges[x + 1])].clamp(-1, 1)
        low, high = float(part.min()), float(part.max())
        at = left + x
        pen.line((at, middle - high * _WAVE / 2, at, middle - low * _WAVE / 2), _SOUND)


def _draw_mel(image: Image.Image, plot: Plot, top: int) -> None:
    seconds = plot.waveform.shape[1] / plot.sample_rate
    left, right = _place(plot.sound_start, plot), _place(plot.sound_start + seconds, plot)
    picture = Image.fromarray(spectrogram(plot.waveform, plot.sample_rate))
    size = (max(1, round(right - left)), _MEL)
    image.paste(picture.resize(size, Image.Resampling.BILINEAR), (round(left), top))


def _draw_times(
    pen: ImageDraw.ImageDraw,
    plot: Plot,
    axis: int,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    for cut in plot.cuts:
        x = _place(cut, plot)
        for y in range(_MARGIN, axis, 8):
            pen.line((x, y, x, y + 4), _CUT)
    for time in plot.onsets.times:
        x = _place(plot.sound_start + time, plot)
        pen.line((x, _MARGIN, x, axis), _ONSET)
    pen.line((_LABEL, axis, _LABEL + _PLOT, axis), _FAINT)
    steps = (size for size in _STEPS if plot.duration / size <= _MAX_TICKS)
    step = next(steps, plot.duration)
    for tick in range(int(plot.duration / step + 1e-6) + 1):
        x = _place(tick * step, plot)
        pen.line((x, axis, x, axis + 5), _INK)
        text = f"{tick * step:g} s"
        pen.text((x - pen.textlength(text, font) / 2, axis + 7), text, _INK, font)
