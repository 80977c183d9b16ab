"""Every golden of a folder, and the rows it makes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mmaudio_core.config import FORMAT_16K, FORMAT_44K, sequence_lengths
from mmaudio_core.models.clip.tokenizer import tokenize
from tests.golden_files import GOLDEN, golden, tiny_weights

from . import media, networks
from .build import full_weights, tiny_bundle
from .comparison import Comparison, Row, exact
from .networks import Case

Compare = Callable[[Case], Iterator[Comparison]]

# beginning of a network golden's name (after "tiny_" or "full_"), what compares it, its inputs
_NETWORKS: tuple[tuple[str, Compare, frozenset[str]], ...] = (
    ("dit_", networks.flow, frozenset({"clip", "sync", "text", "negative", "x0"})),
    ("vae_", networks.vae, frozenset({"z", "mel_in"})),
    ("bigvgan_", networks.bigvgan, frozenset({"mel"})),
    ("clip_pooled", networks.clip_pooled, frozenset()),
    ("clip", networks.clip, frozenset({"image"})),
    ("synchformer", networks.synchformer, frozenset({"frames"})),
    ("sync_head", networks.sync_head, frozenset({"waveform", "visual_features"})),
)
_TABLES = ("tokens", "sequence_lengths")
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def names(folder: Path = GOLDEN) -> list[str]:
    """Names of the goldens in ``folder`` that this package knows."""
    known = ("dit", "vae", "bigvgan", "clip", "synchformer", "sync_head")
    pattern = re.compile(rf"(tiny|full)_({'|'.join(known)})|mel_|media_|e2e_")
    found = [path.stem for path in folder.glob("*.safetensors") if pattern.match(path.stem)]
    return sorted(found) + [name for name in _TABLES if (folder / f"{name}.json").exists()]


def clip_of(name: str) -> str | None:
    """The clip that a media or end-to-end golden was made from."""
    if found := re.fullmatch(r"media_(.+)", name):
        return found[1]
    if found := re.fullmatch(
        r"e2e_(.+)_(?:small|medium|large)_\d+k(?:_v2)?_(?:plain|masked)", name
    ):
        return found[1]
    return None


def rows(
    name: str,
    folder: Path = GOLDEN,
    *,
    dtype: torch.dtype = torch.float32,
    clips: Mapping[str, Path] | None = None,
) -> Iterator[Row]:
    """The table's lines for a golden, as they are computed.

    A tensor of the golden that is neither an input nor compared is an error of its own line.
    """
    label = next((f"{name} [{short}]" for short, d in HALVES.items() if d == dtype), name)
    with torch.no_grad():
        for comparison in _comparisons(name, folder, dtype, clips or {}):
            yield comparison.row(label)


def _comparisons(
    name: str, folder: Path, dtype: torch.dtype, clips: Mapping[str, Path]
) -> Iterator[Comparison]:
    if name == "tokens":
        yield from _tokens(folder)
    elif name == "sequence_lengths":
        yield from _lengths(folder)
    elif clip_of(name):
        yield from _media(name, folder, clips)
    else:
        yield from _network(name, folder, dtype)


def _network(name: str, folder: Path, dtype: torch.dtype) -> Iterator[Comparison]:
    tensors, metadata = golden(name, folder)
    if name.startswith("mel_"):
        case = Case(tensors=tensors, metadata=metadata, weights={})
        yield from _complete(case, networks.mel, frozenset({"waveform"}))
        return
    size, part = name.split("_", 1)
    compare, inputs = next((c, i) for start, c, i in _NETWORKS if part.startswith(start))
    weights_of = tiny_weights if size == "tiny" else full_weights
    weights = weights_of(_weights_name(part), metadata.get("seed", 0))
    case = Case(tensors=tensors, metadata=metadata, weights=weights, dtype=dtype)
    yield from _complete(case, compare, inputs)


def _weights_name(part: str) -> str:
    return re.sub(r"_[\d.]+s$|_pooled$", "", part)


def _complete(case: Case, compare: Compare, inputs: frozenset[str]) -> Iterator[Comparison]:
    """The comparisons, none of the golden's outputs left out."""
    left = {name for name in case.tensors if not case.left_out(name)} - inputs
    for comparison in compare(case):
        left.discard(comparison.tensor)
        yield comparison
    for name in sorted(left):
        nothing = torch.full_like(case.tensors[name], torch.nan, dtype=torch.float32)
        yield Comparison(tensor=f"{name} (not compared)", got=nothing, expected=nothing)


def _media(name: str, folder: Path, clips: Mapping[str, Path]) -> Iterator[Comparison]:
    tensors, metadata = golden(name, folder)
    clip = clip_of(name)
    assert clip is not None
    video = clips[clip] if clip in clips else media.bikes()
    if name.startswith("media_"):
        yield from media.frames(tensors, metadata, video)
        return
    variant = name.removeprefix(f"e2e_{clip}_").rsplit("_", 1)[0]
    with TemporaryDirectory() as temporary:
        bundle = tiny_bundle(Path(temporary), variant, metadata["weight_seed"])
        yield from media.sound(tensors, metadata, video, bundle)


def _tokens(folder: Path) -> Iterator[Comparison]:
    cases = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
    got = tokenize([case["text"] for case in cases])
    yield exact(f"{len(cases)} texts", got, [case["tokens"] for case in cases])


def _lengths(folder: Path) -> Iterator[Comparison]:
    formats = {"16k": FORMAT_16K, "44k": FORMAT_44K}
    cases = json.loads((folder / "sequence_lengths.json").read_text())
    got = [sequence_lengths(case["duration"], formats[case["mode"]]) for case in cases]
    for length in ("latent", "clip", "sync", "samples"):
        yield exact(
            f"{length} of {len(cases)} durations",
            [getattr(lengths, length) for lengths in got],
            [case[length] for case in cases],
        )
