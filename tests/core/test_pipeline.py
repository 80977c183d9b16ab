"""The whole job: a real clip's golden, takes, lengths, cancelling in every stage."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.codec.decode import VAE_STAGE, VOCODER_STAGE, decode
from mmaudio_core.errors import MMAudioError
from mmaudio_core.features.encoders import CLIP_STAGE, SYNC_STAGE, TEXT_STAGE
from mmaudio_core.features.types import Features
from mmaudio_core.features.video import encode_video
from mmaudio_core.features.visual import TimeRange, VideoClip, extract_visual_features
from mmaudio_core.media import FrameReader, ImageSequence
from mmaudio_core.pipeline import extract_features, generate_audio
from mmaudio_core.progress import Progress, no_progress
from mmaudio_core.sampling.euler import SAMPLING_STAGE
from mmaudio_core.sampling.sample import sample
from tests.core.small import CancelAt, Cancelled, MemoryNetworks, assert_rows, counted
from tests.golden_files import relative_error

NETWORKS = MemoryNetworks()


def footage(frames: int = 25, rate: int = 25) -> VideoClip:
    images = torch.rand(frames, 40, 60, 3, generator=torch.Generator().manual_seed(0))
    return VideoClip(source=ImageSequence(images=images, frame_rate=Fraction(rate)))


def features(progress: Progress = no_progress) -> Features:
    return extract_features(
        NETWORKS, footage(), TimeRange(duration=Fraction(1)), "rain", "music", progress
    )


def test_the_sound_of_a_real_clip():
    assert_rows("e2e_bikes_small_16k_plain")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "e2e_bikes_small_16k_masked",
        "e2e_bikes_large_44k_v2_plain",
        "e2e_bikes_large_44k_v2_masked",
    ],
)
def test_the_sound_of_a_real_clip_in_other_ways(name: str):
    assert_rows(name)


def test_frames_of_a_real_clip():
    assert_rows("media_bikes")


def test_take_k_is_the_run_of_seed_plus_k():
    given = features()
    latents = sample(NETWORKS, given, [11, 12, 13], steps=2)
    sound = decode(NETWORKS, latents, given.duration)
    assert sound.shape == (3, 1, 16_000)
    for take in range(3):
        single = sample(NETWORKS, given, [11 + take], steps=2)
        assert relative_error(latents[take : take + 1], single) < 1e-4
        assert (
            relative_error(sound[take : take + 1], decode(NETWORKS, single, given.duration)) < 1e-4
        )


def test_seeds_wrap_at_two_to_the_64():
    given = features()
    last, over = (sample(NETWORKS, given, [seed], steps=1) for seed in (2**64 - 1, 2**64))
    assert torch.equal(over, sample(NETWORKS, given, [0], steps=1))
    assert not torch.equal(last, over)


@pytest.mark.parametrize("seconds", ["0.64", "1", "2.37", "3.3"])
def test_the_sound_is_exactly_as_long_as_asked(seconds: str):
    given = extract_features(NETWORKS, None, TimeRange(duration=Fraction(seconds)), "rain")
    sound = decode(NETWORKS, sample(NETWORKS, given, [1], steps=1), given.duration)
    assert sound.shape == (1, 1, round(Fraction(seconds) * 16_000))
    assert sound.dtype == torch.float32
    assert sound.abs().max() <= 1


def test_a_picture_masked_away_leaves_the_sync_features():
    span = TimeRange(duration=Fraction(1), mask_away_clip=True)
    masked = extract_features(NETWORKS, footage(), span, "rain", "music")
    assert masked.clip is None
    seen = features()
    assert masked.sync is not None and seen.sync is not None
    assert torch.equal(masked.sync, seen.sync)
    assert not torch.equal(
        sample(NETWORKS, masked, [1], steps=1), sample(NETWORKS, seen, [1], steps=1)
    )


def test_one_image_is_encoded_once_and_repeated():
    span = TimeRange(duration=Fraction(2))
    still = extract_features(NETWORKS, footage(frames=1), span, "rain", "music")
    assert still.clip is not None
    assert still.clip.shape == (1, 1, 64)
    assert still.sync is None
    repeated = Features(
        duration=still.duration,
        clip=still.clip.expand(-1, 16, -1),
        sync=None,
        text=still.text,
        negative=still.negative,
    )
    assert torch.equal(
        sample(NETWORKS, still, [1], steps=1), sample(NETWORKS, repeated, [1], steps=1)
    )


def test_duration_zero_is_the_video_s_and_needs_one():
    whole = extract_visual_features(NETWORKS, footage(frames=30), TimeRange(duration=Fraction(0)))
    assert whole.features.duration == Fraction(30, 25)
    assert not whole.notices
    with pytest.raises(MMAudioError, match=r"got a duration of 0 .*without a video, expected"):
        extract_features(NETWORKS, None, TimeRange(duration=Fraction(0)))


def test_a_duration_past_the_video_s_end_is_cut_and_said():
    cut = extract_visual_features(
        NETWORKS, footage(), TimeRange(duration=Fraction(8), start=Fraction(1, 5))
    )
    assert cut.features.duration == Fraction(4, 5)
    (notice,) = cut.notices
    assert "0.80 s long, not 8 s" in notice
    assert "the video ends 1.00 s" in notice


@pytest.mark.parametrize("still", [False, True])
def test_a_start_without_a_video_is_ignored_and_said(still: bool):
    clip = footage(frames=1) if still else None
    got = extract_visual_features(NETWORKS, clip, TimeRange(start=Fraction(2)))
    assert got.features.duration == 8
    assert got.notices == ("got a start of 2 s without a video to start in: it was ignored",)
    assert not extract_visual_features(NETWORKS, clip, TimeRange()).notices
    away = extract_visual_features(NETWORKS, None, TimeRange(mask_away_clip=True)).notices
    assert away == ("got no picture to mask away: mask_away_clip was ignored",)


def test_a_clip_is_a_part_of_its_source():
    """Frames 8 to 28 of 40: from 0.32 s to 1.12 s."""
    whole = footage(frames=40)
    assert isinstance(whole.source, ImageSequence)
    cut = ImageSequence(images=whole.source.images[8:28], frame_rate=Fraction(25))
    part = VideoClip(source=whole.source, start=Fraction(8, 25), duration=Fraction(20, 25))
    span = TimeRange(duration=Fraction(0))
    got, expected = (
        extract_visual_features(NETWORKS, video, span).features
        for video in (part, VideoClip(source=cut))
    )
    assert got.duration == expected.duration == Fraction(20, 25)
    assert got.sync is not None and expected.sync is not None
    assert torch.equal(got.sync, expected.sync)


def test_one_job_has_a_longest_duration(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mmaudio_core.features.visual.MAX_SECONDS", Fraction(4, 5))
    got = extract_visual_features(NETWORKS, footage(), TimeRange(duration=Fraction(1)))
    assert got.features.duration == Fraction(4, 5)
    assert got.notices == ("the sound is 0.80 s long, not 1 s: one job generates at most 0.8 s",)


def test_features_do_not_depend_on_the_chunks_that_are_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mmaudio_core.features.video._SYNC_GROUP_FRAMES", 1)
    source = footage(frames=60).source
    short, long = (
        encode_video(NETWORKS, FrameReader(source, chunk_seconds=seconds), Fraction(12, 5)).visual
        for seconds in (1, 8)
    )
    assert short.sync is not None and long.sync is not None
    assert short.clip is not None and long.clip is not None
    assert short.sync.shape == (1, 48, long.sync.shape[2])
    assert relative_error(short.sync, long.sync) < 1e-5
    assert relative_error(short.clip, long.clip) < 1e-5
    assert short.motion is not None and long.motion is not None
    assert short.motion.shape == (60,) and short.motion.min() == 0 < short.motion[1:].min()
    assert torch.equal(short.motion, long.motion)


@pytest.mark.parametrize(("start", "said"), [("1", "at or past the end"), ("0.5", "0.64 s")])
def test_a_start_without_enough_video_after_it_is_refused(start: str, said: str):
    with pytest.raises(MMAudioError, match=said):
        extract_features(
            NETWORKS, footage(), TimeRange(duration=Fraction(8), start=Fraction(start))
        )


def test_features_of_another_model_are_refused():
    given = features()
    other = Features(
        duration=given.duration,
        clip=torch.zeros(1, 8, 1024),
        sync=given.sync,
        text=given.text,
        negative=given.negative,
    )
    with pytest.raises(MMAudioError, match=r"got CLIP features of width 1024, expected 64"):
        sample(NETWORKS, other, [1], steps=1)


def test_half_precision_stays_close():
    given = features()
    half = MemoryNetworks(dtype=torch.bfloat16)
    ours = extract_features(half, footage(), TimeRange(duration=Fraction(1)), "rain", "music")
    for name in ("clip", "sync", "text", "negative"):
        assert relative_error(getattr(ours, name), getattr(given, name)) < 0.05
    latents = sample(NETWORKS, given, [3], steps=2)
    assert relative_error(sample(half, given, [3], steps=2), latents) < 0.05
    sound = decode(half, latents, given.duration)
    assert sound.isfinite().all()


# stage, the network it runs
STAGES = [
    (CLIP_STAGE, PartKind.CLIP),
    (SYNC_STAGE, PartKind.SYNCHFORMER),
    (TEXT_STAGE, PartKind.CLIP),
    (SAMPLING_STAGE, PartKind.FLOW),
    (VAE_STAGE, PartKind.VAE),
    (VOCODER_STAGE, PartKind.VOCODER),
]


def job(progress: Progress = no_progress) -> torch.Tensor:
    return generate_audio(
        NETWORKS,
        footage(),
        TimeRange(duration=Fraction(1)),
        [1, 2],
        prompt="rain",
        negative_prompt="music",
        steps=2,
        progress=progress,
    )


@pytest.mark.parametrize("calls", [1, 2, 3])
@pytest.mark.parametrize(("stage", "kind"), STAGES)
def test_cancelling_stops_within_one_block(stage: str, kind: PartKind, calls: int):
    if stage == TEXT_STAGE and calls == 3:
        calls = 2  # a tower of two blocks, then the call that says it is done
    network = NETWORKS.acquire(kind, 0).network
    cancel = CancelAt(stage, calls)
    before = 0

    def watching(name: str, done: int, total: int, /) -> None:
        nonlocal before
        if name == stage and cancel.seen == 0:
            before = len(ran)
        cancel(name, done, total)

    with counted(network) as ran, pytest.raises(Cancelled):
        job(watching)
    assert len(ran) - before <= calls - 1
    assert not any(step._forward_pre_hooks for step in network.interruptible_modules())  # pyright: ignore


def test_a_cancelled_job_leaves_nothing_behind():
    expected = job()
    for stage, _ in STAGES:
        with pytest.raises(Cancelled):
            job(CancelAt(stage, 2))
    assert torch.equal(job(), expected)


def test_every_stage_counts_up_to_its_total():
    seen: dict[str, list[tuple[int, int]]] = {}
    job(lambda stage, done, total: seen.setdefault(stage, []).append((done, total)))
    assert list(seen) == [
        CLIP_STAGE,
        SYNC_STAGE,
        TEXT_STAGE,
        SAMPLING_STAGE,
        VAE_STAGE,
        VOCODER_STAGE,
    ]
    for calls in seen.values():
        assert calls == sorted(calls)
        assert all(0 <= done <= total for done, total in calls)
    for stage in (CLIP_STAGE, SYNC_STAGE, TEXT_STAGE, SAMPLING_STAGE, VOCODER_STAGE):
        assert seen[stage][-1][0] == seen[stage][-1][1], stage
