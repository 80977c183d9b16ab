"""What the flow network is conditioned on, projected: sets of it, and which rows they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import SEGMENT_TOKENS

_SYNC_REACH = 5  # tokens, of the sync projection: kernels of 7, 3 and 3


@dataclass(frozen=True)
class Conditions:
    """Everything a step needs that does not depend on the latent or the time: U sets of it.

    What a set says modulates every take alike, so that is computed once a set and only then
    spread; so are sync rows that are alike.

    Attributes:
        clip: (U, V, D).
        text: (U, 77, D).
        common: (U, D), the projected means of clip and text, summed.
        sync: (R, D), the rows of all sets, one a sync token.
        owner: (R,) int64, the set of each row.
        spread: (U, N) int64, the row that each latent takes.
    """

    clip: Tensor
    text: Tensor
    common: Tensor
    sync: Tensor
    owner: Tensor
    spread: Tensor

    def __len__(self) -> int:
        return len(self.common)

    def tensors(self) -> tuple[Tensor, ...]:
        """All of it, in the order of the attributes."""
        return (self.clip, self.text, self.common, self.sync, self.owner, self.spread)

    def split(self) -> list[Conditions]:
        """Each set by itself; all have as many rows, as the network makes them."""
        rows = len(self.sync) // len(self)
        return [self._only(index, rows) for index in range(len(self))]

    def _only(self, index: int, rows: int) -> Conditions:
        one = slice(index, index + 1)
        return Conditions(
            clip=self.clip[one],
            text=self.text[one],
            common=self.common[one],
            sync=self.sync[index * rows : (index + 1) * rows],
            owner=torch.zeros_like(self.owner[:rows]),
            spread=self.spread[one] - index * rows,
        )

    @staticmethod
    def stack(parts: Sequence[Conditions]) -> Conditions:
        """All sets of all parts, whose lengths are equal."""
        if len(parts) == 1:
            return parts[0]
        sets = [0, *accumulate(len(part) for part in parts)]
        rows = [0, *accumulate(len(part.sync) for part in parts)]
        return Conditions(
            clip=torch.cat([part.clip for part in parts]),
            text=torch.cat([part.text for part in parts]),
            common=torch.cat([part.common for part in parts]),
            sync=torch.cat([part.sync for part in parts]),
            owner=torch.cat([p.owner + first for p, first in zip(parts, sets, strict=False)]),
            spread=torch.cat([p.spread + first for p, first in zip(parts, rows, strict=False)]),
        )


def spread_rows(rows: int, latents: int, device: torch.device) -> Tensor:
    """The row each of ``latents`` positions takes (nearest-exact interpolation): (N,) int64."""
    numbers = torch.arange(rows, dtype=torch.float32, device=device)
    return F.interpolate(numbers[None, None], size=latents, mode="nearest-exact")[0, 0].long()


def alike_tokens(tokens: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Of sync tokens that repeat from segment to segment: those to keep, and which of them each is.

    Near the ends, the projection's convolutions see the padding.
    """
    if tokens <= 2 * _SYNC_REACH + SEGMENT_TOKENS:
        every = torch.arange(tokens, device=device)
        return every, every
    first = _SYNC_REACH + SEGMENT_TOKENS
    kept = [*range(first), *range(tokens - _SYNC_REACH, tokens)]
    which = [
        *range(_SYNC_REACH),
        *(_SYNC_REACH + i % SEGMENT_TOKENS for i in range(tokens - 2 * _SYNC_REACH)),
        *range(first, first + _SYNC_REACH),
    ]
    return torch.tensor(kept, device=device), torch.tensor(which, device=device)
