"""How much there is to compute and to move in each stage, and how long the hardware needs for it.

Our networks run on the meta device, where nothing is computed, and every matrix product,
convolution and attention is counted: its operations, and its inputs (weights among them) and
outputs once each. All that lies between is taken as fused into those, and is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mmaudio_core.checkpoint import Bundle, PartKind
from mmaudio_core.checkpoint.layouts import LAYOUTS
from mmaudio_core.config import SEGMENT_TOKENS, sequence_lengths
from mmaudio_core.models.bigvgan import BigVGAN
from mmaudio_core.models.clip import CLIP
from mmaudio_core.models.flow import FlowNetwork
from mmaudio_core.models.synchformer import Synchformer
from mmaudio_core.models.vae import VAE
from mmaudio_core.sampling.windows import WindowParams, plan_windows

from .job import Job
from .rates import Rates
from .stages import Stage

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_LINEAR = {functional.linear}
_CONV = {functional.conv1d, functional.conv2d, functional.conv3d}
_TRANSPOSED = {functional.conv_transpose1d}
_MATMUL = {torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.mm}
_ATTENTION = {functional.scaled_dot_product_attention}


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a stage takes.

    Attributes:
        flops: operations, a multiplication and an addition counted as two.
        bytes: read and written.
        precision: of the operations.
    """

    flops: float
    bytes: float
    precision: str

    def seconds(self, rates: Rates) -> float:
        """The least time: all operations, or all bytes, at the best rate, whatever is longer."""
        return max(self.flops / rates.flops, self.bytes / rates.bytes)


def limits(job: Job, bundle: Bundle, rates: Sequence[Rates]) -> Mapping[Stage, float]:
    """The least seconds of each stage that networks do."""
    by_precision = {rate.precision: rate for rate in rates}
    return {
        stage: work.seconds(by_precision[work.precision])
        for stage, work in count(job, bundle).items()
        if work.precision in by_precision
    }


def count(job: Job, bundle: Bundle) -> Mapping[Stage, Work]:
    """The work of each stage that networks do, in the precisions of ours."""

    def network(kind: PartKind, precision: str) -> Any:
        make = LAYOUTS[kind].network
        return make(bundle.parts[kind].params, device="meta", dtype=_DTYPES[precision]).eval()

    flow: FlowNetwork = network(PartKind.FLOW, job.precision)
    clip: CLIP = network(PartKind.CLIP, job.precision)
    synchformer: Synchformer = network(PartKind.SYNCHFORMER, job.precision)
    vae: VAE = network(PartKind.VAE, job.decoders)
    vocoder: BigVGAN = network(PartKind.VOCODER, job.decoders)
    fmt, params = flow.params.audio, flow.params
    whole = sequence_lengths(job.duration, fmt)
    plan = plan_windows(whole, job.duration, fmt, WindowParams())
    windows, inside = (1, whole) if plan is None else (len(plan.windows), plan.lengths)

    def pixels(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.uint8, device="meta")

    def values(*shape: int, precision: str = job.precision) -> Tensor:
        return torch.empty(shape, dtype=_DTYPES[precision], device="meta")

    def conditions(batch: int) -> Any:
        return flow.conditions(
            values(batch, inside.clip, params.clip_dim),
            values(batch, inside.sync, params.sync_dim),
            values(batch, 77, params.text_dim),
            inside.latent,
        )

    def both_conditions() -> None:
        clip.encode_text(torch.empty((2, 77), dtype=torch.int64, device="meta"))
        for _ in range(2):
            conditions(windows)

    branches = 2 if job.cfg >= 1 else 1
    batch = branches * job.takes * windows
    given = conditions(batch)
    noise = values(batch, inside.latent, params.latent_dim)
    times = torch.empty(batch, device="meta")
    segments = (whole.sync // SEGMENT_TOKENS, synchformer.params.segment_frames, 3, 224, 224)
    latents = values(job.takes, params.latent_dim, whole.latent, precision=job.decoders)
    mel = values(job.takes, fmt.mels, 2 * whole.latent, precision=job.decoders)

    step = _counted(lambda: flow(noise, times, given), job.precision)
    return {
        Stage.CLIP: _counted(
            lambda: clip.encode_image(pixels(whole.clip, 3, 384, 384)), job.precision
        ),
        Stage.SYNCHFORMER: _counted(
            lambda: synchformer.encode_segments(pixels(*segments)), job.precision
        ),
        Stage.CONDITIONS: _counted(both_conditions, job.precision),
        Stage.SAMPLER: Work(
            flops=step.flops * job.steps, bytes=step.bytes * job.steps, precision=job.precision
        ),
        Stage.VAE: _counted(lambda: vae.decode(latents), job.decoders),
        Stage.VOCODER: _counted(lambda: vocoder(mel), job.decoders),
    }


def _counted(run: Callable[[], object], precision: str) -> Work:
    counter = Counter()
    with torch.no_grad(), counter:
        run()
    return Work(flops=counter.flops, bytes=counter.bytes, precision=precision)


class Counter(TorchFunctionMode):
    """Adds up ``flops`` and ``bytes`` of the products, convolutions and attentions inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0.0
        self.bytes = 0.0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        flops = _flops(func, args, result)
        if flops:
            self.flops += flops
            tensors = [x for x in (*args, *(kwargs or {}).values(), result) if _is_tensor(x)]
            self.bytes += sum(x.numel() * x.element_size() for x in tensors)
        return result


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def _flops(func: Any, args: Sequence[Any], result: Any) -> float:
    if func in _LINEAR:
        return 2 * result.numel() * args[1].shape[-1]
    if func in _CONV:
        return 2 * result.numel() * args[1][0].numel()
    if func in _TRANSPOSED:
        return 2 * args[0].numel() * args[1][0].numel()
    if func in _MATMUL:
        return 2 * result.numel() * args[0].shape[-1]
    if func in _ATTENTION:  # queries by keys, and the result by values
        return 4 * args[0].numel() * args[1].shape[-2]
    return 0
