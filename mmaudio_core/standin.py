"""Stand-in weights: small networks of the published architecture, filled from a seed.

The published weights cannot travel with the code, so the demo and the tests run on these. Every
tensor is a function of (seed, key, shape) alone and keeps activations sane; what comes out at the
end is noise, and whoever uses a stand-in is told so.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

# One half of BigVGAN's anti-aliasing filter: a 12-tap Kaiser-windowed sinc, cutoff 0.25,
# half-width 0.3. The published vocoders store it with their weights.
_HALF_FILTER = (
    0.0020289646927267313,
    0.009389465674757957,
    -0.0255434587597847,
    -0.057657383382320404,
    0.12857258319854736,
    0.44320979714393616,
)
_MATRICES = ("weight", "in_proj_weight", "proj", "text_projection")


def seeded_tensor(key: str, shape: Sequence[int], seed: int = 0) -> Tensor:
    """float32 tensor for checkpoint entry ``key``; the same on every machine."""
    if key.endswith(".filter"):
        return torch.tensor(_HALF_FILTER + _HALF_FILTER[::-1]).view(1, 1, 12)
    shape = tuple(shape)
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(f"{seed}:{key}".encode())))
    drawn = generator.standard_normal(shape or (1,), dtype=np.float32)
    z = torch.from_numpy(drawn).reshape(shape)
    leaf = key.rsplit(".", 1)[-1]
    if leaf in ("original0", "weight_g"):  # weight norm: the norm of each filter
        return (0.02 if "conv_post" in key else 1.0) * (1 + 0.1 * z)
    if leaf in ("original1", "weight_v"):  # weight norm: the direction
        return z
    if leaf in ("latent_std", "data_std"):
        return 1 + 0.1 * z.abs()
    if leaf == "logit_scale":
        return torch.full(shape, math.log(1 / 0.07))
    if leaf in _MATRICES and len(shape) >= 2:
        return z / math.sqrt(math.prod(shape[1:]))
    if leaf == "weight":  # the scale of a norm layer
        return 1 + 0.1 * z
    return 0.1 * z  # biases, embeddings, class tokens, logarithms of snake parameters


def seeded_state_dict(manifest: Mapping[str, Sequence[int]], seed: int = 0) -> dict[str, Tensor]:
    """State dict for ``manifest`` (key -> shape)."""
    return {key: seeded_tensor(key, shape, seed) for key, shape in manifest.items()}
