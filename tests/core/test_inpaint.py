"""Region masks and extended latents."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from mmaudio_core.config import FORMAT_16K, sequence_lengths
from mmaudio_core.errors import MMAudioError, Problem
from mmaudio_core.sampling.inpaint import extend_latents, region_mask

SECONDS = Fraction(8)
LATENTS = sequence_lengths(SECONDS, FORMAT_16K).latent
LATENT = Fraction(32, 1000)  # seconds per latent at 16 kHz


def mask(start: Fraction, end: Fraction, feather: Fraction = Fraction(0)) -> list[float]:
    return region_mask(LATENTS, FORMAT_16K, SECONDS, start, end, feather).tolist()


def test_a_region_holds_the_latents_whose_centers_lie_in_it():
    got = mask(10 * LATENT, 20 * LATENT)
    assert got == [0.0] * 10 + [1.0] * 10 + [0.0] * (LATENTS - 20)
    assert sum(mask(Fraction("10.4") * LATENT, Fraction("19.6") * LATENT)) == 10
    assert sum(mask(Fraction("10.6") * LATENT, Fraction("19.4") * LATENT)) == 8


def test_feathers_fall_linearly_on_both_sides():
    got = mask(10 * LATENT, 20 * LATENT, 4 * LATENT)
    assert got[6:14] == pytest.approx([0.125, 0.375, 0.625, 0.875, 1, 1, 1, 1])
    assert got[18:25] == pytest.approx([1, 1, 0.875, 0.625, 0.375, 0.125, 0])
    assert set(got[:6]) == set(got[24:]) == {0.0}


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (3, 3, "got a region from 3 s to 3 s, expected a start before its end"),
        (-1, 3, "got a region from -1 s to 3 s, expected"),
        (8, 9, "got a region that starts at 8 s, expected .* the audio at 8 s"),
    ],
)
def test_impossible_regions_are_refused(start: int, end: int, message: str):
    with pytest.raises(MMAudioError, match=message) as error:
        mask(Fraction(start), Fraction(end))
    assert error.value.problem is Problem.REGION


def test_an_extension_keeps_what_is_there_and_repeats_the_last_latent():
    latents = torch.randn(2, 1, LATENTS, 20, generator=torch.Generator().manual_seed(0))
    longer, regenerate = extend_latents(latents, FORMAT_16K, SECONDS, Fraction(10), 2 * LATENT)
    assert longer.shape == (2, 1, sequence_lengths(10, FORMAT_16K).latent, 20)
    assert torch.equal(longer[:, :, :LATENTS], latents)
    assert torch.equal(longer[:, :, LATENTS:], latents[:, :, -1:].expand_as(longer[:, :, LATENTS:]))
    assert regenerate[: LATENTS - 2].eq(0).all()
    assert regenerate[LATENTS - 2 : LATENTS].tolist() == pytest.approx([0.25, 0.75])
    assert regenerate[LATENTS:].eq(1).all()


def test_an_extension_is_longer():
    latents = torch.zeros(1, 1, LATENTS, 20)
    with pytest.raises(MMAudioError, match="got a new duration of 8 s for 8 s of audio, expected"):
        extend_latents(latents, FORMAT_16K, SECONDS, SECONDS, Fraction(0))
