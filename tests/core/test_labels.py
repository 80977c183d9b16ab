"""The file of labels: the pack's own, and what may be wrong with a user's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mmaudio_core.errors import MMAudioError, Problem
from mmaudio_core.features.labels import (
    KINDS,
    OWN_FILE,
    Label,
    labels_fingerprint,
    read_labels,
)
from mmaudio_core.models.clip.tokenizer import PADDING, tokenize


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "labels.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_sections_comments_and_both_forms(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "\ufeff# a comment\n\n[Animals] a photo of {}\na cow: mooing\n  geese  \n"
        "[signs]\na clock at 5:00\n[music] a scene of {}\na wedding: piano\n",
    )
    assert read_labels(path, "sounds") == (
        Label(section="animals", sentence="a photo of a cow", said="mooing"),
        Label(section="animals", sentence="a photo of geese", said="geese"),
        Label(section="signs", sentence="a clock at 5", said="00"),
    )
    assert read_labels(path, "music") == (
        Label(section="music", sentence="a scene of a wedding", said="piano"),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_pack_s_own_file(kind: str) -> None:
    """A few hundred, none twice, all short enough for the quick encoding, in plain letters."""
    labels = read_labels(OWN_FILE, kind)
    assert len(labels) > (300 if kind == "sounds" else 70)
    sentences = Counter(label.sentence for label in labels)
    assert [sentence for sentence, count in sentences.items() if count > 1] == []
    assert all(label.said.isascii() and label.said.strip() == label.said for label in labels)
    assert int((tokenize(list(sentences)) != PADDING).sum(dim=1).max()) <= 16


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a cow: mooing\n", 'line 1: got "a cow: mooing" before the first section'),
        ("[animals\na cow\n", 'line 1: got "[animals", expected a section such as "[animals]'),
        ("\n[animals] a photo\n", 'line 2: got "[animals] a photo", expected a section'),
        ("[a] {} or {}\n", 'line 1: got "[a] {} or {}", expected a section'),
        ("[] {}\n", 'line 1: got "[] {}", expected a section'),
        ("[animals]\na cow:\n", 'line 2: got "a cow:", expected "seen: said"'),
        ("[animals]\n: mooing\n", 'line 2: got ": mooing", expected "seen: said"'),
        ("[a]\n" + "x\n" * 5001, "got 5001 labels for sounds, expected 1 to 5000"),
        (b"[a]\n\xff\xfe\n", "got bytes that are no UTF-8 text"),
        ("#" * 1_000_001, "got 1000001 bytes, expected at most 1000000"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    text: str | bytes, words: str, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(MMAudioError) as caught:
        read_labels(path, "sounds")
    assert str(caught.value).startswith(str(path)) and words in str(caught.value)
    assert caught.value.problem is Problem.LABELS


def test_a_kind_that_a_file_lacks_is_the_pack_s(tmp_path: Path) -> None:
    path = written(tmp_path, "[music]\nwaltz\n")
    assert [label.said for label in read_labels(path, "music")] == ["waltz"]
    assert read_labels(path, "sounds") == read_labels(OWN_FILE, "sounds")
    assert read_labels(written(tmp_path, ""), "music") == read_labels(OWN_FILE, "music")


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(MMAudioError, match="cannot be read"):
        read_labels(tmp_path / "none.txt", "sounds")
    assert labels_fingerprint(tmp_path / "none.txt") != labels_fingerprint(OWN_FILE)


def test_the_fingerprint_changes_with_the_content(tmp_path: Path) -> None:
    path = written(tmp_path, "[a]\nb\n")
    first = labels_fingerprint(path)
    written(tmp_path, "[a]\nc\n")
    second = labels_fingerprint(path)
    written(tmp_path, "[a]\nb\n")
    assert first == labels_fingerprint(path) != second
