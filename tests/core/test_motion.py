"""The energy of motion: what it is, and that every way to features leads to the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmaudio_core.feature_cache import FeatureCache
from mmaudio_core.features.motion import MotionMeter
from mmaudio_core.features.types import Features, TextFeatures, VisualFeatures
from mmaudio_core.features.visual import TimeRange, VideoClip, extract_visual_features
from mmaudio_core.media import Frame, ImageSequence
from mmaudio_core.media.video_file import VideoFile

from .made_videos import steady, write_video
from .small import MemoryNetworks

PLACED = MemoryNetworks().placed
NETWORKS = MemoryNetworks(placed=PLACED)


def energy(frames: Tensor, chunk: int = 1000) -> Tensor:
    meter = MotionMeter()
    for part in frames.split(chunk):
        meter.add(part)
    return meter.energy


def motion(video: VideoClip, *, networks: MemoryNetworks = NETWORKS, start: str = "0") -> Tensor:
    time_range = TimeRange(duration=Fraction(0), start=Fraction(start), mask_away_clip=True)
    found = extract_visual_features(networks, video, time_range).features.motion
    assert found is not None
    return found


def half_flash(count: int = 25, at: int = 10) -> ImageSequence:
    """Black; in one frame, the left half is white."""
    images = torch.zeros(count, 48, 48, 3)
    images[at, :, :24] = 1
    return ImageSequence(images=images, frame_rate=Fraction(25))


def test_the_share_of_full_scale_that_changes() -> None:
    frames = torch.zeros(5, 3, 48, 48, dtype=torch.uint8)
    frames[1:3, :, :12] = 255  # a quarter turns white, and stays so for two frames
    frames[4] = torch.tensor([30, 60, 165], dtype=torch.uint8).view(3, 1, 1)  # a gray of a third
    assert energy(frames).tolist() == pytest.approx([0, 0.25, 0, 0.25, 1 / 3], abs=1e-6)


def test_noise_averages_out() -> None:
    """Of five levels a pixel, far below a tenth of the picture that moves."""
    draw = torch.Generator().manual_seed(0)
    frames = 100 + 5 * torch.randn(4, 3, 224, 224, generator=draw)
    assert energy(frames.to(torch.uint8))[1:].max() < 0.002


def test_no_frames_and_one_frame() -> None:
    assert energy(torch.zeros(0, 3, 9, 9, dtype=torch.uint8)).shape == (0,)
    assert energy(torch.full((1, 3, 9, 9), 7, dtype=torch.uint8)).tolist() == [0]


@pytest.mark.parametrize("chunk", [1, 4, 7])
def test_chunks_do_not_matter(chunk: int) -> None:
    draw = torch.Generator().manual_seed(1)
    frames = torch.randint(0, 256, (13, 3, 30, 30), generator=draw).to(torch.uint8)
    assert torch.equal(energy(frames, chunk), energy(frames))


def test_every_frame_has_one_those_after_the_last_segment_too() -> None:
    found = motion(VideoClip(source=half_flash(at=24)))
    assert found.shape == (25,)  # Synchformer's segments end with the 24th
    assert found[:24].max() < 0.01 and found[24] == pytest.approx(0.5, abs=0.02)


def test_a_part_moves_as_it_does_in_the_whole() -> None:
    images = torch.rand(60, 48, 48, 3, generator=torch.Generator().manual_seed(2))
    video = VideoClip(source=ImageSequence(images=images, frame_rate=Fraction(25)))
    whole, part = motion(video), motion(video, start="0.8")
    assert len(whole) == 60 and len(part) == 40
    assert part[0] == 0 < whole[20] and torch.equal(part[1:], whole[21:])


def test_what_a_mask_hides_does_not_move() -> None:
    right, left = torch.zeros(2, 1, 48, 48)
    right[:, :, 36:] = left[:, :, :12] = 1
    video = VideoClip(source=half_flash())
    assert motion(video)[10] == pytest.approx(0.5, abs=0.02)
    assert motion(replace(video, mask=right)).max() == 0
    assert motion(replace(video, mask=left))[10] == pytest.approx(0.25, abs=0.02)


def test_a_cached_video_has_it_without_being_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "film.mp4", steady(30, 25))
    original, decoded = VideoFile.frames, list[Fraction]()

    def spy(file: VideoFile, start: Fraction = Fraction(0)) -> Iterator[Frame]:
        for frame in original(file, start):
            decoded.append(frame.time)
            yield frame

    monkeypatch.setattr(VideoFile, "frames", spy)
    video = VideoClip(source=tmp_path / "film.mp4")
    networks = MemoryNetworks(placed=PLACED, feature_cache=FeatureCache(folder=tmp_path / "cache"))
    first = motion(video, networks=networks)
    count = len(decoded)
    assert count >= 30 and first.shape == (30,) and first[1:].min() > 0
    assert torch.equal(motion(video, networks=networks), first) and len(decoded) == count
    restarted = MemoryNetworks(placed=PLACED, feature_cache=FeatureCache(folder=tmp_path / "cache"))
    assert torch.equal(motion(video, networks=restarted), first) and len(decoded) == 2 * count


def test_only_a_video_moves() -> None:
    image = ImageSequence(images=torch.rand(1, 40, 60, 3), frame_rate=Fraction(25))
    second = TimeRange(duration=Fraction(1))
    for video in (VideoClip(source=image), None):
        assert extract_visual_features(NETWORKS, video, second).features.motion is None
    masked = TimeRange(duration=Fraction(1), mask_away_clip=True)
    found = extract_visual_features(NETWORKS, VideoClip(source=half_flash()), masked).features
    assert found.clip is None and found.motion is not None and found.motion.max() > 0.4


def test_joined_features_have_it() -> None:
    visual = VisualFeatures(duration=Fraction(1), clip=None, sync=None, motion=torch.rand(25))
    text = torch.zeros(1, 77, 8)
    joined = Features.join(visual, TextFeatures(prompt=text, negative=text))
    assert joined.motion is visual.motion
