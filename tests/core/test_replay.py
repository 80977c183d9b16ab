"""Recording the calls of a sampling: what is repeated, what it makes, and when it is not done."""

from __future__ import annotations

from fractions import Fraction
from unittest.mock import patch

import pytest
import torch
from torch import nn

from mmaudio_core.extract import Span, extract
from mmaudio_core.pipeline import sample
from mmaudio_core.replay import RECORDERS, SWITCH, Replayed
from mmaudio_core.sampler import STAGE, draw_noise, euler
from tests.core.small import CancelAt, Cancelled, MemoryNetworks, counted, tiny_flow
from tests.core.test_sampler import conditions, run
from tests.golden_files import relative_error
from tests.native.tape import Recorder

STEPS = 6
BLOCKS = len(tiny_flow().steps())


def recording(recorder: Recorder):
    """Let what runs on the CPU be recorded, as on a GPU."""
    return patch.dict(RECORDERS, cpu=recorder)


def test_from_its_second_call_on_a_step_is_repeated():
    plain = run([5, 6], steps=STEPS)
    recorder = Recorder()
    with recording(recorder), counted(tiny_flow()) as ran:
        made = run([5, 6], steps=STEPS)
    assert relative_error(made, plain) < 1e-6
    assert (recorder.recorded, recorder.repeated) == (1, STEPS - 1)
    assert len(ran) == 2 * BLOCKS  # the first step, and recording


def test_windows_share_a_recording_and_another_number_of_them_has_its_own():
    networks = MemoryNetworks()
    features = extract(networks, None, Span(duration=Fraction(40)), "rain", "music")
    plain = sample(networks, features, [1], steps=2)
    recorder = Recorder()
    with recording(recorder):
        made = sample(networks, features, [1], steps=2)
    assert relative_error(made, plain) < 1e-6
    # a step is of 6 windows, 4 in a batch: two shapes
    assert (recorder.recorded, recorder.repeated) == (2, 2)


def test_every_repetition_may_be_cancelled():
    positive, negative = conditions()
    progress = CancelAt(STAGE, 2 * BLOCKS + 3)  # two steps that ran; two repetitions; the next
    recorder = Recorder()
    with torch.no_grad(), recording(recorder), pytest.raises(Cancelled):
        euler(
            tiny_flow(),
            draw_noise([1], 166, 20),
            positive,
            negative,
            steps=STEPS,
            cfg=4.5,
            dtype=torch.float32,
            progress=progress,
        )
    assert recorder.repeated == 2


class Scaled(nn.Module):
    """A network of one weight, that reads it in a way that cannot be recorded where it says so."""

    def __init__(self, *, reading: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([2.0]), requires_grad=False)
        self.reading = reading

    def forward(self, x: torch.Tensor, *_: object) -> torch.Tensor:
        return x * (self.weight.item() if self.reading else self.weight)


def call(replayed: Replayed, value: float = 1.0) -> torch.Tensor:
    """Of latents that are ``value``."""
    (positive,), _ = conditions()
    x = torch.full((1, 166, 20), value)
    return replayed(x, torch.zeros(1), positive, torch.zeros(1, dtype=torch.int64))


def test_weights_that_were_moved_are_recorded_again():
    network, recorder = Scaled(), Recorder()
    replayed = Replayed(network, network, lambda: None)
    with recording(recorder):
        for _ in range(3):
            assert call(replayed).eq(2).all()
        network.weight.fill_(3)  # where it lies
        assert call(replayed).eq(3).all()
        assert recorder.recorded == 1
        network.weight = nn.Parameter(torch.tensor([4.0]), requires_grad=False)
        for _ in range(2):
            assert call(replayed).eq(4).all()
        assert recorder.recorded == 2


def test_what_cannot_be_recorded_runs_and_it_is_said_once(caplog: pytest.LogCaptureFixture):
    network, recorder = Scaled(reading=True), Recorder()
    replayed = Replayed(network, network, lambda: None)
    with recording(recorder):
        for _ in range(4):
            assert call(replayed).eq(2).all()
    assert recorder.repeated == 0
    assert [r.message.split(" (")[0] for r in caplog.records] == [
        "sampling without CUDA graphs, slower"
    ]


def test_results_stay_when_the_next_are_made():
    network = Scaled()
    replayed = Replayed(network, network, lambda: None)
    with recording(Recorder()):
        made = [call(replayed, value) for value in (0.0, 1.0, 2.0, 3.0)]
    assert [float(each.mean()) for each in made] == [0, 2, 4, 6]


def test_it_can_be_turned_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SWITCH, "0")
    recorder = Recorder()
    with recording(recorder):
        run([5], steps=3)
    assert recorder.recorded == 0
