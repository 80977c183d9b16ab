"""Options of one item, as a manifest's line and the command line give them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from ..config import exact_seconds
from ..errors import MMAudioError, Problem
from ..mux import AudioOptions, FileOptions
from ..mux import options as mux

CONTAINERS = (*mux.CONTAINERS, *mux.SOUND_FORMATS)
_MAX_SEED = 2**64 - 1
_MAX_TAKES = 64
_MAX_STEPS = 1000
_MAX_CFG = 20.0
_MAX_SECONDS = 10 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class ItemOptions:
    """How one item's sound is made and written.

    Attributes:
        prompt, negative: the sounds wanted, and those not wanted.
        seed: of the first take; take k has seed + k.
        takes: how many are kept.
        best_of: how many are made, of which the best by their scores are kept; as many as are kept
            if that is more.
        score: measure the scores of the takes even if all are kept.
        steps, cfg: of the sampler.
        duration: seconds of sound; 0 to the end of the video.
        start: seconds into the video where the sound starts.
        mask_away_clip: follow the timing of the picture, but not what it shows.
        container: auto, or the suffix of the file.
        audio_only: write the sound without the picture.
        others: see ``AudioOptions`` and ``FileOptions``; ``original_audio`` is ``source_audio``.

    Raises:
        MMAudioError: the container cannot hold what is asked for.
    """

    prompt: str = ""
    negative: str = ""
    seed: int = 0
    takes: int = 1
    best_of: int = 0
    score: bool = False
    steps: int = 25
    cfg: float = 4.5
    duration: Fraction = Fraction(0)
    start: Fraction = Fraction(0)
    mask_away_clip: bool = False
    container: str = "auto"
    audio_only: bool = False
    original_audio: str = "replace"
    gain_db: float = 0.0
    fade_in: float = 0.0
    fade_out: float = 0.0
    loudness: float | None = None
    audio_codec: str = "auto"
    bitrate: int = 0
    crf: int = 19
    keep_metadata: bool = True

    def __post_init__(self) -> None:
        if self.audio_only and self.container not in ("auto", *mux.SOUND_FORMATS):
            raise MMAudioError(
                f"got the container {self.container} for sound alone, expected auto, "
                f"{' or '.join(mux.SOUND_FORMATS)}",
                Problem.OPTION,
            )

    @property
    def seeds(self) -> range:
        """One per take that is made."""
        return range(self.seed, self.seed + max(self.takes, self.best_of))

    @property
    def sound_format(self) -> str | None:
        """The format of a file of sound alone; None if the picture is written too."""
        if self.container in mux.SOUND_FORMATS:
            return self.container
        return mux.SOUND_FORMATS[0] if self.audio_only else None

    @property
    def audio_options(self) -> AudioOptions:
        return AudioOptions(
            source_audio=self.original_audio,
            gain_db=self.gain_db,
            fade_in=self.fade_in,
            fade_out=self.fade_out,
            loudness=self.loudness,
        )

    @property
    def file_options(self) -> FileOptions:
        return FileOptions(
            container=self.container,
            audio_codec=self.audio_codec,
            bitrate=self.bitrate,
            crf=self.crf,
            keep_metadata=self.keep_metadata,
        )

    def changed(self) -> dict[str, Any]:
        """The options that are not at their defaults, as JSON."""
        return {
            entry.name: str(value) if isinstance(value, Fraction) else value
            for entry in fields(self)
            if (value := getattr(self, entry.name)) != entry.default
        }


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option as text or JSON gives it.

    Attributes:
        read: the option's value; raises ``ValueError`` for any other than is expected.
        expected: what ``read`` takes, in words.
        help: what it does, for ``--help``.
        choices: if there is a list of them.
    """

    read: Callable[[Any], Any]
    expected: str
    help: str
    choices: tuple[str, ...] | None = None


def _refuse() -> Any:
    raise ValueError


def _text(help: str) -> Option:
    return Option(
        read=lambda value: value if isinstance(value, str) else _refuse(),
        expected="text",
        help=help,
    )


def _flag(help: str) -> Option:
    return Option(
        read=lambda value: value if isinstance(value, bool) else _refuse(),
        expected="true or false",
        help=help,
    )


def _is_number(value: Any, low: float, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return low <= value <= high


def _integer(low: int, high: int, help: str) -> Option:
    return Option(
        read=lambda value: (
            value if isinstance(value, int) and _is_number(value, low, high) else _refuse()
        ),
        expected=f"a whole number from {low} to {high}",
        help=help,
    )


def _number(allowed: mux.Range[float], help: str) -> Option:
    return Option(
        read=lambda value: (
            float(value) if _is_number(value, allowed.min, allowed.max) else _refuse()
        ),
        expected=f"a number from {allowed.min:g} to {allowed.max:g}",
        help=help,
    )


def _seconds(help: str) -> Option:
    return Option(
        read=lambda value: (
            exact_seconds(value)
            if _is_number(value, 0, _MAX_SECONDS) and math.isfinite(value)
            else _refuse()
        ),
        expected="a number of seconds, 0 or more",
        help=help,
    )


def _choice(choices: tuple[str, ...], help: str) -> Option:
    return Option(
        read=lambda value: value if value in choices else _refuse(),
        expected=f"one of {', '.join(choices)}",
        help=help,
        choices=choices,
    )


def _loudness(help: str) -> Option:
    number = _number(mux.LOUDNESS_LUFS, help)
    return Option(
        read=lambda value: None if value is None else number.read(value),
        expected=number.expected,
        help=help,
    )


OPTIONS: Mapping[str, Option] = {
    "prompt": _text("the sounds you want, in a few English words"),
    "negative": _text("sounds you do not want, such as music"),
    "seed": _integer(0, _MAX_SEED, "seed of the first take; take k has seed + k"),
    "takes": _integer(1, _MAX_TAKES, "how many takes to keep; each becomes a file"),
    "best_of": _integer(0, _MAX_TAKES, "make so many takes, and keep the best by their scores"),
    "score": _flag("measure each take's scores, for the sidecar"),
    "steps": _integer(1, _MAX_STEPS, "steps of the sampler"),
    "cfg": _number(mux.Range(0.0, _MAX_CFG), "how closely to follow picture and prompt"),
    "duration": _seconds("seconds of sound; 0: to the end of the video"),
    "start": _seconds("seconds into the video where the sound starts"),
    "mask_away_clip": _flag("follow the timing of the picture, but not what it shows"),
    "container": _choice(CONTAINERS, "the kind of file; flac and m4a hold sound alone"),
    "audio_only": _flag("write the sound without the picture, as flac unless container says m4a"),
    "original_audio": _choice(mux.SOURCE_AUDIO_MODES, "what becomes of the video's own sound"),
    "gain_db": _number(mux.GAIN_DB, "gain of the new sound in decibels"),
    "fade_in": _number(mux.FADE_SECONDS, "seconds over which the new sound fades in"),
    "fade_out": _number(mux.FADE_SECONDS, "seconds over which the new sound fades out"),
    "loudness": _loudness("loudness of the result in LUFS, such as -14"),
    "audio_codec": _choice(mux.AUDIO_CODECS, "codec of the sound in a video"),
    "bitrate": _integer(
        mux.BITRATE_KBPS.min, mux.BITRATE_KBPS.max, "of AAC and Opus in kbit/s; 0: a suitable one"
    ),
    "crf": _integer(mux.CRF.min, mux.CRF.max, "quality of a picture that must be encoded again"),
    "keep_metadata": _flag("keep the video's own title and other tags"),
}
"""Every field of ``ItemOptions``."""
