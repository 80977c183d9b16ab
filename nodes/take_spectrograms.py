"""Spectrograms for the take panel, made when the page asks for one."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import av
import folder_paths
import numpy as np
import torch
import torch.nn.functional as F
from aiohttp import web
from PIL import Image
from torch import Tensor

from ..mmaudio_core.audio.channels import mix_to_mono
from ..mmaudio_core.audio.mel import log_mel
from ..mmaudio_core.audio.resample import resample
from ..mmaudio_core.config import FORMAT_16K
from ..mmaudio_core.partial_files import partial_file
from .take_files import FOLDER

_NAME = re.compile(r"[0-9a-f]{32}")
_MAX_COLUMNS = 1600
_RANGE = 4.0  # decades below the loudest that are told apart
# Dark to bright, each color as seen against both themes.
_COLORS = (
    (0, 0, 4),
    (59, 15, 112),
    (140, 41, 129),
    (222, 73, 104),
    (254, 159, 109),
    (252, 253, 191),
)


def register() -> None:
    """Serve them under ``/mmaudio_takes``."""
    server = sys.modules.get("server")  # ComfyUI's, where this process is one
    if server is not None:
        server.PromptServer.instance.routes.get("/mmaudio_takes/{name}.png")(_answer)


async def _answer(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    folder = Path(folder_paths.get_temp_directory()) / FOLDER
    sound, picture = folder / f"{name}.flac", folder / f"{name}.png"
    if not _NAME.fullmatch(name) or not sound.is_file():
        return web.Response(status=404, text="this take is no longer on disk: run again")
    if not picture.is_file():
        await asyncio.to_thread(_write, sound, picture)
    return web.FileResponse(picture)


def _write(sound: Path, picture: Path) -> None:
    image = spectrogram(*_read(sound))
    with partial_file(picture.parent) as partial:
        Image.fromarray(image).save(partial, "PNG", optimize=True)
        os.replace(partial, picture)


def spectrogram(waveform: Tensor, sample_rate: int) -> np.ndarray:
    """A picture of a sound's mel spectrogram, low frequencies at the bottom.

    Args:
        waveform: (C, T) samples.

    Returns:
        (80, columns, 3) uint8; at most 1600 columns.
    """
    mono = mix_to_mono(waveform).reshape(1, -1)
    mono = resample(mono, sample_rate, FORMAT_16K.sample_rate)
    least = 4 * FORMAT_16K.hop
    mono = F.pad(mono, (0, max(0, least - mono.shape[-1])))
    mel = log_mel(mono, FORMAT_16K)
    if mel.shape[-1] > _MAX_COLUMNS:
        mel = F.adaptive_max_pool1d(mel, _MAX_COLUMNS)
    level = ((mel[0] - mel.max() + _RANGE) / _RANGE).clamp(0, 1).flip(0)
    colors = torch.tensor(_COLORS, dtype=torch.float32)
    place = level * (len(colors) - 1)
    lower = place.floor().long().clamp(max=len(colors) - 2)
    part = (place - lower)[..., None]
    image = colors[lower] * (1 - part) + colors[lower + 1] * part
    return image.round().to(torch.uint8).numpy()


def _read(path: Path) -> tuple[Tensor, int]:
    """Waveform (C, T) and rate of a FLAC of ours."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("fltp", stream.layout, stream.rate)
        frames = [
            out.to_ndarray()
            for frame in container.decode(stream)
            for out in resampler.resample(frame)
        ]
        frames += [out.to_ndarray() for out in resampler.resample(None)]
        return torch.from_numpy(np.concatenate(frames, axis=1)), stream.rate
