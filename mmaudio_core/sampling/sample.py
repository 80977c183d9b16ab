"""Sampling latents from features with the flow network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..checkpoint import PartKind
from ..config import SequenceLengths, sequence_lengths
from ..features.shots import detect_shot_changes
from ..features.types import Features
from ..models.flow import FlowNetwork
from ..progress import Progress, no_progress
from ..providers import LoadedModel, ModelProvider, check_finite
from .euler import integrate_euler
from .guidance import GuidanceBranch, project_conditions
from .memory import MAX_BATCHED_WINDOWS, activation_bytes
from .noise import get_noise
from .windows import WindowParams, WindowPlan, plan_windows

SEED_RANGE = 2**64
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
    """Sample latents, one take per seed; durations over 10 s in overlapping windows.

    Args:
        networks: provides the flow network.
        features: conditions of all takes.
        seeds: seeds of the noise, modulo 2**64.
        steps: number of Euler steps.
        cfg: guidance strength.
        windows: how long durations are split.
        progress: called before every block.

    Returns:
        (takes, N, latent_dim), float32 on the CPU, on the VAE's scale.

    Raises:
        MMAudioError: the features are of another width than the network's.
        NumericsError: the network produced NaN or infinity.
    """
    params = networks.params
    lengths = sequence_lengths(features.duration, params.audio)
    cuts = detect_shot_changes(features.clip)
    plan = plan_windows(
        lengths, features.duration, params.audio, windows, cuts, features.crossfades
    )
    room = _activation_bytes(networks, features, lengths, plan, takes=len(seeds))
    loaded = networks.acquire(PartKind.FLOW, room)
    flow = loaded.network
    assert isinstance(flow, FlowNetwork)
    with torch.no_grad():
        positive, negative = project_features(loaded, features, lengths, plan)
        noise = get_noise([s % SEED_RANGE for s in seeds], lengths.latent, params.latent_dim)
        latents = integrate_euler(
            flow,
            noise.to(loaded.device),
            positive,
            negative,
            steps=steps,
            cfg=cfg,
            dtype=loaded.dtype,
            plan=plan,
            progress=progress,
        )
        return check_finite(flow.unnormalize(latents), "flow network", loaded).cpu()


def project_features(
    loaded: LoadedModel,
    features: Features,
    lengths: SequenceLengths,
    plan: WindowPlan | None = None,
) -> tuple[GuidanceBranch, GuidanceBranch]:
    """Conditions of the positive and the negative branch, on the network's device.

    Raises:
        MMAudioError: the features are of another width than the network's.
    """
    flow = loaded.network
    assert isinstance(flow, FlowNetwork)

    def place(x: Tensor) -> Tensor:
        return x.to(device=loaded.device, dtype=loaded.dtype)

    clip = None if features.clip is None else place(features.clip)
    sync = None if features.sync is None else place(features.sync)
    return (
        project_conditions(flow, plan, clip, sync, place(features.text), lengths),
        project_conditions(flow, plan, None, None, place(features.negative), lengths),
    )


def _activation_bytes(
    networks: ModelProvider,
    features: Features,
    lengths: SequenceLengths,
    plan: WindowPlan | None,
    *,
    takes: int,
) -> int:
    rows = 2 * takes  # both branches
    if plan is not None:
        rows, lengths = max(rows, MAX_BATCHED_WINDOWS), plan.lengths
    tokens = lengths.latent + lengths.clip + features.text.shape[1]
    return activation_bytes(networks.params, rows, tokens, networks.compute_dtype(PartKind.FLOW))
