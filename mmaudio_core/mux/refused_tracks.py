"""Which tracks have packets that a muxer refuses, found by writing each of them alone."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from functools import partial

from av.container import OutputContainer
from av.error import FFmpegError

from .atomic_output import open_output
from .audio_tracks import AudioTrackCopier
from .kept.plan import KeptPlan
from .kept.tracks import add_kept
from .output_tracks import OutputTracks
from .source_audio import SourceAudio


def refused_tracks(tracks: OutputTracks, container: str) -> frozenset[int]:
    """Numbers in the source of the copied tracks that a container does not take.

    libav's muxers queue packets, so that an error does not tell whose packet is refused.

    Args:
        tracks: what was to be written beside the picture.
        container: mp4, mov, mkv or webm.
    """
    sounds = {
        kept.audio.index: partial(_write_sound, kept.audio)
        for kept in tracks.audio.kept
        if isinstance(kept.audio, SourceAudio)
    }
    others = {
        track.index: partial(_write_track, tracks.kept.only(track))
        for track in tracks.kept.content.tracks
    }
    return frozenset(i for i, write in {**sounds, **others}.items() if _refuses(container, write))


def _write_sound(audio: SourceAudio, output: OutputContainer) -> None:
    with audio.video.open() as (source, _):
        AudioTrackCopier(output, source, audio).finish()


def _write_track(plan: KeptPlan, output: OutputContainer) -> None:
    with add_kept(plan, output, Fraction(0)) as track:
        assert track is not None
        track.finish()


def _refuses(container: str, write: Callable[[OutputContainer], None]) -> bool:
    try:
        with closing(open_output(_Nowhere(), container)) as output:
            write(output)
    except FFmpegError as error:
        return isinstance(error, ValueError)  # libav's EINVAL and "invalid data"
    return False


class _Nowhere(io.RawIOBase):
    """A file that keeps nothing but its length."""

    def __init__(self) -> None:
        self._position = self._length = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._position += len(data)
        self._length = max(self._length, self._position)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + (0, self._position, self._length)[whence]
        return self._position

    def tell(self) -> int:
        return self._position
