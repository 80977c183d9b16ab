"""CLIP's tokenizer: text to a fixed number of byte-pair tokens.

The merges under ``data/`` are open_clip's, as published (MIT; the license is in that folder).
"""

from __future__ import annotations

import gzip
import html
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import ftfy
import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as Chain
from torch import Tensor

CONTEXT_LENGTH = 77
START, END, PADDING = 49406, 49407, 0

_MERGES_FILE = Path(__file__).parent / "data" / "bpe_simple_vocab_16e6.txt.gz"
_MERGES = 48894  # CLIP uses only the first of the file's merges
_WORD_END = "</w>"
# contractions, runs of letters, single digits, runs of other characters except white space
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


def tokenize(texts: Sequence[str]) -> Tensor:
    """Token ids of each text: start, the text, end, then zeros.

    A text that is too long is cut so that the end token comes last. Names of special tokens such as
    ``<|endoftext|>`` are treated as ordinary text.

    Returns:
        (len(texts), 77) int64.
    """
    rows = torch.full((len(texts), CONTEXT_LENGTH), PADDING)
    for row, text in zip(rows, texts, strict=True):
        ids = _bpe().encode(clean(text)).ids[: CONTEXT_LENGTH - 2]
        row[: len(ids) + 2] = torch.tensor([START, *ids, END])
    return rows


def fits(text: str) -> bool:
    """Whether ``tokenize`` keeps all of a text."""
    return len(_bpe().encode(clean(text)).ids) <= CONTEXT_LENGTH - 2


def clean(text: str) -> str:
    """Repair the encoding, resolve HTML entities, collapse white space, convert to lower case."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


@lru_cache(maxsize=1)
def _bpe() -> Tokenizer:
    with gzip.open(_MERGES_FILE, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")[1 : _MERGES + 1]  # the first line is a title
    merges = [(left, right) for left, right in (line.split() for line in lines)]
    # GPT-2's printable characters for the 256 bytes; CLIP numbers them in code point order
    alphabet = sorted(ByteLevel.alphabet())
    entries = [*alphabet, *(character + _WORD_END for character in alphabet)]
    entries += [left + right for left, right in merges]
    vocabulary = {entry: number for number, entry in enumerate(entries)}
    tokenizer = Tokenizer(BPE(vocabulary, merges, end_of_word_suffix=_WORD_END))
    words = Split(Regex(_WORDS), behavior="removed", invert=True)
    tokenizer.pre_tokenizer = Chain([words, ByteLevel(add_prefix_space=False, use_regex=False)])
    return tokenizer
