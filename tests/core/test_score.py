"""All judges together."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from mmaudio_core.errors import MediaError
from mmaudio_core.features.types import Features
from mmaudio_core.scoring import voice
from mmaudio_core.scoring.rank import ScoreWeights
from mmaudio_core.scoring.score import score_takes
from mmaudio_core.scoring.types import SCORES
from tests.core.networks import noise
from tests.core.small import MemoryNetworks

NOTHING = ScoreWeights(sync=0, agreement=0, onsets=0, voice=0, silence=0, clipping=0)


def features(seconds: float = 1.0) -> Features:
    """Features of no picture."""
    text = torch.zeros(1, 77, 16)
    return Features(duration=Fraction(seconds), clip=None, sync=None, text=text, negative=text)


def test_what_is_not_asked_for_is_not_measured() -> None:
    networks = MemoryNetworks()
    takes = 0.1 * noise(2, 1, 16000)
    for scores in score_takes(networks, features(), takes, 16000, NOTHING):
        assert set(scores.unmeasured) == {name for name in SCORES if scores.values()[name] is None}
        assert "weight" in scores.unmeasured["desync"]
    assert not networks.placed


def test_voice_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not measured is not 0; what is measured beside it stays."""
    asked = replace(NOTHING, voice=1)
    takes = 0.1 * noise(2, 2, 16000)
    for scores in score_takes(MemoryNetworks(), features(), takes, 16000, asked):
        assert scores.voice == 0
        assert "voice" not in scores.unmeasured
    monkeypatch.setattr(voice, "_PACKAGE", "no_such_package")
    for scores in score_takes(MemoryNetworks(), features(), takes, 16000, asked):
        assert scores.voice is None
        assert scores.unmeasured["voice"] == voice.INSTALL


def test_samples_that_are_no_numbers() -> None:
    takes = torch.zeros(2, 1, 16000)
    takes[1, 0, 5] = torch.nan
    with pytest.raises(MediaError, match="1 of 32000 samples NaN"):
        score_takes(MemoryNetworks(), features(), takes, 16000, ScoreWeights())
