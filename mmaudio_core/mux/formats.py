"""Which container holds which codecs, and what is written where the options do not fit them."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import av
from av.video.format import VideoFormat

from ..errors import MediaError, Problem
from .options import FileOptions

_COMMON = {"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"}
_ANIMATIONS = {"gif", "webp", "apng"}
"""Codecs that are not copied into any container."""
_VIDEO = {
    "mp4": _COMMON | {"av1", "vp9", "vvc"},
    "mov": _COMMON
    | {"prores", "dnxhd", "cfhd", "png", "qtrle", "h263", "svq3", "cinepak", "dvvideo", "hap"},
    "webm": {"vp8", "vp9", "av1"},
}
"""Video codecs that players expect in a container; mkv takes what its muxer takes."""
_SHOWN_BY_BROWSERS = {"h264", "vp8", "vp9", "av1"}
_SHOWN_BY_SOME_BROWSERS = {"hevc"}
_ENCODED_AUDIO = {
    "mp4": ("aac", "opus", "flac", "pcm"),
    "mov": ("aac", "pcm"),
    "mkv": ("aac", "opus", "flac", "pcm"),
    "webm": ("opus",),
}
"""Audio codecs to choose from, each container's default first."""
_COPIED_AUDIO = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"},
    "mov": {"aac", "mp3", "ac3", "eac3", "alac"},
    "mkv": {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "vorbis", "dts", "truehd"},
    "webm": {"opus", "vorbis"},
}
"""Audio codecs whose packets are copied; mov and mkv take most of PCM besides."""
_COPIED_PCM = ("pcm_s16", "pcm_s24", "pcm_s32", "pcm_f32", "pcm_f64", "pcm_u8")
_FALLBACK_PIX_FMT = "yuv420p"
_DEEP_PIX_FMT = "yuv420p10le"
_DEEP_NOTE = (
    "The video has more than 8 bits, and was encoded with 10. Browsers do not show {} of 10 bits,"
    " so a preview may stay black: for one that they show, set pix_fmt to yuv420p."
)
_AUTO = ("mp4", "mov", "mkv")
"""The containers to choose from, the best known first."""
_ENCODED_NAMES = {"vp9": "VP9", "h264": "H.264"}
_NONE_REFUSED: Mapping[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class OutputPlan:
    """What is written.

    Attributes:
        container: mp4, mov, mkv or webm.
        audio_codec: aac, opus, flac or pcm.
        copies_video: whether the video's packets are copied; otherwise it is encoded.
        pix_fmt: the pixel format if it is encoded.
        options: what was asked for.
        notes: how the plan differs from the options and why, a sentence each.
    """

    container: str
    audio_codec: str
    copies_video: bool
    pix_fmt: str
    options: FileOptions
    notes: tuple[str, ...]

    @property
    def encoded_codec(self) -> str:
        """The codec of video that is encoded."""
        return "vp9" if self.container == "webm" else "h264"

    @property
    def video_encoder(self) -> str:
        """libav's encoder for it."""
        return "libvpx-vp9" if self.container == "webm" else "libx264"


def plan_output(
    options: FileOptions,
    codec: str | None,
    refused: Mapping[str, str] = _NONE_REFUSED,
    *,
    bit_depth: int = 8,
) -> OutputPlan:
    """Plan a file.

    Args:
        options: what is asked for.
        codec: the codec of video that may be copied; None if it has to be encoded.
        refused: containers whose muxer refused the video, and why, as the start of a sentence.
        bit_depth: of the video's samples.

    Raises:
        MediaError: if the video has to be encoded and libav does not know the pixel format.
    """
    container, audio_codec, notes = _choose_container(options, codec, refused)
    plan = OutputPlan(
        container=container,
        audio_codec=audio_codec,
        copies_video=codec is not None and _holds_video(container, codec, refused),
        pix_fmt=options.pix_fmt,
        options=options,
        notes=notes,
    )
    if codec is not None and plan.copies_video:
        return replace(plan, notes=notes + _playback_notes(codec))
    encoded_name = _ENCODED_NAMES[plan.encoded_codec]
    if codec is not None:
        reason = refused.get(container) or _why_encoded(options, container, codec)
        notes = (f"{reason}: the video was encoded as {encoded_name}.", *notes)
    pix_fmt, more = _choose_pix_fmt(options.pix_fmt, plan, encoded_name, bit_depth)
    return replace(plan, pix_fmt=pix_fmt, notes=notes + more)


def can_copy_audio(container: str, codec: str) -> bool:
    """Whether audio packets of this codec can be copied into the container."""
    if codec.startswith("pcm_"):
        return container in ("mov", "mkv") and codec.startswith(_COPIED_PCM)
    return codec in _COPIED_AUDIO[container]


def _choose_container(
    options: FileOptions, codec: str | None, refused: Mapping[str, str]
) -> tuple[str, str, tuple[str, ...]]:
    """Container, audio codec and notes on both."""
    container, audio_codec, notes = options.container, options.audio_codec, ()
    if container == "auto":
        container = _first_container(audio_codec, codec, refused)
        if codec is not None and _holds_video(container, codec, refused):
            if not _holds_video("mp4", codec, refused):
                notes = (f"{codec} does not go into mp4: wrote {container}.",)
            codec = None
        if container != "mp4" and not notes:
            notes = (f"Few players take {audio_codec} in mp4: wrote {container}.",)
    choices = _ENCODED_AUDIO[container]
    if audio_codec == "auto":
        audio_codec = choices[0]
    if audio_codec not in choices:
        notes += (
            f"{container} does not take {audio_codec}: the audio was encoded as {choices[0]}.",
        )
        audio_codec = choices[0]
    if options.bitrate and audio_codec in ("flac", "pcm"):
        notes += (f"{audio_codec} has no bitrate to choose: it is lossless.",)
    return container, audio_codec, notes


def _first_container(audio_codec: str, codec: str | None, refused: Mapping[str, str]) -> str:
    """The first container that takes the audio, and the video too if there is one."""
    # The mp4 standard allows PCM, but few players support it.
    candidates = [
        container
        for container in (_AUTO[1:] if audio_codec == "pcm" else _AUTO)
        if audio_codec == "auto" or audio_codec in _ENCODED_AUDIO[container]
    ]
    holding = [c for c in candidates if codec is not None and _holds_video(c, codec, refused)]
    return (holding or candidates)[0]


def _why_encoded(options: FileOptions, container: str, codec: str) -> str:
    if codec in _ANIMATIONS:
        return f"{codec} cannot be copied into a file with audio"
    if options.container == "auto":
        return f"Neither mp4, mov nor mkv takes {codec}"
    return f"{container} does not take {codec}"


def _playback_notes(codec: str) -> tuple[str, ...]:
    """Where a copied codec is not shown, and the option that changes it."""
    if codec in _SHOWN_BY_BROWSERS:
        return ()
    subject = "Some browsers" if codec in _SHOWN_BY_SOME_BROWSERS else "Browsers"
    encoding, name = ("webm", "VP9") if codec in _VIDEO["mp4"] else ("mp4", "H.264")
    return (
        f"{subject} do not show {codec}, so a preview may stay black: for one that they show, set"
        f" container to {encoding}, which encodes the video as {name}.",
    )


def _choose_pix_fmt(
    pix_fmt: str, plan: OutputPlan, encoded_name: str, bit_depth: int
) -> tuple[str, tuple[str, ...]]:
    """The pixel format asked for if the encoder supports it, else the fallback and a note."""
    known = {form.name for form in av.Codec(plan.video_encoder, "w").video_formats or ()}
    if pix_fmt == "auto":
        if bit_depth <= 8:
            return _FALLBACK_PIX_FMT, ()
        if _DEEP_PIX_FMT not in known:
            return _FALLBACK_PIX_FMT, (
                f"{encoded_name} is encoded with 8 of {bit_depth} bits here.",
            )
        return _DEEP_PIX_FMT, (_DEEP_NOTE.format(encoded_name),)
    try:
        VideoFormat(pix_fmt)
    except ValueError as error:
        raise MediaError(
            f"got '{pix_fmt}' as pixel format, expected one that libav knows, for instance"
            " yuv420p or yuv444p",
            problem=Problem.OPTION,
        ) from error
    if pix_fmt in known:
        return pix_fmt, ()
    note = f"{encoded_name} cannot be encoded as {pix_fmt} here: {_FALLBACK_PIX_FMT} was used."
    return _FALLBACK_PIX_FMT, (note,)


def _holds_video(container: str, codec: str, refused: Mapping[str, str]) -> bool:
    if codec in _ANIMATIONS or container in refused:
        return False
    return container == "mkv" or codec in _VIDEO[container]
