"""Recordings for training: from a folder of ComfyUI's input folder, and from lists."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import folder_paths
from comfy_api.latest import Input, InputImpl

from ..mmaudio_core.audio.waveform import read_audio
from ..mmaudio_core.errors import MediaError, MMAudioError, NumericsError
from ..mmaudio_core.file_identity import file_identity
from ..mmaudio_core.media import VideoFile
from ..mmaudio_core.progress import Progress
from ..mmaudio_core.providers import ModelProvider
from ..mmaudio_core.training.folder import Listing, find_subfolder, list_recordings
from ..mmaudio_core.training.pieces import PieceOptions, PreparedRecording
from ..mmaudio_core.training.prepare import Source, file_source, prepare_source
from ..mmaudio_core.training.recording import Recording, record_video, sound_digest
from . import compat
from .feedback import NodeProgress
from .footage import to_clip
from .inputs import FRAME_RATE

NO_FOLDER = "none"
_STAGE = "recordings"


def folder_names() -> list[str]:
    """Folders in the input folder, but none that is hidden or a link."""
    root = Path(folder_paths.get_input_directory())
    names: list[str] = []
    for at, folders, _ in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        names += [Path(at, f).relative_to(root).as_posix() for f in folders]
        folders[:] = [f for f in folders if not os.path.islink(os.path.join(at, f))]
    return [name for name in sorted(names) if not os.path.islink(root / name)]


def list_folder(name: str) -> Listing:
    """What is in the folder ``name`` of the input folder; nothing for ``NO_FOLDER``."""
    if name == NO_FOLDER:
        return Listing(files=(), left_out=())
    return list_recordings(find_subfolder(Path(folder_paths.get_input_directory()), name))


def folder_fingerprint(name: str) -> str:
    """Changes with the files of the folder and their captions."""
    listing = list_folder(name)
    files = [(f.name, f.caption, file_identity(f.path.stat())) for f in listing.files]
    return str((files, listing.left_out))


def list_sources(
    listing: Listing,
    videos: Sequence[Input.Video],
    sounds: Sequence[Input.Audio],
    captions: Sequence[str],
) -> list[Source]:
    """All recordings: those of a folder, then videos, then sounds.

    Args:
        listing: of the folder.
        videos, sounds: from links.
        captions: of videos and sounds, in this order; one for all of them, or none.

    Raises:
        MediaError: there are fewer or more captions than videos and sounds.
    """
    sources = [file_source(file) for file in listing.files]
    each = list(_spread(captions, len(videos) + len(sounds)))
    for number, (video, caption) in enumerate(zip(videos, each, strict=False), 1):
        sources.append(_video_source(f"video {number}", caption, video))
    rest = each[len(videos) :]
    for number, (sound, caption) in enumerate(zip(sounds, rest, strict=True), 1):
        sources.append(_sound_source(f"sound {number}", caption, sound))
    return sources


def _spread(captions: Sequence[str], count: int) -> Iterator[str]:
    lines = [line.strip() for text in captions for line in text.splitlines() if line.strip()]
    if len(lines) not in (0, 1, count):
        raise MediaError(
            f"got {len(lines)} captions for {count} videos and sounds, expected as many, one for "
            "all, or none. Write one caption a line, or connect a list."
        )
    yield from lines if len(lines) == count else (lines or [""]) * count


def _video_source(name: str, caption: str, video: Input.Video) -> Source:
    def content() -> str | None:
        clip = to_clip(video, None, FRAME_RATE)
        if clip is None or not isinstance(clip.source, VideoFile):  # frames in memory
            return None
        return f"{clip.source.digest()} {clip.start} {clip.duration}"

    def read() -> Recording:
        clip = to_clip(video, None, FRAME_RATE)
        if clip is None:
            raise MediaError("got no video")
        sound = None
        if isinstance(video, InputImpl.VideoFromComponents) or compat.has_frame_edits(video):
            audio = video.get_components().audio
            sound = None if audio is None else read_audio(audio)
        return record_video(name, caption, clip, sound)

    return Source(name=name, caption=caption, content=content, read=read)


def _sound_source(name: str, caption: str, audio: Input.Audio) -> Source:
    def content() -> str:
        return sound_digest(read_audio(audio))

    def read() -> Recording:
        return Recording(name=name, caption=caption, sound=read_audio(audio))

    return Source(name=name, caption=caption, content=content, read=read)


def prepare_recordings(
    networks: ModelProvider, sources: Sequence[Source], options: PieceOptions
) -> tuple[list[PreparedRecording], list[str]]:
    """Every recording that can be used, and what was left out, a sentence each."""
    bar = NodeProgress({_STAGE: 1})
    prepared: dict[str, PreparedRecording] = {}
    left_out: list[str] = []
    for number, source in enumerate(sources):
        progress = _ticking(bar, number, len(sources))
        try:
            recording = prepare_source(networks, source, options, progress)
        except NumericsError:
            raise
        except (MMAudioError, OSError) as error:
            left_out.append(f"{source.name}: {error}")
            continue
        if recording.digest in prepared:
            same = prepared[recording.digest].name
            left_out.append(f"{source.name}: the same sound as {same}")
            continue
        prepared[recording.digest] = recording
        left_out += recording.left_out
    return list(prepared.values()), left_out


def _ticking(bar: NodeProgress, number: int, count: int) -> Progress:
    def tick(_stage: str, _done: int, _total: int, /) -> None:
        bar(_STAGE, number, count)

    return tick
