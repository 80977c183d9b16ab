"""The network of the package ``silero-vad`` for 16 kHz: is there a voice in a frame of sound?

All frames are encoded at once; only the LSTM runs in their order.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SAMPLE_RATE = 16_000
FRAME = 512
"""Samples for which there is one probability."""
_CONTEXT = 64  # samples of the frame before it that the network sees too
_PAD = 64  # samples that mirror a frame's end
_FFT, _HOP = 256, 128
_BINS = _FFT // 2 + 1
_WIDTH = 128


class SileroVAD(nn.Module):
    """Probabilities of a voice; parameters are named as in the package's file."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 2 * _BINS, _FFT, stride=_HOP, bias=False)
        self.conv1 = nn.Conv1d(_BINS, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, _WIDTH, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(_WIDTH, _WIDTH)
        self.final_conv = nn.Conv1d(_WIDTH, 1, 1)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Probabilities (takes, n), one per 512 samples, of mono waveforms (takes, T) at 16 kHz.

        Silence follows where T is no multiple of 512.
        """
        takes, length = waveforms.shape
        padded = F.pad(waveforms, (_CONTEXT, -length % FRAME))
        frames = padded.unfold(1, _CONTEXT + FRAME, FRAME)
        encoded = self._encode(frames.flatten(0, 1)).view(takes, -1, _WIDTH)
        state = (encoded.new_zeros(takes, _WIDTH), encoded.new_zeros(takes, _WIDTH))
        hidden: list[Tensor] = []
        for frame in encoded.unbind(dim=1):
            state = self.lstm_cell(frame, state)
            hidden.append(state[0])
        return self.final_conv(torch.stack(hidden, dim=2).relu())[:, 0].sigmoid()

    def _encode(self, frames: Tensor) -> Tensor:
        """(n, 128) of frames (n, 576)."""
        spectrum = self.stft_conv(F.pad(frames, (0, _PAD), mode="reflect")[:, None])
        x = torch.hypot(spectrum[:, :_BINS], spectrum[:, _BINS:])
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = layer(x).relu()
        return x[:, :, 0]
