"""The picture of a piece: its features, and a few small frames to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import SYNC_FPS
from ..errors import MMAudioError
from ..feature_cache import VideoDigests
from ..features.types import VisualFeatures
from ..features.video import Frames, encode_video
from ..features.visual import TimeRange, VideoClip, extract_visual_features, used_part
from ..media import FrameChunk, FrameReader, image_for_clip, open_source
from ..progress import Progress
from ..providers import ModelProvider

_FRAMES, _SIZE = 4, 64  # how many frames are kept to look at, and their pixels a side


@dataclass(frozen=True, kw_only=True)
class SeenPiece:
    """What is known of a piece's picture; see ``EncodedPiece``."""

    visual: VisualFeatures
    digests: VideoDigests | None
    frames: Tensor | None


def see_piece(
    networks: ModelProvider,
    picture: VideoClip | None,
    start: Fraction,
    length: Fraction,
    progress: Progress,
) -> SeenPiece:
    """Look at ``length`` seconds of a picture.

    Raises:
        MMAudioError: it cannot be read, or ends before.
    """
    if picture is None:
        visual = VisualFeatures(duration=length, clip=None, sync=None)
        return SeenPiece(visual=visual, digests=None, frames=None)
    image = open_source(picture.source).still_image
    if image is not None:
        still = extract_visual_features(networks, picture, TimeRange(duration=length), progress)
        frames = _small(image_for_clip(image)).expand(_FRAMES, -1, -1, -1)
        return SeenPiece(visual=still.features, digests=None, frames=frames)
    part = used_part(picture, TimeRange(duration=length, start=start))
    reader = _WatchedReader(
        FrameReader(part.source, start=part.start, duration=part.duration), length
    )
    encoded = encode_video(networks, reader, length, progress)
    if encoded.duration != length:
        raise MMAudioError(
            f"the picture ends {float(start + encoded.duration):.2f} s after its start"
        )
    return SeenPiece(visual=encoded.visual, digests=encoded.digests, frames=reader.kept)


class _WatchedReader:
    """The same frames, of which a few are kept while they pass."""

    def __init__(self, reader: Frames, length: Fraction) -> None:
        self._reader = reader
        self._wanted = [int((n + 0.5) / _FRAMES * length * SYNC_FPS) for n in range(_FRAMES)]
        self._kept: list[Tensor] = []

    @property
    def duration(self) -> Fraction:
        return self._reader.duration

    @property
    def kept(self) -> Tensor:
        """(4, 64, 64, 3) uint8, known once every chunk has been read."""
        return torch.cat(self._kept)

    def __iter__(self) -> Iterator[FrameChunk]:
        seen = 0
        for chunk in self._reader:
            here = [n - seen for n in self._wanted if seen <= n < seen + len(chunk.sync)]
            if here:
                self._kept.append(_small(chunk.sync[here]))
            seen += len(chunk.sync)
            yield chunk


def _small(frames: Tensor) -> Tensor:
    """(n, 64, 64, 3) uint8 of frames (n, 3, H, W)."""
    small = F.interpolate(frames.float(), (_SIZE, _SIZE), mode="area")
    return small.round().byte().permute(0, 2, 3, 1)
