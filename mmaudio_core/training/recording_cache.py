"""Recordings that were encoded before: neither decoded nor encoded again, in another process too.

What is kept goes by the content of a file and by all that decides how it is cut and encoded; not by
its name, place or caption. The features of its picture lie in the cache on their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ..checkpoint import PartKind
from ..codec.encode import Posterior
from ..feature_cache import Digest, FeatureCache, VideoDigests, text_digest
from ..features.types import VisualFeatures
from ..features.visual import recall_features
from ..providers import ModelProvider
from ..scoring.voice import find_voice
from .pieces import EncodedPiece, EncodedRecording, PieceOptions

_TEXT = "text"
_VERSION = "3"  # of what is kept and of how recordings are cut; raise it when either changes


def recording_key(networks: ModelProvider, content: str, options: PieceOptions) -> Digest:
    """What a recording is kept under.

    Args:
        networks: that encode it.
        content: identifies the recording's sound and picture.
        options: how it is cut.
    """
    encoders = (PartKind.VAE, PartKind.CLIP, PartKind.SYNCHFORMER)
    parts = [_VERSION, content, repr(options), repr(networks.params.audio)]
    parts += [networks.fingerprint(kind) for kind in encoders]
    if options.skip_voices:  # without the detector, none are found
        parts.append(find_voice(torch.zeros(1, 16_000), 16_000).reason)
    return text_digest("recording", *parts)


def keep_recording(cache: FeatureCache, key: Digest, recording: EncodedRecording) -> None:
    """Keep an encoded recording, unless its picture's features are not in the cache."""
    pieces = recording.pieces
    digests = [piece.digests for piece in pieces if piece.digests is not None]
    seen = [piece for piece in pieces if piece.visual.clip is not None]
    if len(digests) != len(seen):
        return
    text = {
        "digest": recording.digest,
        "left_out": recording.left_out,
        "notes": recording.notes,
        "starts": [str(piece.start) for piece in pieces],
        "duration": str(pieces[0].visual.duration) if pieces else "0",
    }
    record = {_TEXT: torch.tensor(list(json.dumps(text).encode()), dtype=torch.uint8)}
    if pieces:
        record |= {
            "mean": torch.cat([piece.latents.mean for piece in pieces]),
            "std": torch.cat([piece.latents.std for piece in pieces]),
            "spectrogram": torch.stack([piece.spectrogram for piece in pieces]),
        }
    if digests:
        record |= {
            "clip": _stack([each.clip or () for each in digests]),
            "sync": _stack([each.sync for each in digests]),
            "motion": torch.stack([each.motion for each in digests]),
            "frames": torch.stack([p.frames for p in pieces if p.frames is not None]),
        }
    cache.put_record(key, record)


def recall_recording(cache: FeatureCache, key: Digest) -> EncodedRecording | None:
    """An encoded recording, if all of it is in the cache."""
    record = cache.get_record(key)
    if record is None:
        return None
    text: dict[str, Any] = json.loads(record[_TEXT].numpy().tobytes())
    duration = Fraction(text["duration"])
    pieces: list[EncodedPiece] = []
    for row, start in enumerate(text["starts"]):
        digests, frames = None, None
        visual: VisualFeatures | None = VisualFeatures(duration=duration, clip=None, sync=None)
        if "sync" in record:
            digests = VideoDigests(
                duration=duration,
                clip=_rows(record["clip"][row]),
                sync=_rows(record["sync"][row]),
                motion=record["motion"][row],
            )
            frames = record["frames"][row]
            visual = recall_features(cache, digests)
        if visual is None:
            return None
        piece = EncodedPiece(
            start=Fraction(start),
            latents=Posterior(mean=record["mean"][row][None], std=record["std"][row][None]),
            visual=visual,
            digests=digests,
            spectrogram=record["spectrogram"][row],
            frames=frames,
        )
        pieces.append(piece)
    return EncodedRecording(
        digest=text["digest"],
        pieces=tuple(pieces),
        left_out=tuple(text["left_out"]),
        notes=tuple(text["notes"]),
    )


def _stack(digests: Sequence[Sequence[Digest]]) -> Tensor:
    """(pieces, n, bytes)."""
    return torch.tensor([[list(digest) for digest in row] for row in digests], dtype=torch.uint8)


def _rows(digests: Tensor) -> tuple[Digest, ...]:
    return tuple(row.numpy().tobytes() for row in digests)
