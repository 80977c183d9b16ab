"""Which stream of a file is its picture, and how large it is shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image, features

from mmaudio_core.media import open_source
from mmaudio_core.mux import FileOptions, mux_audio

from .made_videos import numbered, set_display_matrix, steady, write_video


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "2"}])
def test_a_rotation_of_few_frames(count: int, options: dict[str, str], tmp_path: Path) -> None:
    """The decoder gives none of them before it is flushed; their header knows no rotation."""
    source = tmp_path / "a.mp4"
    write_video(source, steady(count, 25), size=(96, 64), options=options)
    set_display_matrix(source, 0, 1, -1, 0)
    info = open_source(source).info
    assert (info.width, info.height) == (64, 96)
    result = mux_audio(
        source,
        torch.zeros(1, 640 * count),
        16000,
        tmp_path / "out",
        file_options=FileOptions(container="webm"),
    )
    (first, *rest) = open_source(source).frames()
    (encoded, *others) = open_source(result.path).frames()
    assert len(rest) == len(others) == count - 1
    assert (encoded.rgb().float() - first.rgb()).abs().mean() < 4


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
@pytest.mark.parametrize("gray", [False, True])
def test_the_mask_of_an_avif_is_not_its_picture(gray: bool, tmp_path: Path) -> None:
    """Though libav prefers it: it has more bits."""
    noise = np.random.default_rng(0)
    frames = []
    for number in range(4):
        picture = numbered(number, 96, 64)
        alpha = noise.integers(0, 256, (64, 96, 1), np.uint8)
        frames.append(Image.fromarray(np.concatenate([picture, alpha], 2), "RGBA"))
    if gray:
        frames = [frame.convert("LA") for frame in frames]
    path = tmp_path / "a.avif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, quality=90)
    with av.open(path) as container:
        best = container.streams.best("video")
        assert best is not None and best.index == 3
    got = [frame.rgb() for frame in open_source(path).frames()]
    assert len(got) == 4
    for number, rgb in enumerate(got):
        picture = torch.from_numpy(numbered(number, 96, 64))
        assert (rgb.float() - picture).abs().mean() < 8
    assert open_source(path).info.duration == Fraction(4, 10)
