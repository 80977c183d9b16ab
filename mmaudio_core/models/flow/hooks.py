"""Where a host may intervene in the blocks of one forward pass of the flow network."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from ..attention import sdpa


class Streams(NamedTuple):
    """The three streams of a joint block, each (B, L, D)."""

    latent: Tensor
    clip: Tensor
    text: Tensor


class BlockHooks:
    """Interventions of a host; these defaults change nothing.

    Subclasses may attend with another kernel, patch what attention returns, or skip or replace
    blocks.
    """

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Softmax attention with scale 1/8: (B, heads, L, 64) -> (B, L, heads * 64)."""
        return sdpa(q, k, v).transpose(1, 2).flatten(2)

    def attention_output(self, output: Tensor, latents: int) -> Tensor:
        """Patch what a block attended, (B, L, D), whose first ``latents`` rows are the latent's."""
        return output

    def joint_block(
        self, index: int, streams: Streams, block: Callable[[Streams], Streams]
    ) -> Streams:
        """Run joint block ``index``."""
        return block(streams)

    def fused_block(self, index: int, latent: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        """Run fused block ``index``."""
        return block(latent)


NO_HOOKS = BlockHooks()
