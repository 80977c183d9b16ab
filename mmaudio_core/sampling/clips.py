"""Sampling several clips of one length in the same forward passes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

from ..checkpoint import PartKind
from ..config import sequence_lengths
from ..errors import MMAudioError
from ..features.types import Features
from ..models.flow import FlowNetwork
from ..models.flow.conditions import Conditions
from ..progress import Progress, no_progress
from ..providers import ModelProvider, check_finite
from .euler import integrate_euler
from .guidance import GuidanceBranch
from .memory import activation_bytes
from .noise import get_noise
from .sample import SEED_RANGE, project_features
from .windows import WindowParams


def are_alike(one: Features, other: Features) -> bool:
    """Whether two clips can be sampled together: the same sequences, none of them in windows."""
    return _layout(one) == _layout(other) and can_share(one)


def can_share(features: Features) -> bool:
    """Whether a clip is sampled in a single pass, as clips that share one are."""
    return not features.crossfades and features.duration <= WindowParams().single_pass


def sample_clips(
    networks: ModelProvider,
    clips: Sequence[Features],
    seeds: Sequence[Sequence[int]],
    *,
    steps: int = 25,
    cfg: float = 4.5,
    progress: Progress = no_progress,
) -> list[Tensor]:
    """Sample latents of clips that are alike, in one batch.

    What a clip becomes depends on its place in the batch and on the size of the batch, to the last
    bits alone, and not on the other clips.

    Args:
        networks: provides the flow network.
        clips: conditions of each.
        seeds: of each clip, one per take, the same number of each.
        steps, cfg, progress: see ``sample``.

    Returns:
        For each clip (takes, N, latent_dim), float32 on the CPU, on the VAE's scale; whether they
        are finite is for the caller to check, so that one clip does not fail the others.

    Raises:
        MMAudioError: the clips are not alike, or are of another width than the network's.
    """
    if not all(are_alike(clips[0], clip) for clip in clips):
        raise MMAudioError("got clips of several lengths in one batch, expected one length")
    params = networks.params
    lengths = sequence_lengths(clips[0].duration, params.audio)
    takes = len(seeds[0])
    tokens = lengths.latent + lengths.clip + clips[0].text.shape[1]
    dtype = networks.compute_dtype(PartKind.FLOW)
    rows = 2 * takes * len(clips)
    loaded = networks.acquire(PartKind.FLOW, activation_bytes(params, rows, tokens, dtype))
    flow = loaded.network
    assert isinstance(flow, FlowNetwork)
    with torch.no_grad():
        branches = [project_features(loaded, clip, lengths) for clip in clips]
        noise = get_noise(
            [seed % SEED_RANGE for of_clip in seeds for seed in of_clip],
            lengths.latent,
            params.latent_dim,
        )
        latents = integrate_euler(
            flow,
            noise.to(loaded.device),
            _each_take([positive for positive, _ in branches], takes),
            _each_take([negative for _, negative in branches], takes),
            steps=steps,
            cfg=cfg,
            dtype=loaded.dtype,
            progress=progress,
        )
        return list(torch.split(flow.unnormalize(latents).cpu(), takes))


def check_latents(networks: ModelProvider, latents: Tensor) -> Tensor:
    """Return one clip's latents if they are finite; raises ``NumericsError`` if not."""
    return check_finite(latents, "flow network", networks.acquire(PartKind.FLOW, 0))


def _each_take(branches: Sequence[GuidanceBranch], takes: int) -> GuidanceBranch:
    """One set of conditions per take of each clip, as ``predict_velocity`` takes them."""
    if len(branches) == 1:
        return branches[0]
    return [Conditions.stack([branch[0] for branch in branches for _ in range(takes)])]


def _layout(features: Features) -> tuple[Fraction, int | None, int | None]:
    """What decides the lengths of a clip's sequences, and whether its sync features repeat."""
    clip, sync = features.clip, features.sync
    return (
        features.duration,
        None if clip is None else clip.shape[1],
        None if sync is None else sync.shape[1],
    )
