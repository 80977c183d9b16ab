"""What the VAE's attention sees if the input is processed in chunks: the neighboring chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..chunked import run_chunk
from .coders import Decoder, Encoder
from .layers import KeysValues

CONTEXT_CHUNKS = 2  # chunks on either side of a chunk that its attention sees


def attention_contexts(
    network: Decoder | Encoder, x: Tensor, chunks: Sequence[tuple[int, int]]
) -> Iterator[KeysValues | None]:
    """Keys and values for each chunk: its own and those of ``CONTEXT_CHUNKS`` on either side.

    None for a single chunk, whose attention computes its own.

    Args:
        network: whose attention it is.
        x: the whole input of ``network``, (B, C, L).
        chunks: (start, stop) of consecutive chunks, at the attention's resolution.
    """
    if len(chunks) == 1:
        yield None
        return
    ops, attention = network.ops_before_attention(), network.mid.attn_1
    computed: dict[int, KeysValues] = {}
    for index in range(len(chunks)):
        seen = range(max(0, index - CONTEXT_CHUNKS), min(index + CONTEXT_CHUNKS + 1, len(chunks)))
        computed = {
            i: computed[i] if i in computed else attention.keys_values(run_chunk(ops, x, chunks[i]))
            for i in seen
        }
        keys, values = (torch.cat(parts, dim=1) for parts in zip(*computed.values(), strict=True))
        yield keys, values
