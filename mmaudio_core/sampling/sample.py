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
from ..features.shots import scene_cuts
from ..features.video import Features
from ..models.flow import FlowNetwork
from ..progress import Progress, silent
from ..providers import Networks, Placed, check_finite
from .euler import TOGETHER, draw_noise, euler
from .guidance import Branch, project
from .windows import Plan, WindowParams, plan_windows

_SEED_RANGE = 2**64
_WINDOWS = WindowParams()


def sample(
    networks: Networks,
    features: Features,
    seeds: Sequence[int],
    *,
    steps: int = 25,
    cfg: float = 4.5,
    windows: WindowParams = _WINDOWS,
    progress: Progress = silent,
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
    cuts = scene_cuts(features.clip)
    plan = plan_windows(lengths, features.duration, params.audio, windows, cuts, features.fades)
    rows, inside = 2 * len(seeds), lengths
    if plan is not None:
        rows, inside = max(rows, TOGETHER), plan.lengths
    tokens = inside.latent + inside.clip + features.text.shape[1]
    placed = networks.use(PartKind.FLOW, rows * tokens * params.width * 80)
    flow = placed.network
    assert isinstance(flow, FlowNetwork)
    with torch.no_grad():
        positive, negative = conditions(placed, features, lengths, plan)
        noise = draw_noise([s % _SEED_RANGE for s in seeds], lengths.latent, params.latent_dim)
        latents = euler(
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
    placed: Placed, features: Features, lengths: SequenceLengths, plan: Plan | None = None
) -> tuple[Branch, Branch]:
    """Conditions of the two branches of guidance; with a plan, of its windows."""
    flow = placed.network
    assert isinstance(flow, FlowNetwork)
    _check_widths(flow, features)

    def place(x: Tensor) -> Tensor:
        return x.to(device=placed.device, dtype=placed.dtype)

    clip = None if features.clip is None else place(features.clip)
    sync = None if features.sync is None else place(features.sync)
    return (
        project(flow, plan, clip, sync, place(features.text), lengths),
        project(flow, plan, None, None, place(features.negative), lengths),
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
