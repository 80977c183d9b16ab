"""What to do with the sound, and what kind of file to write; the defaults change nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import MediaError

ORIGINALS = ("replace", "mix", "duck", "keep_as_track")
"""What becomes of a video's own sound."""
CONTAINERS = ("auto", "mp4", "mov", "mkv", "webm")
AUDIO_CODECS = ("auto", "aac", "opus", "flac", "pcm")
_QUIETEST, _LOUDEST = -60.0, 24.0
_WORST = 51
"""x264's highest crf; 0 is lossless."""


@dataclass(frozen=True, kw_only=True)
class AudioOptions:
    """How the new sound is treated, and what becomes of the video's own.

    Args:
        original: ``replace`` drops the video's own sound; ``mix`` adds the new one to it; ``duck``
            does too, but lowers it while the new one sounds; ``keep_as_track`` keeps it as a
            second track.
        gain_db: of the new sound, -60 to 24 dB.
        fade_in, fade_out: seconds over which the new sound comes and goes.
        loudness: LUFS (integrated, ITU-R BS.1770-4) of what is heard, mix included; None leaves
            it as it is.

    Raises:
        MediaError: when a value is none of these.
    """

    original: str = "replace"
    gain_db: float = 0.0
    fade_in: float = 0.0
    fade_out: float = 0.0
    loudness: float | None = None

    def __post_init__(self) -> None:
        _one_of("original_audio", self.original, ORIGINALS)
        _between("gain_db", self.gain_db, _QUIETEST, _LOUDEST)
        _between("fade_in", self.fade_in, 0, math.inf)
        _between("fade_out", self.fade_out, 0, math.inf)
        if self.loudness is not None:
            _between("loudness", self.loudness, -70, 0)

    @property
    def mixes(self) -> bool:
        """Whether the original is part of the same track."""
        return self.original in ("mix", "duck")

    @property
    def keeps(self) -> bool:
        """Whether the original is a track of its own."""
        return self.original == "keep_as_track"


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """The file to write.

    Args:
        container: auto (the first of mp4, mov, mkv that takes picture and sound), mp4, mov, mkv or
            webm.
        audio_codec: auto (the container's own), aac, opus, flac or pcm (16 bits).
        bitrate: of aac and opus in kbit/s, all channels together; 0 for one that suits.
        trim_to_audio: end the picture with the sound.
        crf: quality of pictures that are encoded, 0 (best) to 51.
        pix_fmt: libav's name of their pixel format, for instance yuv420p.
        metadata: what the file says of itself.

    Raises:
        MediaError: when a value is none of these.
    """

    container: str = "auto"
    audio_codec: str = "auto"
    bitrate: int = 0
    trim_to_audio: bool = False
    crf: int = 19
    pix_fmt: str = "yuv420p"
    metadata: Mapping[str, str] = field(default_factory=lambda: {})

    def __post_init__(self) -> None:
        _one_of("container", self.container, CONTAINERS)
        _one_of("audio_codec", self.audio_codec, AUDIO_CODECS)
        _between("bitrate", self.bitrate, 0, math.inf)
        _between("crf", self.crf, 0, _WORST)


def _one_of(name: str, got: str, choices: tuple[str, ...]) -> None:
    if got not in choices:
        raise MediaError(
            f"{name} '{got}' was given; expected one of {', '.join(choices)}. Choose one of them."
        )


def _between(name: str, got: float, lowest: float, highest: float) -> None:
    # "not (...)", so that NaN is refused too
    if not (lowest <= got <= highest) or math.isinf(got):
        limits = f"{lowest:g} to {highest:g}" if math.isfinite(highest) else f"{lowest:g} or more"
        raise MediaError(f"{name} {got:g} was given; expected {limits}. Set it within them.")
