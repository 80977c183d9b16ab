"""Projected features that condition the flow network, without repeating equal rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import SEGMENT_TOKENS

_SYNC_RADIUS = 5  # tokens on one side that the sync projection sees: kernels of 7, 3 and 3


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Everything a step needs that depends on neither the latent nor the time, for U sets.

    All takes of a branch share one set, several latents share one sync row, and equal rows are
    kept once. So modulation is computed once per row and then looked up for every latent.

    Attributes:
        clip: (U, V, D).
        text: (U, 77, D).
        pooled: (U, D), sum of the projected means of CLIP and text features.
        sync_rows: (R, D), the sync rows of all sets, one set after another.
        set_of_row: (R,) int64, the set each row belongs to.
        row_of_latent: (U, N) int64, the row that each latent uses.
    """

    clip: Tensor
    text: Tensor
    pooled: Tensor
    sync_rows: Tensor
    set_of_row: Tensor
    row_of_latent: Tensor

    def __len__(self) -> int:
        return len(self.pooled)

    def to(self, device: torch.device) -> Conditions:
        """The same sets on another device."""
        return Conditions(**{name: value.to(device) for name, value in vars(self).items()})

    def split(self) -> list[Conditions]:
        """One object per set. All sets have the same number of rows, as the network makes them."""
        rows = len(self.sync_rows) // len(self)
        return [self._select(index, rows) for index in range(len(self))]

    def _select(self, index: int, rows: int) -> Conditions:
        one = slice(index, index + 1)
        return Conditions(
            clip=self.clip[one],
            text=self.text[one],
            pooled=self.pooled[one],
            sync_rows=self.sync_rows[index * rows : (index + 1) * rows],
            set_of_row=torch.zeros_like(self.set_of_row[:rows]),
            row_of_latent=self.row_of_latent[one] - index * rows,
        )

    @staticmethod
    def stack(parts: Sequence[Conditions]) -> Conditions:
        """The sets of all parts in one object; their sequence lengths are equal."""
        if len(parts) == 1:
            return parts[0]
        sets = [0, *accumulate(len(part) for part in parts[:-1])]
        rows = [0, *accumulate(len(part.sync_rows) for part in parts[:-1])]
        return Conditions(
            clip=torch.cat([part.clip for part in parts]),
            text=torch.cat([part.text for part in parts]),
            pooled=torch.cat([part.pooled for part in parts]),
            sync_rows=torch.cat([part.sync_rows for part in parts]),
            set_of_row=torch.cat(
                [part.set_of_row + first for part, first in zip(parts, sets, strict=True)]
            ),
            row_of_latent=torch.cat(
                [part.row_of_latent + first for part, first in zip(parts, rows, strict=True)]
            ),
        )


def nearest_rows(rows: int, latents: int, device: torch.device) -> Tensor:
    """The row that each latent uses, by nearest-exact interpolation: (latents,) int64."""
    numbers = torch.arange(rows, dtype=torch.float32, device=device)
    return F.interpolate(numbers[None, None], size=latents, mode="nearest-exact")[0, 0].long()


def unique_sync_rows(tokens: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which projected sync rows to keep if the features repeat from segment to segment.

    Rows near the ends differ, because the projection's convolutions see the padding there.

    Returns:
        The tokens whose rows are kept, (R,) int64, and for each token the index of the kept row
        that equals its own, (tokens,) int64.
    """
    if tokens <= 2 * _SYNC_RADIUS + SEGMENT_TOKENS:
        every = torch.arange(tokens, device=device)
        return every, every
    before_end = _SYNC_RADIUS + SEGMENT_TOKENS  # kept: the beginning, one segment, the end
    kept = [*range(before_end), *range(tokens - _SYNC_RADIUS, tokens)]
    kept_row = [
        *range(_SYNC_RADIUS),
        *(_SYNC_RADIUS + i % SEGMENT_TOKENS for i in range(tokens - 2 * _SYNC_RADIUS)),
        *range(before_end, before_end + _SYNC_RADIUS),
    ]
    return torch.tensor(kept, device=device), torch.tensor(kept_row, device=device)
