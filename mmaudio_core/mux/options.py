"""Options of the audio and of the file to write, with their ranges; defaults change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import MediaError, Problem

Number = TypeVar("Number", int, float)

SOURCE_AUDIO_MODES = ("replace", "mix", "duck", "keep_as_track")
"""What becomes of a video's own audio."""
CONTAINERS = ("auto", "mp4", "mov", "mkv", "webm")
SOUND_FORMATS = ("flac", "m4a")
"""Files of sound alone: FLAC of 24 bits, AAC."""
AUDIO_CODECS = ("auto", "aac", "opus", "flac", "pcm")
PIX_FMTS = ("auto", "yuv420p", "yuv420p10le", "yuv444p")
"""Common pixel formats; libav knows more. auto: yuv420p, with 10 bits for a video of 10 or more."""


@dataclass(frozen=True)
class Range(Generic[Number]):
    """The values that an option takes, both ends included."""

    min: Number
    max: Number


GAIN_DB = Range(-60.0, 24.0)
FADE_SECONDS = Range(0.0, 600.0)
LOUDNESS_LUFS = Range(-70.0, 0.0)
BITRATE_KBPS = Range(0, 512)
CRF = Range(0, 51)
"""x264's; 0 is lossless."""


@dataclass(frozen=True, kw_only=True)
class AudioOptions:
    """How the new audio is processed, and what becomes of the video's own.

    Attributes:
        source_audio: ``replace`` drops the video's own audio; ``mix`` mixes the new audio with it;
            ``duck`` does too, but lowers it while the new audio is loud; ``keep_as_track`` keeps
            it as a second track.
        gain_db: gain of the new audio.
        fade_in, fade_out: seconds over which the new audio fades in and out.
        loudness: integrated loudness (ITU-R BS.1770-4) of the new audio or of the mix in LUFS;
            None leaves it as it is.

    Raises:
        MediaError: if a value is out of range.
    """

    source_audio: str = "replace"
    gain_db: float = 0.0
    fade_in: float = 0.0
    fade_out: float = 0.0
    loudness: float | None = None

    def __post_init__(self) -> None:
        check_choice("handling of the video's own audio", self.source_audio, SOURCE_AUDIO_MODES)
        _check_range("gain in dB", self.gain_db, GAIN_DB)
        _check_range("fade-in in seconds", self.fade_in, FADE_SECONDS)
        _check_range("fade-out in seconds", self.fade_out, FADE_SECONDS)
        if self.loudness is not None:
            _check_range("loudness in LUFS", self.loudness, LOUDNESS_LUFS)

    @property
    def mixes(self) -> bool:
        """Whether the video's own audio becomes part of the new track."""
        return self.source_audio in ("mix", "duck")


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """The file to write.

    Attributes:
        container: auto (the first of mp4, mov, mkv that holds both codecs), mp4, mov, mkv or webm.
        audio_codec: auto (the container's usual one), aac, opus, flac or pcm (16 bits).
        bitrate: of aac and opus in kbit/s, all channels together; 0 for a suitable one.
        trim_to_audio: end the video with the audio.
        crf: quality of video that is encoded, 0 (best) to 51.
        pix_fmt: libav's name of its pixel format, for instance yuv420p, or auto.
        metadata: tags of the file.
        keep_metadata: keep the source's own tags, chapters, timecode, data tracks, cover pictures,
            attachments and track names; its subtitles are kept in any case.
        keep_workflow: keep the graph that ComfyUI wrote among the source's tags.

    Raises:
        MediaError: if a value is out of range.
    """

    container: str = "auto"
    audio_codec: str = "auto"
    bitrate: int = 0
    trim_to_audio: bool = False
    crf: int = 19
    pix_fmt: str = "auto"
    metadata: Mapping[str, str] = field(default_factory=lambda: {})
    keep_metadata: bool = True
    keep_workflow: bool = True

    def __post_init__(self) -> None:
        check_choice("container", self.container, CONTAINERS)
        check_choice("audio codec", self.audio_codec, AUDIO_CODECS)
        _check_range("bitrate in kbit/s", self.bitrate, BITRATE_KBPS)
        _check_range("CRF", self.crf, CRF)


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise MediaError if a choice is none of ``choices``."""
    if value not in choices:
        raise MediaError(
            f"got '{value}' as {name}, expected one of {', '.join(choices)}",
            problem=Problem.OPTION,
        )


def _check_range(name: str, value: float, allowed: Range[int] | Range[float]) -> None:
    if not allowed.min <= value <= allowed.max:  # also refuses NaN
        raise MediaError(
            f"got {value:g} as {name}, expected {allowed.min:g} to {allowed.max:g}",
            problem=Problem.OPTION,
        )
