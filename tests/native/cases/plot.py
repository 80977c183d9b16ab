"""MMAudioPlot: the picture it draws, and the onsets in it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
from comfy_api.latest import InputImpl, Types
from mmaudio_pack.mmaudio_core.audio.onsets import find_onsets
from mmaudio_pack.mmaudio_core.features.types import Features
from mmaudio_pack.nodes.cures import MMAudioNodeError
from mmaudio_pack.nodes.plot import MMAudioPlot

RATE = 16_000
CLICKS = (0.5, 1.25, 1.4, 2.7)
RED = torch.tensor([255, 90, 54]) / 255


def clicks(noise: float = 0.002, seconds: float = 3.0) -> torch.Tensor:
    torch.manual_seed(3)
    sound = torch.randn(1, 1, int(RATE * seconds)) * noise
    for time in CLICKS:
        at, length = int(time * RATE), int(0.2 * RATE)
        decay = torch.exp(-torch.arange(length) / (0.03 * RATE))
        sound[0, 0, at : at + length] += torch.randn(length) * decay * 0.4
    return sound


def video(frames: int = 100) -> Any:
    """Gray, with a flash at 2 s."""
    images = torch.full((frames, 32, 48, 3), 0.5)
    images[50:] = 0.9
    parts = Types.VideoComponents(images=images, frame_rate=Fraction(25), audio=None)
    return InputImpl.VideoFromComponents(parts)


def red_columns(image: torch.Tensor) -> list[float]:
    """Seconds of the columns that are red from top to axis, on an axis that ends at 4 s."""
    is_red = ((image[0] - RED).abs().sum(dim=-1) < 0.02).float().mean(dim=0) > 0.8
    columns = torch.nonzero(is_red)[:, 0]
    return [(float(column) - 90) / (1280 - 90 - 12) * 4 for column in columns]


def case_onsets() -> Any:
    return {
        "clicks": find_onsets(clicks()[0], RATE).times,
        "stereo": find_onsets(clicks()[0].expand(2, -1), RATE).times,
        "44.1 kHz": find_onsets(torch.randn(1, 44_100) * 0.1, 44_100).times,
        "silence": find_onsets(torch.zeros(1, RATE), RATE).times,
        "short": find_onsets(torch.ones(1, 10), RATE).times,
        "tone": find_onsets(torch.sin(torch.arange(RATE * 2) * 0.2)[None], RATE).times,
    }


def tallest(image: torch.Tensor, top: int) -> float:
    """Seconds of the greatest motion, on an axis that ends at 4 s."""
    motion = image[0, top : top + 72]
    orange = ((motion - torch.tensor([255, 190, 92]) / 255).abs().sum(dim=-1) < 0.02).sum(dim=0)
    return (int(orange.argmax()) - 90) / (1280 - 90 - 12) * 4


def case_drawn() -> Any:
    audio = {"waveform": clicks(), "sample_rate": RATE}
    image = MMAudioPlot.execute(audio, video(), start_offset=0.5).args[0]
    return {
        "shape": list(image.shape),
        "range": [float(image.min()) >= 0, float(image.max()) <= 1],
        "red": red_columns(image),
        "flash": tallest(image, 12 + 104 + 10),
    }


def case_sound_before_the_picture() -> Any:
    """Its first 0.6 s are left out, and with them an onset."""
    audio = {"waveform": clicks(), "sample_rate": RATE}
    image = MMAudioPlot.execute(audio, video(), start_offset=-0.6).args[0]
    return {"red": red_columns(image), "flash": tallest(image, 12 + 104 + 10)}


def case_features_alone() -> Any:
    """Of a picture that moves 1.5 s after its beginning, where the sound begins too."""
    motion = torch.zeros(75)
    motion[37] = 0.4
    text = torch.zeros(1, 77, 8)
    features = Features(
        duration=Fraction(3), clip=None, sync=None, text=text, negative=text, motion=motion
    )
    audio = {"waveform": clicks(seconds=3.5), "sample_rate": RATE}
    image = MMAudioPlot.execute(audio, features=features, start_offset=0.5).args[0]
    audio = {"waveform": clicks(seconds=5), "sample_rate": RATE}
    early = MMAudioPlot.execute(audio, features=features, start_offset=-1.0).args[0]
    return {
        "shape": list(image.shape),
        "flash": tallest(image, 12),
        "early flash": tallest(early, 12),
    }


def case_sound_alone() -> Any:
    return list(MMAudioPlot.execute({"waveform": clicks(), "sample_rate": RATE}).args[0].shape)


def case_a_take_that_is_not_there() -> str:
    try:
        MMAudioPlot.execute({"waveform": clicks(), "sample_rate": RATE}, take=1)
    except MMAudioNodeError as error:
        return str(error)
    return "no error"
