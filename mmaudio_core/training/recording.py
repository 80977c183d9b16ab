"""Recordings: sound, with or without the picture that it belongs to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.stream import Disposition
from torch import Tensor

from ..audio.waveform import Audio
from ..errors import MediaError
from ..features.visual import VideoClip
from ..media import VideoFile, open_source
from ..media.compat import open_input
from ..mux.source_audio import decode_samples, find_source_audio
from ..progress import no_progress
from .folder import ListedFile


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A sound to learn.

    Attributes:
        name: for messages.
        caption: what it sounds like.
        sound: one take.
        picture: what was seen meanwhile, from the sound's beginning on; None for sound alone.
    """

    name: str
    caption: str
    sound: Audio
    picture: VideoClip | None = None

    @property
    def duration(self) -> Fraction:
        """Seconds: of the picture if there is one, else of the sound."""
        if self.picture is None:
            return self.sound.duration
        rest = open_source(self.picture.source).info.duration - self.picture.start
        return rest if self.picture.duration is None else min(rest, self.picture.duration)


def sound_digest(sound: Audio) -> str:
    """Identifies a sound, whatever its file is called."""
    samples = sound.waveforms.contiguous().flatten().view(torch.uint8).numpy()
    digest = hashlib.blake2b(str(sound.sample_rate).encode(), digest_size=16)
    digest.update(samples.data)
    return digest.hexdigest()


def read_recording(file: ListedFile) -> Recording:
    """Read a video with sound, or a sound alone.

    Raises:
        MediaError: it is neither, or holds no sound.
    """
    if _has_picture(file.path):
        clip = VideoClip(source=VideoFile(file.path))
        return record_video(file.name, file.caption, clip)
    return Recording(name=file.name, caption=file.caption, sound=_read_sound(file.path))


def record_video(name: str, caption: str, clip: VideoClip, sound: Audio | None = None) -> Recording:
    """A video with its own sound.

    Args:
        name, caption: see ``Recording``.
        clip: the picture.
        sound: that of a clip that is no file.

    Raises:
        MediaError: there is no sound.
    """
    source = open_source(clip.source)
    if isinstance(source, VideoFile):
        start = source.packets.start + clip.start
        rest = source.info.duration - clip.start
        duration = rest if clip.duration is None else min(rest, clip.duration)
        tracks = find_source_audio(source, start, duration)
        if tracks:
            waveform, rate = tracks[0].decode(no_progress)
            sound = Audio(waveforms=waveform[None], sample_rate=rate)
    if sound is None:
        raise MediaError("holds no sound track, expected one with the sound to learn")
    return Recording(name=name, caption=caption, sound=sound, picture=clip)


def _has_picture(path: Path) -> bool:
    """Whether the file is a video: a cover picture does not count."""
    try:
        container = open_input(str(path.absolute()))
        with container:
            return any(
                not stream.disposition & Disposition.attached_pic
                for stream in container.streams.video
            )
    except (FFmpegError, ValueError, OSError) as error:
        raise MediaError(f"cannot be opened as video or sound ({type(error).__name__})") from error


def _read_sound(path: Path) -> Audio:
    """The sound of a file without a picture."""
    pieces: list[Tensor] = []
    rate = 0
    container = open_input(str(path.absolute()))
    with container:
        stream = container.streams.best("audio")
        if isinstance(stream, AudioStream):
            for _, samples, decoded_rate in decode_samples(container, stream.index):
                pieces.append(samples)
                rate = decoded_rate
    if not pieces:
        raise MediaError("holds no sound that can be decoded")
    return Audio(waveforms=torch.cat(pieces, 1)[None], sample_rate=rate)
