"""Euler sampling: guidance, batches, noise, and stopping within a block."""

from __future__ import annotations

import pytest
import torch

from mmaudio_core.sampling.euler import SAMPLING_STAGE, denoise
from mmaudio_core.sampling.guidance import GuidanceBranch
from mmaudio_core.sampling.noise import get_noise
from tests.core.small import CancelAt, Cancelled, counted, tiny_flow
from tests.golden_files import golden, relative_error


def conditions() -> tuple[GuidanceBranch, GuidanceBranch]:
    """Both branches."""
    flow, (tensors, _) = tiny_flow(), golden("tiny_dit_small_16k_5.3s")
    with torch.no_grad():
        return (
            [flow.conditions(tensors["clip"][:1], tensors["sync"][:1], tensors["text"][:1], 166)],
            [
                flow.conditions(
                    flow.empty_clip(1, 42), flow.empty_sync(1, 120), tensors["negative"][:1], 166
                )
            ],
        )


def run(
    seeds: list[int], *, cfg: float = 4.5, steps: int = 3, negative: bool = True
) -> torch.Tensor:
    positive, other = conditions()
    with torch.no_grad():
        return denoise(
            tiny_flow(),
            get_noise(seeds, 166, 20),
            positive,
            other if negative else None,
            steps=steps,
            cfg=cfg,
            dtype=torch.float32,
        )


def test_noise_is_a_cpu_generator_s():
    generator = torch.Generator("cpu").manual_seed(2**64 - 1)
    assert torch.equal(get_noise([2**64 - 1], 5, 20)[0], torch.randn(5, 20, generator=generator))
    assert torch.equal(get_noise([3, 4], 5, 20)[1:], get_noise([4], 5, 20))


def test_the_noise_of_a_seed_is_the_published_one():
    metadata = golden("e2e_bikes_small_16k_plain")[1]
    drawn = get_noise([metadata["noise_seed"]], 250, 20)
    expected = torch.randn(1, 250, 20, generator=torch.Generator().manual_seed(42))
    assert torch.equal(drawn, expected)


def test_a_take_is_what_its_seed_makes_alone():
    batch = run([7, 8, 9])
    for take, seed in enumerate((7, 8, 9)):
        assert relative_error(batch[take : take + 1], run([seed])) < 1e-4


def test_guidance_mixes_the_branches():
    positive, negative = conditions()
    x = get_noise([5], 166, 20)
    with torch.no_grad():
        v, other = (tiny_flow()(x, torch.zeros(1), c) for (c,) in (positive, negative))
    assert relative_error(run([5], steps=1), x + 4.5 * v - 3.5 * other) < 1e-5
    assert relative_error(run([5], steps=1, cfg=1.0), x + v) < 1e-5


@pytest.mark.parametrize("cfg", [0.0, 0.5, 0.999])
def test_below_one_there_is_no_guidance(cfg: float):
    with counted(tiny_flow()) as ran:
        unguided = run([5], cfg=cfg)
    assert torch.equal(unguided, run([5], cfg=4.5, negative=False))
    assert len(ran) == 3 * len(tiny_flow().steps())


def test_each_step_runs_both_branches_at_once():
    with counted(tiny_flow()) as ran:
        run([5], steps=2)
    assert len(ran) == 2 * len(tiny_flow().steps())


@pytest.mark.parametrize("calls", [1, 2, 5])
def test_cancelling_stops_before_the_next_block(calls: int):
    positive, negative = conditions()
    with torch.no_grad(), counted(tiny_flow()) as ran, pytest.raises(Cancelled):
        denoise(
            tiny_flow(),
            get_noise([1], 166, 20),
            positive,
            negative,
            steps=3,
            cfg=4.5,
            dtype=torch.float32,
            progress=CancelAt(SAMPLING_STAGE, calls),
        )
    assert len(ran) == calls - 1
    assert not any(step._forward_pre_hooks for step in tiny_flow().steps())


def test_progress_counts_steps():
    seen: list[tuple[str, int, int]] = []
    positive, negative = conditions()
    with torch.no_grad():
        denoise(
            tiny_flow(),
            get_noise([1], 166, 20),
            positive,
            negative,
            steps=2,
            cfg=4.5,
            dtype=torch.float32,
            progress=lambda *said: seen.append(said),
        )
    assert seen == [(SAMPLING_STAGE, 0, 2)] * 4 + [(SAMPLING_STAGE, 1, 2)] * 4 + [
        (SAMPLING_STAGE, 2, 2)
    ]
