"""What a damaged file goes through, and what a right result is."""

from __future__ import annotations

import io
import math
from fractions import Fraction
from pathlib import Path
from random import Random

import av
import torch

from mmaudio_core.checkpoint import identify, load_part, verify_part
from mmaudio_core.errors import MMAudioError
from mmaudio_core.features.visual import MAX_SECONDS
from mmaudio_core.media import FrameReader, open_source, resolve_range
from mmaudio_core.mux import mux_audio

from .mutate import mutated, mutated_safetensors

_RATE = 16_000


class WrongResultError(AssertionError):
    """Neither an error nor what was expected."""


def damaged(kind: str, number: int, seed: int, seeds: Path, folder: Path) -> Path:
    """The file of one case, in ``folder``; the same for the same numbers."""
    draw = Random(f"{seed} {kind} {number}")
    sound = draw.choice(sorted((seeds / kind).iterdir()))
    mutate = mutated_safetensors if sound.suffix == ".safetensors" else mutated
    path = folder / f"case{sound.suffix}"
    path.write_bytes(mutate(sound.read_bytes(), draw))
    return path


def run_case(kind: str, path: Path) -> str:
    """Put one file through; ``ok`` or the error that was told.

    Raises:
        WrongResultError: the result is not right, or a file was left behind.
    """
    before = set(path.parent.iterdir())
    try:
        written = _weights(path) if kind == "weights" else _media(path)
        outcome = "ok"
    except MMAudioError as error:
        if len(str(error)) < 30:
            raise WrongResultError(f"an error that says little: {error}") from error
        outcome, written = f"{type(error).__name__}: {error}", None
    left = set(path.parent.iterdir()) - before - {written}
    if left:
        raise WrongResultError(f"left behind: {', '.join(one.name for one in left)}")
    return outcome


def _media(path: Path) -> Path:
    """As MMAudioFeatureExtract and MuxAudioVideo go about it; the file written."""
    info = open_source(path).info
    _expect(info.width > 0 and info.height > 0, f"size {info.width}x{info.height}")
    times = open_source(path).frame_times()
    _expect(times == sorted(times), "frame times that do not ascend")
    usable = min(resolve_range(info.duration, Fraction(0), Fraction(8)), MAX_SECONDS)
    source = io.BytesIO(path.read_bytes()) if path.stat().st_size % 2 else path
    reader = FrameReader(source, duration=usable)
    clip = sync = 0
    for chunk in reader:
        clip += len(chunk.clip)
        sync += len(chunk.sync)
    expected = (int(8 * reader.duration), int(25 * reader.duration))
    _expect((clip, sync) == expected, f"{clip} and {sync} frames, {expected} expected")
    _expect(0 <= reader.duration <= usable, f"duration {reader.duration} of {usable}")
    waveform = torch.zeros(1, int(_RATE * usable))
    result = mux_audio(path, waveform, _RATE, path.with_name("muxed"))
    with av.open(result.path) as written:
        kinds = sorted(stream.type for stream in written.streams)
        _expect(kinds == ["audio", "video"], f"written streams {kinds}")
        _expect(any(packet.size for packet in written.demux(video=0)), "no picture was written")
    return result.path


def _weights(path: Path) -> None:
    for part in identify(path):
        verify_part(part)
        network = load_part(part)
        total = 0.0
        for tensor in network.state_dict().values():  # every byte is really there
            total += float(tensor.float().sum())
            _expect(tensor.device.type == "cpu", "a tensor that was not loaded")
        _expect(isinstance(total, float) or math.isnan(total), "no numbers")


def _expect(right: bool, told: str) -> None:
    if not right:
        raise WrongResultError(told)
