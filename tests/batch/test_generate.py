"""Clips in a batch: what decides their sound, to the bit."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from mmaudio_core.batch import decode as decoding
from mmaudio_core.batch import generate as generating
from mmaudio_core.batch.batches import Batch, plan_batches
from mmaudio_core.batch.decode import decode_item
from mmaudio_core.batch.generate import generate
from mmaudio_core.batch.item import Item
from mmaudio_core.batch.stages import DecodedItem, Failure, GeneratedSound
from mmaudio_core.features.types import TextFeatures
from mmaudio_core.features.visual import TimeRange, VideoClip
from mmaudio_core.pipeline import generate_audio
from tests.batch.clips import QUICK, clip, item, networks, sounds
from tests.golden_files import relative_error


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Item]:
    folder = tmp_path_factory.mktemp("clips")
    options = [replace(QUICK, prompt=prompt, seed=seed) for seed, prompt in enumerate("abc")]
    return [
        item(clip(folder / f"{seed}.mp4", seed=seed), str(seed), option)
        for seed, option in enumerate(options)
    ]


@pytest.fixture(scope="module")
def together(items: Sequence[Item]) -> dict[int, torch.Tensor]:
    return sounds(*items)


def test_a_batch_makes_what_the_pipeline_makes_of_each(
    items: Sequence[Item], together: dict[int, torch.Tensor]
) -> None:
    for place, one in enumerate(items):
        alone = generate_audio(
            networks(),
            VideoClip(source=one.video or ""),
            TimeRange(duration=Fraction(1)),
            one.options.seeds,
            prompt=one.options.prompt,
            steps=2,
        )
        assert torch.equal(sounds(one)[0], alone)
        assert relative_error(together[place], alone) < 1e-4
    assert relative_error(together[0], together[1]) > 0.1


def test_a_missing_item_changes_no_bit_of_the_others(
    items: Sequence[Item], together: dict[int, torch.Tensor]
) -> None:
    """As after a crash, or when one of them cannot be read."""
    for places in ((0,), (2,), (0, 2), (1, 2)):
        some = sounds(*items, places=places)
        assert list(some) == list(places)
        assert all(torch.equal(some[place], together[place]) for place in places)


def test_takes_of_clips_share_a_batch(items: Sequence[Item]) -> None:
    two = [replace(one, options=replace(one.options, takes=2)) for one in items[:2]]
    found = sounds(*two)
    for place, one in enumerate(two):
        assert found[place].shape == (2, 1, 16_000)
        assert relative_error(found[place], sounds(one)[0]) < 1e-4


def test_a_shorter_clip_is_sampled_as_it_is_alone(items: Sequence[Item], tmp_path: Path) -> None:
    """Its length is found when it is read; the others stay as they are."""
    short = item(clip(tmp_path / "short.mp4", seconds=0.8), "short")
    found = sounds(items[0], short)
    assert found[1].shape[-1] == 12_800
    assert torch.equal(found[1], sounds(short)[0])


def test_prompts_alone_share_a_batch() -> None:
    one, other = (item(None, p, replace(QUICK, prompt=p)) for p in ("rain", "bells"))
    found = sounds(one, other)
    assert relative_error(found[0], sounds(one)[0]) < 1e-4
    assert relative_error(found[0], found[1]) > 0.1


def test_frames_that_are_too_many_to_hold_are_read_while_they_are_encoded(
    items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = sounds(items[0])[0]
    monkeypatch.setattr(decoding, "HELD_SECONDS", 0)
    assert decode_item(items[0]).chunks is None
    assert torch.equal(sounds(items[0])[0], held)


def test_what_passes_between_stages_can_be_sent(items: Sequence[Item]) -> None:
    sent = pickle.dumps(decode_item(items[0]))
    # a second of frames; not the seconds that the reader has room for
    assert len(sent) == pytest.approx(3 * (8 * 384**2 + 25 * 224**2), rel=0.01)
    decoded = pickle.loads(sent)
    assert isinstance(decoded, DecodedItem)
    sound = generate(networks(), Batch(items=(items[0],)), {0: decoded})[0]
    sent = pickle.dumps(sound)
    assert len(sent) == pytest.approx(4 * 16000, rel=0.1)  # one sound, not the batch's
    again = pickle.loads(sent)
    assert isinstance(again, GeneratedSound)
    assert torch.equal(again.waveforms, sounds(items[0])[0])
    assert {"decode", "features", "sampling", "sound"} <= set(again.seconds)


def test_one_item_that_fails_leaves_the_others(
    items: Sequence[Item], together: dict[int, torch.Tensor]
) -> None:
    frames = {place: decode_item(one) for place, one in enumerate(items)}
    frames[1] = replace(frames[1], chunks=())
    found = generate(networks(), Batch(items=tuple(items)), frames)
    failure, sound = found[1], found[2]
    assert isinstance(failure, Failure) and isinstance(sound, GeneratedSound)
    assert failure.stage == "generate" and "decodable video" in failure.reason
    assert "encode_video" in failure.trace
    assert torch.equal(sound.waveforms, together[2])


def test_a_clip_whose_numbers_are_not_finite_fails_alone(
    items: Sequence[Item], together: dict[int, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = generating.encode_prompts

    def broken(networks: Any, prompt: str, *others: Any) -> TextFeatures:
        text = real(networks, prompt, *others)
        return replace(text, prompt=text.prompt * torch.nan) if prompt == "b" else text

    monkeypatch.setattr(generating, "encode_prompts", broken)
    frames = {place: decode_item(one) for place, one in enumerate(items)}
    found = generate(networks(), Batch(items=tuple(items)), frames)
    failure = found[1]
    assert isinstance(failure, Failure) and "NaN" in failure.reason
    for place in (0, 2):
        sound = found[place]
        assert isinstance(sound, GeneratedSound)
        assert torch.equal(sound.waveforms, together[place])


def test_what_fails_together_is_tried_one_by_one(
    items: Sequence[Item], together: dict[int, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when memory runs out once."""
    real, tries = generating.sample_clips, 0

    def failing(*arguments: Any, **others: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("out of memory")
        return real(*arguments, **others)

    monkeypatch.setattr(generating, "sample_clips", failing)
    found = sounds(*items)
    assert tries == 4
    assert all(torch.equal(found[place], together[place]) for place in range(3))


def test_batches_follow_from_the_list_alone(tmp_path: Path) -> None:
    def one(name: str, **options: object) -> Item:
        return item(tmp_path / name, name, replace(QUICK, **options))

    items = [
        one("a"),
        one("b", takes=2),
        one("c"),
        one("to the end", duration=Fraction(0)),
        one("long", duration=Fraction(11)),
        one("d", prompt="rain", seed=7),
        item(None, "no picture"),
    ]
    names = [[i.out for i in batch.items] for batch in plan_batches(items, 2)]
    assert names == [["a", "c"], ["to the end"], ["long"], ["b"], ["d"], ["no picture"]]
    assert [len(batch.items) for batch in plan_batches(items, 1)] == [1] * 7
