"""What a GPU would object to or wait for, told without one.

Tensors here have a device, a shape and a dtype, and no values (torch's fake tensors): operations on
two devices fail as they do on a GPU, and what would make the host wait for it is noticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.checkpoint.layouts import LAYOUTS
from mmaudio_core.config import FORMAT_16K, FORMAT_44K, sequence_lengths
from mmaudio_core.models.bigvgan import BigVGAN
from mmaudio_core.models.clip import CLIP
from mmaudio_core.models.flow import FlowNetwork
from mmaudio_core.models.flow.conditions import Conditions
from mmaudio_core.models.synchformer import SyncHead, Synchformer
from mmaudio_core.models.vae import VAE
from mmaudio_core.sampling.guidance import predict_velocity, project_conditions
from mmaudio_core.sampling.windows import WindowParams, plan_windows
from tests.parity.build import build, tiny_files

VARIANTS = {"small_16k": FORMAT_16K, "large_44k_v2": FORMAT_44K}
DTYPES = (torch.float32, torch.bfloat16)
GPU = torch.device("cuda", 0)


class Crossings(TorchDispatchMode):
    """Notices what goes between the GPU and main memory: ``waiting`` makes the host wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[str] = []
        self.waiting: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, result))
        if len({x.device.type for x in leaves if isinstance(x, Tensor) and x.ndim}) > 1:
            self.all.append(str(func))
            if not (kwargs or {}).get("non_blocking", False):
                self.waiting.append(str(func))
        return result


@contextmanager
def fake() -> Iterator[None]:
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
        yield


def on_gpu(kind: PartKind, variant: str, dtype: torch.dtype) -> Any:
    """A tiny network on a GPU that is not there; inside ``fake``."""
    params = build(kind, tiny_files(variant)[kind]).params
    return LAYOUTS[kind].network(params, device=GPU, dtype=dtype).eval()


def values(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype, device=GPU)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seconds", ["8", "20"])
def test_a_step_waits_for_nothing_and_its_network_stays_on_the_gpu(
    seconds: str, variant: str, dtype: torch.dtype
):
    fmt, duration = VARIANTS[variant], Fraction(seconds)
    lengths = sequence_lengths(duration, fmt)
    plan = plan_windows(lengths, duration, fmt, WindowParams())
    with fake():
        flow: FlowNetwork = on_gpu(PartKind.FLOW, variant, dtype)
        params = flow.params
        clip = values(1, lengths.clip, params.clip_dim, dtype=dtype)
        sync = values(1, lengths.sync, params.sync_dim, dtype=dtype)
        text = values(1, 77, params.text_dim, dtype=dtype)
        branches = [
            project_conditions(flow, plan, clip, sync, text, lengths),
            project_conditions(flow, plan, None, None, text, lengths),
        ]
        x = values(2, lengths.latent, params.latent_dim, dtype=dtype)
        inside = Crossings()  # of what is recorded, where nothing may be copied from main memory

        def network(
            x: Tensor, t: Tensor, conditions: Conditions, set_index: Tensor | None = None
        ) -> Tensor:
            with inside:
                return flow(x, t, conditions, set_index)

        with Crossings() as step:
            v = predict_velocity(network, x, values(1), branches, plan)
    assert (v.device, v.shape, v.dtype) == (GPU, x.shape, dtype)
    assert inside.all == []
    assert step.waiting == []
    assert step.all != []  # which latents take which conditions


def test_crossings_are_noticed():
    with fake(), Crossings() as seen:
        values(3).cpu()
        torch.zeros(3).to(GPU)
        torch.zeros(3).to(GPU, non_blocking=True)
    assert (len(seen.all), len(seen.waiting)) == (3, 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_encoders_and_decoders_stay_on_their_device(
    variant: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
):
    # the kernel needs values: the convolutions take its place
    monkeypatch.setattr("mmaudio_core.models.bigvgan.activation.fused_kernel", lambda _device: None)
    with fake():
        clip: CLIP = on_gpu(PartKind.CLIP, variant, dtype)
        sync: Synchformer = on_gpu(PartKind.SYNCHFORMER, variant, dtype)
        head: SyncHead = on_gpu(PartKind.SYNC_HEAD, variant, dtype)
        vae: VAE = on_gpu(PartKind.VAE, variant, dtype)
        vocoder: BigVGAN = on_gpu(PartKind.VOCODER, variant, dtype)
        pixels = values(2, 3, 384, 384, dtype=torch.uint8)
        segments = values(2, 16, 3, 224, 224, dtype=torch.uint8)
        mel = values(1, vocoder.params.mels, 600, dtype=dtype)
        latents = values(1, vae.params.latent_dim, 300, dtype=dtype)
        made = [
            clip.encode_image(pixels),
            clip.encode_text(values(2, 77, dtype=torch.int64)),
            sync.encode_segments(segments),
            head.encode_segments(values(14, 128, 66)),
            head.offset_logits(values(1, 14 * 8, 128), values(1, 14 * 6, 128)),
            *vae.decode_chunks(latents, 100),
            *(moment for chunk in vae.encode_chunks(mel, 100) for moment in chunk),
            *vocoder.decode_chunks(mel, 300),
        ]
    assert {(x.device, x.dtype) for x in made} == {(GPU, dtype)}
