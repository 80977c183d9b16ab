"""Mel analysis against the published one."""

from __future__ import annotations

import pytest
import torch

from mmaudio_core.audio.mel import log_mel
from mmaudio_core.config import FORMAT_16K, FORMAT_44K
from mmaudio_core.errors import MediaError
from tests.core.small import assert_rows


@pytest.mark.parametrize("name", ["mel_16k", "mel_44k"])
def test_filters_and_mel_match(name: str):
    assert_rows(name)


def test_silence_is_the_floor():
    silence = torch.zeros(1, 16_000)
    assert torch.allclose(log_mel(silence, FORMAT_16K), torch.tensor(-5.0), atol=1e-3)
    assert log_mel(silence, FORMAT_44K).isfinite().all()


def test_louder_than_full_scale_is_clamped():
    wave = torch.sin(torch.linspace(0, 2000, 16_000))[None]
    assert torch.equal(log_mel(wave.sign(), FORMAT_16K), log_mel(3 * wave.sign(), FORMAT_16K))


def test_too_little_sound_is_refused():
    with pytest.raises(
        MediaError, match=r"got 384 audio samples, expected more than 384 \(0.024 s at 16000 Hz\)"
    ):
        log_mel(torch.zeros(1, 384), FORMAT_16K)
