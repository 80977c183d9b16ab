"""Masks: which pixels of which frames they hide from each encoder."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmaudio_core.errors import MediaError, Problem
from mmaudio_core.features.visual import TimeRange, VideoClip, extract_visual_features
from mmaudio_core.media import (
    FrameReader,
    ImageSequence,
    Masks,
    align_masks,
    image_for_clip,
    open_source,
)
from mmaudio_core.media.mask import CLIP_NEUTRAL, SYNC_NEUTRAL, MaskBlend
from mmaudio_core.media.resize import resize_for_clip, resize_for_sync
from mmaudio_core.models.clip import PIXEL_MEAN

from .made_videos import numbered, steady, write_video
from .small import MemoryNetworks

F = Fraction


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    write_video(path, steady(25, 25), size=(96, 64))
    return path


def one(mask: Tensor) -> Masks:
    return align_masks(mask, (), F(0), F(1))


def left_half(height: int, width: int) -> Tensor:
    mask = torch.zeros(1, height, width)
    mask[:, :, : width // 2] = 1
    return mask


def read(source: Path | ImageSequence, masks: Masks | None = None) -> tuple[Tensor, Tensor]:
    chunks = list(FrameReader(source, masks=masks))
    return torch.cat([c.clip for c in chunks]), torch.cat([c.sync for c in chunks])


def colors(frames: Tensor) -> list[list[int]]:
    return frames.flatten(2).unique(dim=2).squeeze(2).tolist()


def test_white_changes_nothing_and_black_hides_all(video: Path) -> None:
    seen = read(video)
    for kept, frames in zip(read(video, one(torch.ones(1, 8, 8))), seen, strict=True):
        assert torch.equal(kept, frames)
    clip, sync = read(video, one(torch.zeros(1, 8, 8)))
    assert colors(clip) == [list(CLIP_NEUTRAL)] * len(clip)
    assert colors(sync) == [list(SYNC_NEUTRAL)] * len(sync)


def test_neutral_colors_normalize_to_zero() -> None:
    for got, mean in zip(CLIP_NEUTRAL, PIXEL_MEAN, strict=True):
        assert abs(got / 255 - mean) <= 0.5 / 255
    assert all(abs(got / 127.5 - 1) < 1 / 255 for got in SYNC_NEUTRAL)


def test_the_mask_is_applied_before_the_resize() -> None:
    picture = torch.randint(
        0, 256, (90, 160, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    source = ImageSequence(images=(picture.float() / 255).expand(2, -1, -1, -1), frame_rate=F(1))
    clip, sync = read(source, one(left_half(90, 160)))
    for frames, resize, neutral in (
        (clip, resize_for_clip, CLIP_NEUTRAL),
        (sync, resize_for_sync, SYNC_NEUTRAL),
    ):
        hidden = picture.clone()
        hidden[:, 80:] = torch.tensor(neutral, dtype=torch.uint8)
        assert torch.equal(frames[0], resize(hidden))


def test_gray_blends_and_any_size_is_stretched() -> None:
    white = torch.full((40, 60, 3), 255, dtype=torch.uint8)
    mixed = MaskBlend(one(torch.full((1, 4, 4), 0.5)))(white, F(0), (55, 155, 255))
    assert mixed[7, 9].tolist() == [155, 205, 255]
    gray = MaskBlend(one(torch.full((1, 4, 4), 0.5)))(white, F(0), (0, 1, 2))
    assert gray[7, 9].tolist() == [128, 128, 129]  # weight 128 of 255, sums rounded to nearest
    exact = MaskBlend(one(left_half(40, 60)))(white, F(0), (0, 0, 0))
    stretched = MaskBlend(one(left_half(4, 6)))(white, F(0), (0, 0, 0))
    assert torch.equal(exact[:, :20], stretched[:, :20])
    assert torch.equal(exact[:, 40:], stretched[:, 40:])
    beyond = MaskBlend(one(torch.full((1, 4, 4), 7.0)))
    assert beyond(white, F(0), (0, 0, 0)) is white


@pytest.mark.parametrize("kind", ["file", "images"])
def test_one_mask_per_frame_stays_with_its_frame(kind: str, tmp_path: Path) -> None:
    """At uneven times and from any start."""
    count = 20
    times = [F(n * n, 100) for n in range(count)] if kind == "file" else steady(count, 10)
    if kind == "file":
        source = tmp_path / "a.mp4"
        write_video(source, [1 + time for time in times])
        source = Path(source)
    else:
        images = torch.stack([torch.from_numpy(numbered(n, 24, 24)) for n in range(count)])
        source = ImageSequence(images=images / 255, frame_rate=F(10))
    assert open_source(source).frame_times() == times
    mask = torch.zeros(count, 4, 4)
    mask[1::2] = 1  # odd frames are seen
    masks = align_masks(mask, times, F(0), F(4))
    for start in (F(0), F(3, 2)):
        plain = list(FrameReader(source, start=start))
        masked = list(FrameReader(source, start=start, masks=masks))
        for before, after in zip(plain, masked, strict=True):
            numbers = [
                max(n for n, t in enumerate(times) if ((t - start) * 25 + F(1, 2)) // 1 <= k)
                for k in range(len(after.sync))
            ]
            for number, shown, got in zip(numbers, before.sync, after.sync, strict=True):
                hidden = torch.full_like(shown, SYNC_NEUTRAL[0])
                assert torch.equal(got, shown if number % 2 else hidden)


def test_other_counts_are_spread_over_the_duration() -> None:
    masks = align_masks(torch.zeros(4, 2, 2), steady(25, 25), F(2), F(6))
    assert masks.times == (F(2), F(7, 2), F(5), F(13, 2))
    assert [masks.index(F(t)) for t in (0, 2, 3, 4, 6, 9)] == [0, 0, 0, 1, 2, 3]


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (1, 1, 8, 8)])
def test_shapes_of_one_mask(shape: tuple[int, ...]) -> None:
    assert one(torch.ones(shape)).frames.shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (torch.ones(8), "expected floats of shape"),
        (torch.ones(0, 8, 8), "expected floats of shape"),
        (torch.ones(1, 8, 8, dtype=torch.int64), "expected floats of shape"),
        (torch.ones(1, 8, 8).to_sparse(), "expected floats of shape"),
        (torch.ones(1, 8, 8, device="meta"), "expected floats of shape"),
        (torch.full((1, 8, 8), torch.nan), "NaN or infinity, expected values between 0 and 1"),
    ],
)
def test_masks_that_cannot_be_used(mask: Tensor, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        one(mask)


def test_a_single_image_is_masked_too() -> None:
    image = torch.rand((50, 70, 3), generator=torch.Generator().manual_seed(0))
    assert colors(image_for_clip(image, one(torch.zeros(1, 8, 8)))) == [list(CLIP_NEUTRAL)]
    assert torch.equal(image_for_clip(image, one(torch.ones(1, 8, 8))), image_for_clip(image))


def test_features_do_not_depend_on_what_is_hidden(video: Path) -> None:
    """And a count of masks that does not fit is reported."""
    networks = MemoryNetworks()
    with torch.no_grad():
        images = torch.rand((25, 40, 60, 3), generator=torch.Generator().manual_seed(0))
        other = images.clone()
        other[:, :, 30:] = 0
        seen = [
            extract_visual_features(
                networks, VideoClip(source=source, mask=mask), TimeRange(duration=F(1))
            ).features
            for mask in (left_half(40, 60), None)
            for source in (
                ImageSequence(images=images, frame_rate=F(25)),
                ImageSequence(images=other, frame_rate=F(25)),
            )
        ]
    for name in ("clip", "sync"):
        one, two, three, four = (getattr(features, name) for features in seen)
        assert torch.equal(one, two) and not torch.equal(three, four)
        assert not torch.equal(one, three)
    footage = VideoClip(source=video, mask=torch.ones(7, 4, 4))
    notices = extract_visual_features(networks, footage, TimeRange(duration=F(1))).notices
    assert notices == (
        "got 7 masks for the video's 25 frames, expected one or 25: they were spread"
        " evenly over its 1.00 s",
    )
    for count in (1, 25):
        footage = VideoClip(source=video, mask=torch.ones(count, 4, 4))
        assert extract_visual_features(networks, footage, TimeRange(duration=F(1))).notices == ()


def test_masks_of_a_trimmed_video_belong_to_its_part(video: Path) -> None:
    networks = MemoryNetworks()
    footage = VideoClip(source=video, start=F(1, 5), duration=F(4, 5), mask=torch.ones(20, 4, 4))
    assert extract_visual_features(networks, footage, TimeRange(duration=F(0))).notices == ()


@pytest.mark.parametrize("shape", [(8, 6), (1, 8, 6), (1, 1, 8, 6), (1, 8, 6, 1)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64, torch.bool])
def test_a_mask_of_one_picture(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """With or without a channel, before or after the pixels: one mask of 8 x 6."""
    plain = torch.zeros(8, 6)
    plain[2:5, 1:3] = 1
    masks = align_masks(plain.to(dtype).reshape(shape), [F(0), F(1)], F(0), F(2))
    assert len(masks.frames) == 1 and torch.equal(masks.frames[0].float(), plain)


def test_masks_with_a_channel_are_one_a_frame() -> None:
    plain = torch.rand(3, 8, 6)
    for given in (plain, plain[:, None], plain[..., None]):
        masks = align_masks(given, [F(0), F(1), F(2)], F(0), F(3))
        assert torch.equal(masks.frames, plain) and masks.times == (F(0), F(1), F(2))


@pytest.mark.parametrize(
    "mask",
    [
        torch.zeros(2, 8, 6, 3),  # an IMAGE
        torch.zeros(1, 1, 1, 8, 6),
        torch.zeros(6),
        torch.tensor(1.0),
        torch.zeros(0, 8, 6),
        torch.zeros(1, 0, 6),
        torch.zeros(1, 8, 6, dtype=torch.uint8),
        torch.zeros(1, 8, 6, dtype=torch.int64),
    ],
    ids=lambda mask: f"{tuple(mask.shape)} {mask.dtype}",
)
def test_what_is_no_mask(mask: Tensor) -> None:
    words = re.escape(f"got a mask of shape {tuple(mask.shape)} and type {mask.dtype}, expected")
    with pytest.raises(MediaError, match=words) as error:
        align_masks(mask, [F(0)], F(0), F(1))
    assert error.value.problem is Problem.MASK
