"""CLIP's tokenizer against open_clip's, exactly."""

from __future__ import annotations

import json

import pytest
import torch

from mmaudio_core.models.clip.tokenizer import END, START, clean, fits, tokenize
from tests.golden_files import GOLDEN, golden

CASES = json.loads((GOLDEN / "tokens.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["text"][:20] for case in CASES])
def test_tokens_match(case: dict[str, object]):
    assert tokenize([str(case["text"])])[0].tolist() == case["tokens"]


def test_a_batch_is_its_texts():
    tensors, metadata = golden("tiny_clip_pooled")
    tokens = tokenize(metadata["labels"])
    assert tokens.dtype == torch.int64
    assert torch.equal(tokens, tensors["tokens"])
    assert tokenize([]).shape == (0, 77)


@pytest.mark.parametrize(("words", "used"), [(74, 76), (75, 77), (76, 77), (5000, 77)])
def test_a_long_text_keeps_its_end_token(words: int, used: int):
    row = tokenize(["thunder " * words])[0].tolist()
    assert row[0] == START
    assert row[used - 1] == END
    assert row.count(0) == 77 - used
    assert fits("thunder " * words) is (words <= 75)


def test_cleaning():
    assert clean(" It&amp;#39;s \u00a0 \u3000 a\n\tTest ") == "it's a test"
    assert clean("schÃ¶n") == "schön"
    assert clean("broken \ud800 surrogate\x00") == "broken \ufffd surrogate"
