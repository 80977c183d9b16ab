"""Euler sampling: guidance, batches, noise, memory, and cancelling within a block."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.config import FORMAT_16K, sequence_lengths
from mmaudio_core.features.types import Features
from mmaudio_core.models.flow.conditions import Conditions
from mmaudio_core.providers import LoadedModel
from mmaudio_core.sampling.euler import SAMPLING_STAGE, integrate_euler
from mmaudio_core.sampling.guidance import GuidanceBranch, predict_velocity, project_conditions
from mmaudio_core.sampling.noise import get_noise
from mmaudio_core.sampling.sample import sample
from mmaudio_core.sampling.windows import WindowParams, plan_windows
from tests.core.small import CancelAt, Cancelled, MemoryNetworks, counted, tiny_flow
from tests.golden_files import golden, relative_error


def conditions() -> tuple[GuidanceBranch, GuidanceBranch]:
    """Conditions of the positive and the negative branch."""
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
        return integrate_euler(
            tiny_flow(),
            get_noise(seeds, 166, 20),
            positive,
            other if negative else None,
            steps=steps,
            cfg=cfg,
            dtype=torch.float32,
        )


def test_noise_is_drawn_as_published_with_one_generator_per_take():
    published = torch.randn(1, 250, 20, generator=torch.Generator("cpu").manual_seed(42))
    assert torch.equal(get_noise([7, 42], 250, 20)[1:], published)
    assert not torch.equal(get_noise([2**64 - 1], 5, 20), get_noise([2**63], 5, 20))


def test_a_take_equals_a_single_run_of_its_seed():
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
    assert len(ran) == 3 * len(tiny_flow().interruptible_modules())


def test_each_step_runs_both_branches_at_once():
    with counted(tiny_flow()) as ran:
        run([5], steps=2)
    assert len(ran) == 2 * len(tiny_flow().interruptible_modules())


@pytest.mark.parametrize(("max_batch", "batches"), [(1, [4] * 4), (8, [8, 8]), (100, [16])])
def test_windows_of_all_takes_and_branches_share_batches(max_batch: int, batches: list[int]):
    """Two takes, two branches and four windows: the batch size never changes the velocity."""
    flow, seconds = tiny_flow(), Fraction(25)
    lengths = sequence_lengths(seconds, FORMAT_16K)
    plan = plan_windows(lengths, seconds, FORMAT_16K, WindowParams())
    assert plan is not None and len(plan.windows) == 4
    draw = torch.Generator().manual_seed(0)
    text = torch.randn(2, 1, 77, flow.params.text_dim, generator=draw)
    clip = torch.randn(1, lengths.clip, flow.params.clip_dim, generator=draw)
    sync = torch.randn(1, lengths.sync, flow.params.sync_dim, generator=draw)
    x = get_noise([1, 2, 1, 2], lengths.latent, 20)
    rows: list[int] = []

    def spy(
        x: Tensor, t: Tensor, conditions: Conditions, set_index: Tensor | None = None
    ) -> Tensor:
        rows.append(len(x))
        return flow(x, t, conditions, set_index)

    with torch.no_grad():
        branches = [
            project_conditions(flow, plan, clip, sync, text[0], lengths),
            project_conditions(flow, plan, None, None, text[1], lengths),  # equal in all windows
        ]
        got = predict_velocity(spy, x, torch.zeros(1), branches, plan, max_batch=max_batch)
        for branch in range(2):
            for take in range(2):
                row = 2 * branch + take
                parts = plan.split(x[row : row + 1])[0]
                v = torch.cat(
                    [
                        flow(part[None], torch.zeros(1), branches[branch][-1 if branch else window])
                        for window, part in enumerate(parts)
                    ]
                )
                alone = plan.join(v[None], lengths.latent)
                assert relative_error(got[row : row + 1], alone) < 1e-5
    assert rows == batches
    assert [len(branch) for branch in branches] == [4, 1]


@dataclass
class RecordedRoom(MemoryNetworks):
    """Networks that record the bytes of activations asked for."""

    asked: list[int] = field(default_factory=list)

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        if activation_bytes:
            self.asked.append(activation_bytes)
        return super().acquire(kind, activation_bytes)


def asked_bytes(seconds: int, dtype: torch.dtype, takes: int = 1) -> int:
    networks = RecordedRoom(dtype=dtype)
    p = networks.params
    text = torch.zeros(1, 77, p.text_dim)
    features = Features(duration=Fraction(seconds), clip=None, sync=None, text=text, negative=text)
    sample(networks, features, range(takes), steps=1)
    (asked,) = networks.asked
    return asked


def test_room_for_activations_follows_dtype_and_takes_and_is_bounded_by_windows():
    half = asked_bytes(2, torch.bfloat16)
    assert asked_bytes(2, torch.float32) == 2 * half
    assert asked_bytes(2, torch.bfloat16, takes=3) == 3 * half
    long = asked_bytes(60, torch.bfloat16)
    assert long < 1.1 * asked_bytes(20, torch.bfloat16)
    assert long > 4 * half


@pytest.mark.parametrize("calls", [1, 2, 5])
def test_cancelling_stops_before_the_next_block(calls: int):
    positive, negative = conditions()
    with torch.no_grad(), counted(tiny_flow()) as ran, pytest.raises(Cancelled):
        integrate_euler(
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
    assert not any(step._forward_pre_hooks for step in tiny_flow().interruptible_modules())


def test_progress_counts_steps():
    seen: list[tuple[str, int, int]] = []
    positive, negative = conditions()
    with torch.no_grad():
        integrate_euler(
            tiny_flow(),
            get_noise([1], 166, 20),
            positive,
            negative,
            steps=2,
            cfg=4.5,
            dtype=torch.float32,
            progress=lambda *call: seen.append(call),
        )
    assert seen == [(SAMPLING_STAGE, 0, 2)] * 4 + [(SAMPLING_STAGE, 1, 2)] * 4 + [
        (SAMPLING_STAGE, 2, 2)
    ]
