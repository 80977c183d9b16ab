"""Shot changes from CLIP features."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from mmaudio_core.features.shots import detect_shot_changes


def features(distances: Sequence[float]) -> Tensor:
    """CLIP features (1, n + 1, 2) whose consecutive cosine distances are given."""
    angles = torch.tensor([0.0, *(math.acos(1 - d) for d in distances)], dtype=torch.float64)
    angles = angles.cumsum(0)
    return torch.stack((angles.cos(), angles.sin()), dim=-1)[None].float()


@pytest.mark.parametrize(
    ("motion", "jump", "cut"),
    [
        (0.001, 0.26, True),  # in a still shot the floor of 0.25 decides
        (0.001, 0.24, False),
        (0.1, 0.62, True),  # in a moving shot six times the median does
        (0.1, 0.58, False),
    ],
)
def test_a_cut_stands_out_in_itself_and_against_the_motion(motion: float, jump: float, cut: bool):
    found = detect_shot_changes(features([motion] * 9 + [jump] + [motion] * 9))
    assert found == ((9.5 / 8,) if cut else ())


def test_motion_alone_is_no_cut():
    assert detect_shot_changes(features([0.05, 0.1, 0.15, 0.2] * 5)) == ()


def test_every_cut_is_found():
    assert detect_shot_changes(features([0.01] * 5 + [0.9] + [0.01] * 6 + [0.5])) == (
        5.5 / 8,
        12.5 / 8,
    )


def test_fewer_than_three_frames_have_no_cuts():
    assert detect_shot_changes(None) == ()
    assert detect_shot_changes(features([1.0])) == ()
