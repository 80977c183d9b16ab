"""Reading frames while the encoders compute."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from itertools import groupby

import pytest
import torch

from mmaudio_core.features.encoders import CLIP_STAGE, SYNC_STAGE
from mmaudio_core.features.video import encode_video
from mmaudio_core.features.visual import TimeRange, VideoClip, extract_visual_features
from mmaudio_core.media import FrameReader, ImageSequence, prefetch
from tests.core.small import CancelAt, Cancelled, MemoryNetworks


def test_items_are_produced_while_others_are_used():
    started = [threading.Event() for _ in range(5)]

    def items() -> Iterator[int]:
        for item, event in enumerate(started):
            assert threading.current_thread().name.startswith("mmaudio-reading")
            event.set()
            yield item

    for item in prefetch(items()):
        for following in started[item + 1 : item + 2]:
            assert following.wait(20), item  # while this one is in use
        assert not any(event.is_set() for event in started[item + 2 :])  # and no more than one


def test_items_keep_their_order_and_errors_their_place():
    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("not a video")

    got: list[int] = []
    with pytest.raises(ValueError, match="not a video"):
        for item in prefetch(items()):
            got.append(item)
    assert got == [0, 1, 2]


def test_leaving_early_leaves_no_thread():
    before = threading.active_count()
    for _ in prefetch(range(100)):
        break
    assert threading.active_count() == before


def film(seconds: int) -> ImageSequence:
    images = torch.rand(seconds * 5, 32, 40, 3, generator=torch.Generator().manual_seed(0))
    return ImageSequence(images=images, frame_rate=Fraction(5))


@pytest.mark.slow
def test_features_do_not_depend_on_the_chunks():
    networks = MemoryNetworks()
    said: list[tuple[str, int, int]] = []
    span = TimeRange(duration=Fraction(17))
    with torch.inference_mode():  # of this thread alone, as ComfyUI executes nodes
        source = film(17)
        made = extract_visual_features(
            networks,
            VideoClip(source=source),
            span,
            lambda *x: said.append(x),
            prefetch_frames=True,
        ).features
    reader = FrameReader(source, duration=Fraction(17), chunk_seconds=100)
    whole = encode_video(MemoryNetworks(), reader, Fraction(17)).visual
    assert made.clip is not None and made.sync is not None
    assert whole.clip is not None and whole.sync is not None
    assert torch.allclose(made.clip, whole.clip, atol=1e-6)
    assert torch.allclose(made.sync, whole.sync, atol=1e-6)
    stages = [stage for stage, *_ in said]
    # 16 s in two turns of 8 s, then what is left
    assert [stage for stage, _ in groupby(stages)] == [CLIP_STAGE, SYNC_STAGE] * 3


def test_cancelling_stops_the_thread():
    before = threading.active_count()
    with pytest.raises(Cancelled):
        extract_visual_features(
            MemoryNetworks(),
            VideoClip(source=film(4)),
            TimeRange(duration=Fraction(4)),
            CancelAt(CLIP_STAGE, 2),
            prefetch_frames=True,
        )
    assert threading.active_count() == before
