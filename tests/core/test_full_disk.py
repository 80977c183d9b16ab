"""A disk that fills up while a video is written: one error, nothing left, the next job works."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from mmaudio_core.errors import MediaError
from mmaudio_core.media import ImageSequence
from mmaudio_core.mux import FileOptions, NumberedName, mux_audio

RATE = 16_000
SECONDS = 2


@pytest.fixture(scope="module")
def images() -> ImageSequence:
    """Noise, which cannot be compressed."""
    noise = torch.rand(25 * SECONDS, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    return ImageSequence(images=noise, frame_rate=Fraction(25))


@pytest.mark.parametrize("picture", ["encoded", "copied"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_disk_that_fills_up(
    picture: str, container: str, images: ImageSequence, small_disk: Path, tmp_path: Path
) -> None:
    """In the middle, within the last page, and not at all."""
    waveform = torch.rand(1, RATE * SECONDS, generator=torch.Generator().manual_seed(1)) / 5
    options = FileOptions(container=container)
    whole = mux_audio(images, waveform, RATE, tmp_path / "whole", file_options=options).path
    source = images if picture == "encoded" else whole
    reference = mux_audio(source, waveform, RATE, tmp_path / "again", file_options=options).path
    size = reference.stat().st_size
    target = NumberedName(folder=small_disk, prefix="video")
    filler = small_disk / "filler"
    for free in (size // 2, size - 1):
        filler.write_bytes(bytes(1024**2 - free // 4096 * 4096))
        with pytest.raises(MediaError) as caught:
            mux_audio(source, waveform, RATE, target, file_options=options)
        message = str(caught.value)
        for part in (str(small_disk), "No space left on device", "Free some space"):
            assert message.count(part) == 1, message
        assert list(small_disk.iterdir()) == [filler]
    filler.unlink()
    written = mux_audio(source, waveform, RATE, target, file_options=options).path
    assert written == small_disk / f"video_00001_.{container}"
    assert written.stat().st_size == size
