"""Runs a damaged file through the core and checks the result."""

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
    """The result is neither an error nor correct."""


def damaged(kind: str, number: int, seed: int, seeds: Path, folder: Path) -> Path:
    """Write the file of one case into ``folder``; equal arguments give an equal file."""
    draw = Random(f"{seed} {kind} {number}")
    intact = draw.choice(sorted((seeds / kind).iterdir()))
    mutate = mutated_safetensors if intact.suffix == ".safetensors" else mutated
    path = folder / f"case{intact.suffix}"
    path.write_bytes(mutate(intact.read_bytes(), draw))
    return path


def run_case(kind: str, path: Path) -> str:
    """Run one file; returns ``ok`` or the error it ended in.

    Raises:
        WrongResultError: if the result is wrong, the error is too short to help, or a file was
            left behind.
    """
    before = set(path.parent.iterdir())
    try:
        written = _weights(path) if kind == "weights" else _media(path)
        outcome = "ok"
    except MMAudioError as error:
        if len(str(error)) < 30:
            raise WrongResultError(f"an error too short to help: {error}") from error
        outcome, written = f"{type(error).__name__}: {error}", None
    left = set(path.parent.iterdir()) - before - {written}
    if left:
        raise WrongResultError(f"left behind: {', '.join(one.name for one in left)}")
    return outcome


def _media(path: Path) -> Path:
    """Read the video as MMAudioFeatureExtract does, and mux it; returns the file written."""
    source = open_source(path)
    info = source.info
    _expect(info.width > 0 and info.height > 0, f"size {info.width}x{info.height}")
    times = source.frame_times()
    _expect(times == sorted(times), "frame times that do not ascend")
    usable = min(resolve_range(info.duration, Fraction(0), Fraction(8)), MAX_SECONDS)
    file = io.BytesIO(path.read_bytes()) if path.stat().st_size % 2 else path
    reader = FrameReader(file, duration=usable)
    clip = sync = 0
    for chunk in reader:
        clip += len(chunk.clip)
        sync += len(chunk.sync)
    expected = (int(8 * reader.duration), int(25 * reader.duration))
    _expect((clip, sync) == expected, f"{clip} and {sync} frames, {expected} expected")
    _expect(0 <= reader.duration <= usable, f"duration {reader.duration} of {usable}")
    waveform = torch.zeros(1, int(_RATE * usable))
    result = mux_audio(source, waveform, _RATE, path.with_name("muxed"))
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
        for tensor in network.state_dict().values():  # reads every byte
            total += float(tensor.float().sum())
            _expect(tensor.device.type == "cpu", "a tensor that was not loaded")
        _expect(isinstance(total, float) or math.isnan(total), "no numbers")


def _expect(correct: bool, message: str) -> None:
    if not correct:
        raise WrongResultError(message)
