"""The whole job, stage by stage: features, latents, waveform.

Each function takes its networks from a ``Networks``, so that a host decides what is in memory when.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..checkpoint import PartKind
from ..codec.decode import VAE_STAGE as VAE_STAGE
from ..codec.decode import VOCODER_STAGE as VOCODER_STAGE
from ..codec.decode import decode as decode
from ..config import SequenceLengths, sequence_lengths
from ..errors import MMAudioError
from ..features.shots import detect_shot_changes
from ..features.types import Features
from ..models.flow import FlowNetwork
from ..progress import Progress, no_progress
from ..providers import LoadedModel, ModelProvider, check_finite
from .euler import MAX_BATCHED_WINDOWS, denoise
from .guidance import GuidanceBranch, project_conditions
from .noise import get_noise
from .windows import WindowParams, WindowPlan, plan_windows

_SEED_RANGE = 2**64
_WINDOWS = WindowParams()


def sample(
    networks: ModelProvider,
    features: Features,
    seeds: Sequence[int],
    *,
    steps: int = 25,
    cfg: float = 4.5,
    windows: WindowParams = _WINDOWS,
    progress: Progress = no_progress,
) -> Tensor:
    """Draw latents, one take a seed; what is longer than 10 s, in windows.

    Returns:
        (takes, N, latent_dim), float32 on the CPU, on the VAE's scale.

    Raises:
        MMAudioError: features of another family of models.
        NumericsError: the network made NaN or infinity.
    """
    params = networks.params
    lengths = sequence_lengths(features.duration, params.audio)
    cuts = detect_shot_changes(features.clip)
    plan = plan_windows(lengths, features.duration, params.audio, windows, cuts, features.fades)
    rows, inside = 2 * len(seeds), lengths
    if plan is not None:
        rows, inside = max(rows, MAX_BATCHED_WINDOWS), plan.lengths
    tokens = inside.latent + inside.clip + features.text.shape[1]
    placed = networks.acquire(PartKind.FLOW, rows * tokens * params.width * 80)
    flow = placed.network
    assert isinstance(flow, FlowNetwork)
    with torch.no_grad():
        positive, negative = conditions(placed, features, lengths, plan)
        noise = get_noise([s % _SEED_RANGE for s in seeds], lengths.latent, params.latent_dim)
        latents = denoise(
            flow,
            noise.to(placed.device),
            positive,
            negative,
            steps=steps,
            cfg=cfg,
            dtype=placed.dtype,
            plan=plan,
            progress=progress,
        )
        return check_finite(flow.unnormalize(latents), "flow network", placed).cpu()


def conditions(
    placed: LoadedModel,
    features: Features,
    lengths: SequenceLengths,
    plan: WindowPlan | None = None,
) -> tuple[GuidanceBranch, GuidanceBranch]:
    """Conditions of the two branches of guidance; with a plan, of its windows."""
    flow = placed.network
    assert isinstance(flow, FlowNetwork)
    _check_widths(flow, features)

    def place(x: Tensor) -> Tensor:
        return x.to(device=placed.device, dtype=placed.dtype)

    clip = None if features.clip is None else place(features.clip)
    sync = None if features.sync is None else place(features.sync)
    return (
        project_conditions(flow, plan, clip, sync, place(features.text), lengths),
        project_conditions(flow, plan, None, None, place(features.negative), lengths),
    )


def _check_widths(flow: FlowNetwork, features: Features) -> None:
    p = flow.params
    for what, tensor, width in (
        ("CLIP", features.clip, p.clip_dim),
        ("sync", features.sync, p.sync_dim),
        ("text", features.text, p.text_dim),
    ):
        if tensor is not None and tensor.shape[-1] != width:
            raise MMAudioError(
                f"{what} features of width {tensor.shape[-1]} were got, this model takes {width}: "
                "extract the features with the same model that samples"
            )
