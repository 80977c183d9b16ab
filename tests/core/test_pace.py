"""The pace of a picture: motion and cuts, and the words for them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmaudio_core.features.motion import thumbnails
from mmaudio_core.features.pace import Pace, frame_steps, measure_pace


def noise(count: int = 1, seed: int = 0) -> Tensor:
    """Frames (count, 3, 96, 96) with nothing in common."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 1, 24, 24, generator=draw)
    return (255 * F.interpolate(coarse, size=96)).round().to(torch.uint8).expand(-1, 3, -1, -1)


def still_features(count: int, cuts: tuple[int, ...] = ()) -> Tensor:
    """CLIP features (count, 8) of shots that begin at frame 0 and at ``cuts``."""
    shots = [sum(cut <= index for cut in cuts) for index in range(count)]
    return torch.eye(8)[shots]


def test_thumbnails_are_gray_means() -> None:
    frames = torch.zeros(2, 3, 384, 384, dtype=torch.uint8)
    frames[1, :, :192] = torch.tensor([30, 60, 165], dtype=torch.uint8).view(3, 1, 1)
    small = thumbnails(frames)
    assert small.shape == (2, 24, 24) and not small[0].any()
    assert torch.allclose(small[1, :12], torch.tensor(1 / 3)) and not small[1, 12:].any()


def test_nothing_moves() -> None:
    frames = noise().expand(16, -1, -1, -1)
    pace = measure_pace(still_features(16), frame_steps(thumbnails(frames)))
    assert pace == Pace(motion=0.0, cuts=0, seconds=2.0)
    assert pace.words == "still, no cuts"


def test_frames_with_nothing_in_common() -> None:
    """Of uniform noise, a third of full scale apart, with a deviation of 1 / sqrt(12)."""
    pace = measure_pace(still_features(16), frame_steps(thumbnails(noise(16))))
    assert pace.motion == pytest.approx(12**0.5 / 3, rel=0.02)
    assert pace.words == "fast, no cuts"


def test_motion_does_not_depend_on_brightness() -> None:
    frames = torch.stack([noise()[0].roll(shift, dims=-1) for shift in range(8)])
    bright, dark = (frame_steps(thumbnails(each)) for each in (frames, frames // 3))
    assert torch.allclose(bright, dark, rtol=0.05)


def test_a_faster_pan_moves_more() -> None:
    wide = F.interpolate(noise().float(), size=(96, 384), mode="bilinear").to(torch.uint8)
    speeds = [
        frame_steps(thumbnails(torch.cat([wide[..., n * speed :][..., :96] for n in range(8)])))
        .mean()
        .item()
        for speed in (0, 1, 2, 8)
    ]
    assert speeds[0] == 0 and speeds == sorted(speeds) and len(set(speeds)) == 4


def test_cuts_are_no_motion() -> None:
    """Two still shots."""
    frames = torch.cat([noise(seed=1).expand(8, -1, -1, -1), noise(seed=2).expand(8, -1, -1, -1)])
    steps = frame_steps(thumbnails(frames))
    assert steps.max() > 0.9
    pace = measure_pace(still_features(16, (8,)), steps)
    assert pace == Pace(motion=0.0, cuts=1, seconds=2.0)
    assert measure_pace(still_features(16), steps).motion > 0.05


def test_darkness_does_not_move() -> None:
    """Noise of one level in black."""
    black = torch.randint(0, 2, (8, 3, 96, 96), generator=torch.Generator().manual_seed(3))
    pace = measure_pace(still_features(8), frame_steps(thumbnails(black.to(torch.uint8))))
    assert pace.words == "still, no cuts"


def test_one_frame() -> None:
    pace = measure_pace(still_features(1), torch.zeros(0))
    assert (pace.motion, pace.cuts, pace.words) == (0.0, 0, "still, no cuts")


@pytest.mark.parametrize(
    ("motion", "cuts", "seconds", "words"),
    [
        (0.019, 0, 8, "still, no cuts"),
        (0.02, 1, 8, "slow, few cuts"),
        (0.099, 1, 60, "slow, few cuts"),
        (0.1, 7, 60, "moderate, few cuts"),
        (0.249, 8, 60, "moderate, steady cuts"),
        (0.25, 23, 60, "fast, steady cuts"),
        (3.0, 24, 60, "fast, quick cuts"),
        (3.0, 1, 1, "fast, few cuts"),
    ],
)
def test_words(motion: float, cuts: int, seconds: float, words: str) -> None:
    assert Pace(motion=motion, cuts=cuts, seconds=seconds).words == words
