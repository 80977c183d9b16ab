"""Zero-shot labels: which are nearest, how they share a score, and what is encoded for them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.feature_cache import FeatureCache
from mmaudio_core.features.encoders import LABEL_STAGE
from mmaudio_core.features.labels import Label
from mmaudio_core.features.text import encode_prompts
from mmaudio_core.features.zero_shot import encode_labels, score_labels
from mmaudio_core.models.clip import CLIP
from mmaudio_core.models.clip.tokenizer import tokenize
from tests.core.small import MemoryNetworks
from tests.golden_files import relative_error

NETWORKS = MemoryNetworks()


def labels(*said: str) -> tuple[Label, ...]:
    return tuple(
        Label(section="a", sentence=f"{number}", said=one) for number, one in enumerate(said)
    )


def angles(*degrees: float) -> Tensor:
    """Unit vectors (n, 2)."""
    radians = torch.tensor(degrees).deg2rad()
    return torch.stack((radians.cos(), radians.sin()), dim=-1)


def test_the_nearest_label_comes_first() -> None:
    ranked = score_labels(angles(40.0), labels("cow", "rain", "bell"), angles(0, 90, 45))
    assert [label.said for label in ranked] == ["bell", "cow", "rain"]
    assert sum(label.score for label in ranked) == pytest.approx(1)


def test_the_scale_is_that_of_clip() -> None:
    """The softmax of 100 times the cosines."""
    near, far = score_labels(angles(0.0), labels("a", "b"), angles(10, 12))
    ratio = math.exp(100 * (math.cos(math.radians(10)) - math.cos(math.radians(12))))
    assert near.score / far.score == pytest.approx(ratio, rel=1e-4)


def test_each_frame_counts_the_same() -> None:
    """A quarter of the frames shows one thing, the rest another."""
    ranked = score_labels(angles(0, 90, 90, 90), labels("cow", "rain"), angles(0, 90))
    assert ranked == [("rain", pytest.approx(0.75)), ("cow", pytest.approx(0.25))]


def test_labels_that_say_the_same_are_added() -> None:
    ranked = score_labels(angles(0.0), labels("rain", "cow", "rain"), angles(8, 0, 8))
    alone = score_labels(angles(0.0), labels("x", "cow", "y"), angles(8, 0, 8))
    scores = {label.said: label.score for label in alone}
    assert dict(ranked) == {"cow": scores["cow"], "rain": pytest.approx(scores["x"] + scores["y"])}


def test_ties_stay_in_the_order_of_the_file() -> None:
    ranked = score_labels(angles(0.0), labels("b", "a", "c"), angles(5, 5, 5))
    assert [label.said for label in ranked] == ["b", "a", "c"]


SENTENCES = ["a cow", "a very long story " * 6, "rain", "another story of many words " * 4]


def sentences(texts: list[str]) -> tuple[Label, ...]:
    return tuple(Label(section="a", sentence=text, said=text) for text in texts)


def test_texts_of_any_length_are_what_clip_pools() -> None:
    """In their order, although short ones are encoded without the padding, and together."""
    clip = NETWORKS.acquire(PartKind.CLIP, 0).network
    assert isinstance(clip, CLIP)
    with torch.no_grad():
        expected = clip.pooled_text(tokenize(SENTENCES))
    calls: list[tuple[str, int, int]] = []
    got = encode_labels(NETWORKS, sentences(SENTENCES), lambda *call: calls.append(call))
    assert relative_error(got, expected) < 1e-5
    assert torch.allclose(got.norm(dim=-1), torch.ones(4))
    assert {stage for stage, _, _ in calls} == {LABEL_STAGE}
    assert calls[-1] == (LABEL_STAGE, 4, 4)
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)


def test_a_label_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when another, longer one is added; short ones are encoded without the padding."""
    networks = MemoryNetworks(placed=NETWORKS.placed, feature_cache=FeatureCache())
    clip = NETWORKS.acquire(PartKind.CLIP, 0).network
    assert isinstance(clip, CLIP)
    pooled, ran = clip.pooled_text, list[tuple[int, ...]]()

    def spy(tokens: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        ran.append(tuple(tokens.shape))
        return pooled(tokens, dtype=dtype)

    monkeypatch.setattr(clip, "pooled_text", spy)
    first = encode_labels(networks, sentences(SENTENCES[:1] + SENTENCES[2:3]))
    assert ran == [(2, 16)]
    again = encode_labels(networks, sentences(SENTENCES[2::-2]))
    assert ran == [(2, 16)] and torch.equal(again, first.flip(0))
    encode_labels(networks, sentences(SENTENCES))
    assert ran == [(2, 16), (2, 77)]


def test_a_prompt_of_the_same_words_is_another_thing() -> None:
    """Prompts are the hidden states of all tokens; both are kept in one cache."""
    networks = MemoryNetworks(placed=NETWORKS.placed, feature_cache=FeatureCache())
    vector = encode_labels(networks, sentences(SENTENCES[1:2]))
    text = encode_prompts(networks, SENTENCES[1], "")
    assert vector.shape == (1, 64) and text.prompt.shape == (1, 77, 128)
    assert torch.equal(encode_labels(networks, sentences(SENTENCES[1:2])), vector)
