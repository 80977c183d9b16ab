"""Which container takes which picture and sound, and what to do where it does not."""

from __future__ import annotations

from dataclasses import dataclass

from .options import FileOptions

_COMMON = {"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"}
_MP4 = _COMMON | {"av1", "vp9", "vvc"}
"""Codecs that go into mp4 and that players expect there."""
_QUICKTIME = {
    "prores",
    "dnxhd",
    "cfhd",
    "png",
    "qtrle",
    "h263",
    "svq3",
    "cinepak",
    "dvvideo",
    "hap",
}
"""Codecs at home in QuickTime files only."""
_WEBM = {"vp8", "vp9", "av1"}
_ANIMATIONS = {"gif", "webp", "apng"}
"""Pictures that no container with sound takes."""

_SOUNDS = {
    "mp4": ("aac", "opus", "flac", "pcm"),
    "mov": ("aac", "pcm"),
    "mkv": ("aac", "opus", "flac", "pcm"),
    "webm": ("opus",),
}
"""Sounds that can be chosen, each container's own first."""
_COPIED = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"},
    "mov": {"aac", "mp3", "ac3", "eac3", "alac"},
    "mkv": {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "vorbis", "dts", "truehd"},
    "webm": {"opus", "vorbis"},
}
"""Sounds of a file that are kept as they are; mov and mkv take most of PCM besides."""
_COPIED_PCM = ("pcm_s16", "pcm_s24", "pcm_s32", "pcm_f32", "pcm_f64", "pcm_u8")


@dataclass(frozen=True, kw_only=True)
class OutputPlan:
    """What is written.

    Args:
        container: mp4, mov, mkv or webm.
        audio_codec: aac, opus, flac or pcm.
        copied: whether the picture's packets are; otherwise it is encoded.
        notes: why, where it is not what one would expect, a sentence each.
    """

    container: str
    audio_codec: str
    copied: bool
    notes: tuple[str, ...]

    @property
    def video_encoder(self) -> str:
        """libav's name of what encodes pictures for this container."""
        return "libvpx-vp9" if self.container == "webm" else "libx264"

    @property
    def encoded(self) -> str:
        """The codec of pictures that are encoded."""
        return "vp9" if self.container == "webm" else "h264"

    @property
    def picture(self) -> str:
        """The same for people."""
        return "VP9" if self.container == "webm" else "H.264"


def plan_copy(codec: str, options: FileOptions) -> OutputPlan:
    """For a picture of this codec that may be copied."""
    plan = plan_encode(options, codec)
    if codec in _ANIMATIONS:
        why = f"{codec} cannot be copied beside sound"
    elif not _takes(plan.container, codec):
        why = f"{plan.container} does not take {codec}"
    else:
        return OutputPlan(
            container=plan.container,
            audio_codec=plan.audio_codec,
            copied=True,
            notes=plan.notes,
        )
    note = f"{why}: the picture was encoded as {plan.picture}."
    return OutputPlan(
        container=plan.container,
        audio_codec=plan.audio_codec,
        copied=False,
        notes=(note, *plan.notes),
    )


def plan_encode(options: FileOptions, codec: str | None = None) -> OutputPlan:
    """For a picture that is encoded, or (see ``plan_copy``) has this codec."""
    container, asked, notes = options.container, options.audio_codec, ()
    if container == "auto":
        container = _container(codec if codec not in _ANIMATIONS else None, asked)
        if container != "mp4":
            if codec is None or codec in _ANIMATIONS or _takes("mp4", codec):
                notes = (f"Few players take {asked} in mp4: wrote {container}.",)
            else:
                notes = (f"{codec} does not go into mp4: wrote {container}.",)
    sounds = _SOUNDS[container]
    sound = sounds[0] if asked == "auto" else asked
    if sound not in sounds:
        sound = sounds[0]
        notes += (f"{container} does not take {asked}: the sound was encoded as {sound}.",)
    if options.bitrate and sound in ("flac", "pcm"):
        notes += (f"{sound} has no bitrate to choose: it is lossless.",)
    return OutputPlan(container=container, audio_codec=sound, copied=False, notes=notes)


def _container(codec: str | None, sound: str) -> str:
    # mp4 takes PCM by its standard, but few players do there.
    choices = ("mov", "mkv") if sound == "pcm" else ("mp4", "mov", "mkv")
    for container in choices:
        fits = codec is None or _takes(container, codec)
        if fits and (sound == "auto" or sound in _SOUNDS[container]):
            return container
    return "mkv"


def _takes(container: str, codec: str) -> bool:
    if codec in _ANIMATIONS:
        return False
    if container == "mkv":
        return True
    return codec in {"mp4": _MP4, "mov": _COMMON | _QUICKTIME, "webm": _WEBM}[container]


def copies_sound(container: str, codec: str) -> bool:
    """Whether a file's sound of this codec goes into the container as it is."""
    if codec.startswith("pcm_"):
        return container in ("mov", "mkv") and codec.startswith(_COPIED_PCM)
    return codec in _COPIED[container]
