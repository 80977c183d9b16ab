"""Pieces of recordings as the flow network is trained on them: latents, features, a caption."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from ..codec.encode import Posterior
from ..errors import MMAudioError, Problem
from ..feature_cache import VideoDigests
from ..features.types import Features, VisualFeatures


@dataclass(frozen=True, kw_only=True)
class PieceOptions:
    """How recordings are cut.

    Attributes:
        length: seconds of a piece.
        overlap: seconds that consecutive pieces share, less than ``length``.
        at_cuts: let no piece cross a scene change, where scenes are long enough.
        loudness: in LUFS, to which each recording is brought; None leaves it.
        skip_voices: leave out pieces in which somebody speaks or sings.

    Raises:
        MMAudioError: the pieces would share all of what is in them.
    """

    length: Fraction = Fraction(8)
    overlap: Fraction = Fraction(0)
    at_cuts: bool = True
    loudness: float | None = None
    skip_voices: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.length:
            raise MMAudioError(
                f"got an overlap of {float(self.overlap):g} s for pieces of "
                f"{float(self.length):g} s, expected less than a piece",
                Problem.OPTION,
            )


@dataclass(frozen=True, kw_only=True)
class EncodedPiece:
    """A piece of a recording without its caption.

    Attributes:
        start: seconds into the recording.
        latents: of its sound, one take.
        visual: features of its picture, if it has one.
        digests: under which a cache has those features; None if it has none.
        spectrogram, frames: see ``Piece``.
    """

    start: Fraction
    latents: Posterior
    visual: VisualFeatures
    digests: VideoDigests | None
    spectrogram: Tensor
    frames: Tensor | None


@dataclass(frozen=True, kw_only=True)
class EncodedRecording:
    """The pieces of a recording, whatever it is called.

    Attributes:
        digest: identifies its sound.
        pieces: those that are used.
        left_out: why others are not, each in words that follow the recording's name.
        notes: what was done to the sound.
    """

    digest: str
    pieces: tuple[EncodedPiece, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of a recording.

    Attributes:
        recording: name of the recording.
        start: seconds into it.
        caption: what it sounds like.
        latents: of its sound, one take.
        features: of its picture, if it has one, and of its caption.
        spectrogram: (96, 256) uint8, to look at: low frequencies at the bottom.
        frames: (4, 64, 64, 3) uint8, to look at, at equal distances; None without a picture.
    """

    recording: str
    start: Fraction
    caption: str
    latents: Posterior
    features: Features
    spectrogram: Tensor
    frames: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class PreparedRecording:
    """The pieces of a recording, why others were left out, and what was done, a sentence each."""

    name: str
    caption: str
    digest: str
    pieces: tuple[Piece, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()
