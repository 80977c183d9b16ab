"""What the take panel plays: each take as a file in ComfyUI's temp folder, written once."""

from __future__ import annotations

import base64
import hashlib
import logging
import math
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy_api.latest import Input
from torch import Tensor

from ..mmaudio_core.audio.loudness import integrated_loudness
from ..mmaudio_core.audio.waveform import Audio
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.mux import write_sound
from ..mmaudio_core.partial_files import partial_file
from .take_notes import Notes

log = logging.getLogger(__name__)

FOLDER = "mmaudio-takes"  # in ComfyUI's temp folder
UI_KEY = "mmaudio_takes"
PEAKS = 800
_MAX_BYTES = 10**9
_MAX_TAKES = 64


@dataclass(frozen=True)
class Picture:
    """A video that a browser can ask for.

    Attributes:
        start: seconds into the file where the picture begins.
        name: what the user knows it by; empty if it was no file.
    """

    file: dict[str, str]
    start: float = 0.0
    name: str = ""


def is_of_page(extra_pnginfo: object) -> bool:
    """Whether a prompt came from ComfyUI's page, where a panel can be seen."""
    return isinstance(extra_pnginfo, Mapping) and bool(extra_pnginfo.get("workflow"))


def panel(
    audio: Audio,
    notes: Notes,
    picture: Callable[[], Picture | None],
    audio_start: float,
    take: int,
    saved: Sequence[Mapping[str, str]] = (),
) -> dict[str, list[Any]]:
    """The node's UI output for the panel; an empty list if its files cannot be written.

    Args: as ``panel_data``; ``picture`` may write one of the files.
    """
    try:
        return {UI_KEY: [panel_data(audio, notes, picture(), audio_start, take, saved)]}
    except (OSError, MMAudioError) as error:  # a full disk, say: the node's own result is there
        log.warning("MMAudio: the take panel cannot be shown: %s", error)
        # of a list, ComfyUI expects every item to have the keys of the first
        return {UI_KEY: []}


def panel_data(
    audio: Audio,
    notes: Notes,
    picture: Picture | None,
    audio_start: float,
    take: int,
    saved: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """What the panel shows, as JSON of a few KB a take.

    The takes are written as FLAC into ``temp/mmaudio-takes``, under names made of their content.

    Args:
        notes: see ``take_notes``.
        audio_start: where in the picture the sound begins, in seconds; below 0, before it.
        take: the one that is chosen; -1 for all.
        saved: the files that were made of what is chosen, as ``/view`` names them.
    """
    folder = Path(folder_paths.get_temp_directory()) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    waveforms = audio.waveforms[:_MAX_TAKES]
    takes = [_take(waveform, audio.sample_rate, folder) for waveform in waveforms]
    for number, entry in enumerate(takes):
        for key, name in (("seeds", "seed"), ("scores", "scores")):
            values = notes.get(key)
            if isinstance(values, list) and number < len(values):
                # as text: JavaScript's numbers hold 53 bits
                entry[name] = str(values[number]) if name == "seed" else values[number]
    used = {entry["file"]["filename"] for entry in takes}
    _delete_oldest(folder, used if picture is None else used | {picture.file["filename"]})
    return {
        "takes": takes,
        "count": len(audio.waveforms),
        "take": take,
        "saved": [dict(file) for file in saved],
        "name": "" if picture is None else picture.name,
        "duration": float(audio.duration),
        "audio_start": audio_start,
        "video": None if picture is None else {**picture.file, "start": picture.start},
        "cuts": notes.get("cuts") or [],
        "windows": notes.get("windows") or [],
        "crossfades": notes.get("crossfades") or [],
    }


def picture_of(video: Input.Video, start: float) -> Picture:
    """A video as a file that ComfyUI's ``/view`` shows; copied into the temp folder if need be."""
    folder = Path(folder_paths.get_temp_directory()) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    source = video.get_stream_source()
    if isinstance(source, str) and Path(source).is_file():
        path = Path(source)
        if file := _view(path):
            return Picture(file, start, path.name)
        stat = path.stat()
        identity = f"{path.absolute()}|{stat.st_size}|{stat.st_mtime_ns}"
        copy = folder / f"{_digest(identity.encode())}{path.suffix.lower()}"
        if not copy.exists():
            _copy(path, copy)
        return Picture(_entry(copy), start, path.name)
    copy = folder / f"{uuid.uuid4().hex}.mp4"
    try:
        video.save_to(str(copy))  # encodes frames; copies what was a file in memory
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return Picture(_entry(copy))


def _take(waveform: Tensor, rate: int, folder: Path) -> dict[str, Any]:
    name = _digest(waveform.contiguous().numpy().tobytes() + f"{rate}".encode())
    path = folder / f"{name}.flac"
    if path.exists():
        os.utime(path)  # used now: not the oldest
    else:
        path = write_sound(waveform, rate, folder / name, "flac").path
    loudness = integrated_loudness(waveform, rate)
    peak = float(waveform.abs().max())
    return {
        "file": _entry(path),
        "peaks": peaks(waveform),
        "loudness": None if math.isinf(loudness) else round(loudness, 2),
        "peak_db": round(20 * math.log10(peak), 2) if peak > 0 else None,
    }


def peaks(waveform: Tensor) -> str:
    """The lowest and highest sample of up to 800 stretches of equal length.

    Args:
        waveform: (C, T) samples.

    Returns:
        Base64 of signed bytes, low and high in turn; 127 is full scale.
    """
    length = waveform.shape[1]
    count = min(PEAKS, length)
    edges = torch.linspace(0, length, count + 1, dtype=torch.float64).round().long().tolist()
    pairs = [
        bound
        for start, end in pairwise(edges)
        for bound in (waveform[:, start:end].min(), waveform[:, start:end].max())
    ]
    scaled = (torch.stack(pairs).clamp(-1, 1) * 127).round().to(torch.int8)
    return base64.b64encode(scaled.numpy().tobytes()).decode()


def _view(path: Path) -> dict[str, str] | None:
    """How ``/view`` names a file; None if it is in none of ComfyUI's own folders."""
    places = {
        "input": folder_paths.get_input_directory(),
        "output": folder_paths.get_output_directory(),
        "temp": folder_paths.get_temp_directory(),
    }
    resolved = path.resolve()
    for kind, place in places.items():
        root = Path(place).resolve()
        if root in resolved.parents:
            inside = resolved.relative_to(root)
            folder = inside.parent.as_posix()
            subfolder = "" if folder == "." else folder
            return {"filename": inside.name, "subfolder": subfolder, "type": kind}
    return None


def _entry(path: Path) -> dict[str, str]:
    return {"filename": path.name, "subfolder": FOLDER, "type": "temp"}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        with partial_file(target.parent) as partial:
            shutil.copyfile(source, partial)
            os.replace(partial, target)


def _delete_oldest(folder: Path, used: set[str]) -> None:
    """Keep at most 1 GB of what no panel has asked for lately."""
    found = sorted(
        ((path.stat(), path) for path in folder.iterdir() if path.is_file()),
        key=lambda item: item[0].st_mtime,
        reverse=True,
    )
    size = 0
    for stat, path in found:
        size += stat.st_size
        if size > _MAX_BYTES and path.name not in used:
            path.unlink(missing_ok=True)
