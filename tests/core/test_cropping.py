"""What a container crops (clean aperture, pixel crop) is neither seen nor encoded."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from mmaudio_core.media import open_source
from mmaudio_core.media.cropping import Crop, FrameCropper
from mmaudio_core.mux import FileOptions, mux_audio

from .made_display import CLIPS, Clip

SHOWN = (slice(20, 84), slice(6, 86))
"""Rows and columns of a picture of 96x96 that ``CLAP`` shows."""


def made(clip: Clip, suffix: str, path: Path) -> Path:
    """The clip, in mp4 or copied into another container."""
    source = clip.write(path / "source")
    if suffix == "mp4":
        return source
    options = FileOptions(container=suffix)
    sound = torch.zeros(1, 3200)
    return mux_audio(source, sound, 16000, path / "in", file_options=options).path


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("part", [{}, {"start": Fraction(1, 25)}], ids=["copied", "cut"])
def test_what_is_seen(suffix: str, part: dict[str, Any], tmp_path: Path) -> None:
    clip = CLIPS["cropped, 2:1"]
    whole = list(open_source(replace(clip, boxes=()).write(tmp_path / "whole")).frames())
    source = open_source(made(clip, suffix, tmp_path))
    assert (source.info.width, source.info.height) == (80, 64)
    for frame, expected in zip(source.frames(), whole, strict=True):
        # the filter sees the same samples, but for chroma at the edges
        assert torch.equal(frame.rgb(), expected.rgb()[SHOWN])
    options = FileOptions(container="webm", crf=4) if not part else FileOptions(crf=4)
    result = mux_audio(
        made(clip, suffix, tmp_path),
        torch.zeros(1, 3200),
        16000,
        tmp_path / "out",
        file_options=options,
        **part,
    )
    encoded = open_source(result.path)
    assert (encoded.info.width, encoded.info.height) == (80, 64)
    frames, first = list(encoded.frames()), 1 if part else 0
    assert len(frames) == 5 - first
    for frame, expected in zip(frames, whole[first:], strict=True):
        error = (frame.rgb().float() - expected.rgb()[SHOWN].float()).abs().mean()
        assert error < 6


def test_before_it_is_turned(tmp_path: Path) -> None:
    clip = CLIPS["cropped, rotated, in VP9"]
    source = open_source(clip.write(tmp_path / "source"))
    assert (source.info.width, source.info.height) == (64, 80)
    turned = next(iter(source.frames())).rgb()
    whole = next(iter(open_source(replace(clip, boxes=()).write(tmp_path / "whole")).frames()))
    assert torch.equal(turned, whole.rgb()[6:86, 12:76])


def test_nothing_left(tmp_path: Path) -> None:
    """Frames smaller than what is cropped, as in a damaged file, stay whole."""
    source = open_source(replace(CLIPS["cropped"], boxes=()).write(tmp_path / "source"))
    frame = next(iter(source.decoded_frames())).picture  # pyright: ignore
    assert FrameCropper(Crop(left=50, right=46))(frame) is frame
