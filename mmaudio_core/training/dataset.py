"""The pieces that are learned and those that are held out, and what a trainer gets of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .pieces import Piece, PreparedRecording

# Each condition is dropped with this probability in the published training.
DROP = 0.1


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What is learned, and what is held out to see whether more than that is learned.

    Attributes:
        training, held_out: pieces; no recording has pieces in both.
        digest: identifies the sounds, their captions and how they were cut.
    """

    training: tuple[Piece, ...]
    held_out: tuple[Piece, ...]
    digest: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """A piece as a trainer gets it.

    Attributes:
        piece: whose latents and features they are.
        latents: (N, latent_dim), drawn from the posterior, on the VAE's scale.
        picture, text: whether they are given, or dropped.
    """

    piece: Piece
    latents: Tensor
    picture: bool
    text: bool


def split_recordings(recordings: Sequence[PreparedRecording], held_out: float) -> TrainingSet:
    """Hold out a share of the recordings, at least one of several, if ``held_out`` is above 0.

    Which ones depends on the sounds alone: not on their names, their order or a seed. A recording
    is never split, because its pieces are alike.
    """
    used = sorted((r for r in recordings if r.pieces), key=lambda r: r.digest)
    count = math.ceil(held_out * len(used)) if held_out > 0 else 0
    count = min(count, len(used) - 1) if used else 0
    kept = {recording.digest for recording in used[:count]}
    digest = hashlib.blake2b(digest_size=16)
    for recording in used:
        starts = ",".join(str(piece.start) for piece in recording.pieces)
        digest.update(f"{recording.digest}\0{recording.caption}\0{starts}\n".encode())
    in_order = [recording for recording in recordings if recording.pieces]
    return TrainingSet(
        training=tuple(p for r in in_order if r.digest not in kept for p in r.pieces),
        held_out=tuple(p for r in in_order if r.digest in kept for p in r.pieces),
        digest=digest.hexdigest(),
    )


def draw_examples(
    pieces: Sequence[Piece],
    *,
    copies: int,
    drop_picture: float = DROP,
    drop_text: float = DROP,
    seed: int = 0,
) -> list[Example]:
    """Every piece ``copies`` times, each with latents and dropped conditions of its own.

    The published training draws anew at every step; a trainer with a fixed list of examples comes
    near to that with several copies.

    Args:
        pieces: what is learned.
        copies: of each piece.
        drop_picture, drop_text: probabilities, independent of each other.
        seed: of all that is drawn.
    """
    generator = torch.Generator().manual_seed(seed % 2**64)
    examples: list[Example] = []
    for _ in range(copies):
        for piece in pieces:
            latents = piece.latents.sample(generator)[0]
            picture, text = (float(x) for x in torch.rand(2, generator=generator))
            examples.append(
                Example(
                    piece=piece,
                    latents=latents,
                    picture=picture >= drop_picture,
                    text=text >= drop_text,
                )
            )
    return examples
