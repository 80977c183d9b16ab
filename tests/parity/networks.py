"""What each network makes of a golden's inputs, beside the golden's outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmaudio_core.audio.mel import log_mel, mel_filters
from mmaudio_core.audio.sync_mel import SEGMENT_SAMPLES, SEGMENT_STEP_SAMPLES, sync_mel
from mmaudio_core.checkpoint import PartKind
from mmaudio_core.config import FORMAT_16K, FORMAT_44K, sequence_lengths
from mmaudio_core.models.bigvgan import BigVGAN
from mmaudio_core.models.clip import CLIP
from mmaudio_core.models.clip.tokenizer import tokenize
from mmaudio_core.models.flow import FlowNetwork
from mmaudio_core.models.flow.conditions import Conditions
from mmaudio_core.models.synchformer import SyncHead, Synchformer
from mmaudio_core.models.vae import VAE
from mmaudio_core.sampling.euler import integrate_euler

from .build import build
from .comparison import FLOAT16, FLOAT32, HALF, Comparison, exact

_FEW_STEPS = 4  # float16 convolutions are slow on a CPU: 25 steps of a tiny network take minutes


@dataclass(frozen=True, kw_only=True)
class Case:
    """A golden, and the weights and arithmetic to meet it with."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    dtype: torch.dtype = torch.float32

    def given(self, name: str) -> Tensor:
        """An input, in the dtype to compute in."""
        return self.tensors[name].to(self.dtype)

    def left_out(self, name: str) -> bool:
        """Whether an output takes too long in this dtype."""
        found = re.search(r"_steps(\d+)_", name)
        return self.dtype == torch.float16 and found is not None and int(found[1]) > _FEW_STEPS

    def compare(self, name: str, got: Tensor) -> Comparison:
        limit = FLOAT32 if self.dtype == torch.float32 else HALF
        return Comparison(tensor=name, got=got, expected=self.tensors[name], limit=limit)


def flow(case: Case) -> Iterator[Comparison]:
    """Lengths, conditions, velocities and sampled latents."""
    network = build(PartKind.FLOW, case.weights, case.dtype)
    assert isinstance(network, FlowNetwork)
    duration, x0 = case.metadata["duration"], case.tensors["x0"]
    lengths = sequence_lengths(duration, network.params.audio)
    names = ("latent_seq_len", "clip_seq_len", "sync_seq_len")
    yield exact(
        "lengths",
        [lengths.latent, lengths.clip, lengths.sync],
        [case.metadata[name] for name in names],
    )
    batch = len(x0)
    positive = network.conditions(
        case.given("clip"), case.given("sync"), case.given("text"), lengths.latent
    )
    negative = network.conditions(
        network.empty_clip(batch, lengths.clip),
        network.empty_sync(batch, lengths.sync),
        case.given("negative"),
        lengths.latent,
    )
    if "cond.clip_f" in case.tensors:
        yield from _conditions(case, network, "cond", positive)
        yield from _conditions(case, network, "uncond", negative)
    for name in case.tensors:
        if case.left_out(name):
            continue
        if found := re.fullmatch(r"flow_t([\d.]+)", name):
            t = torch.full((batch,), float(found[1]))
            yield case.compare(name, network(x0.to(case.dtype), t, positive))
        elif found := re.fullmatch(r"x1_(steps(\d+)_cfg([\d.]+))", name):
            x1 = integrate_euler(
                network,
                x0,
                [positive],
                [negative],
                steps=int(found[2]),
                cfg=float(found[3]),
                dtype=case.dtype,
            )
            yield case.compare(name, x1)
            yield case.compare(f"latent_{found[1]}", network.unnormalize(x1))


def _conditions(
    case: Case, network: FlowNetwork, branch: str, got: Conditions
) -> Iterator[Comparison]:
    clip_mean = network.clip_cond_proj(got.clip.mean(dim=1))
    text_mean = network.text_cond_proj(got.text.mean(dim=1))
    yield case.compare(f"{branch}.clip_f", got.clip)
    yield case.compare(f"{branch}.sync_f", got.sync_rows[got.row_of_latent])
    yield case.compare(f"{branch}.text_f", got.text)
    yield case.compare(f"{branch}.clip_f_c", clip_mean)
    yield case.compare(f"{branch}.text_f_c", text_mean)
    both = case.tensors[f"{branch}.clip_f_c"] + case.tensors[f"{branch}.text_f_c"]
    limit = FLOAT32 if case.dtype == torch.float32 else HALF
    yield Comparison(tensor=f"{branch}.common", got=got.pooled, expected=both, limit=limit)


def vae(case: Case) -> Iterator[Comparison]:
    """Latents to mel, and mel to the moments of latents."""
    network = build(PartKind.VAE, case.weights, case.dtype)
    assert isinstance(network, VAE)
    yield case.compare("mel", network.decode(case.given("z")))
    mean, logvar = network.encode(case.given("mel_in"))
    yield case.compare("mean", mean)
    yield case.compare("logvar", logvar)


def bigvgan(case: Case) -> Iterator[Comparison]:
    """Mel to waveform."""
    network = build(PartKind.VOCODER, case.weights, case.dtype)
    assert isinstance(network, BigVGAN)
    yield case.compare("audio", network(case.given("mel")))


def clip(case: Case) -> Iterator[Comparison]:
    """Tokens, and what both towers make."""
    network = build(PartKind.CLIP, case.weights, case.dtype)
    assert isinstance(network, CLIP)
    tokens = tokenize(case.metadata["texts"])
    yield exact("tokens", tokens, case.tensors["tokens"])
    yield case.compare("image_features", network.encode_image(case.tensors["image"]))
    yield case.compare("text_features", network.encode_text(tokens))


def clip_pooled(case: Case) -> Iterator[Comparison]:
    """One feature a label."""
    network = build(PartKind.CLIP, case.weights, case.dtype)
    assert isinstance(network, CLIP)
    tokens = tokenize(case.metadata["labels"])
    yield exact("tokens", tokens, case.tensors["tokens"])
    yield case.compare("pooled", network.pooled_text(tokens))


def synchformer(case: Case) -> Iterator[Comparison]:
    """Frames, cut into segments that overlap by half, to sync features."""
    network = build(PartKind.SYNCHFORMER, case.weights, case.dtype)
    assert isinstance(network, Synchformer)
    segments = case.tensors["frames"][0].unfold(0, 16, 8).movedim(-1, 1)
    features = network.encode_segments(segments).flatten(0, 1)[None]
    yield case.compare("features", features)


def sync_head(case: Case) -> Iterator[Comparison]:
    """Waveform to mel, its features, and with those of the picture the logits of the offsets."""
    network = build(PartKind.SYNC_HEAD, case.weights, case.dtype)
    assert isinstance(network, SyncHead)
    waveform = case.tensors["waveform"].float()
    segments = waveform.unfold(1, SEGMENT_SAMPLES, SEGMENT_STEP_SAMPLES).flatten(0, 1)
    mel = sync_mel(segments)
    expected = case.tensors["mel"]
    rounded = FLOAT16 if expected.dtype == torch.float16 else FLOAT32
    yield Comparison(tensor="mel", got=mel[None], expected=expected, limit=rounded)
    audio = network.encode_segments(mel)
    yield case.compare("audio_features", audio[None])
    visual = case.given("visual_features").flatten(1, 2)
    yield case.compare("logits", network.offset_logits(visual, audio.flatten(0, 1)[None]))


def mel(case: Case) -> Iterator[Comparison]:
    """Waveform to mel, and the filters; float32 alone, there are no weights."""
    fmt = FORMAT_16K if case.metadata["mode"] == "16k" else FORMAT_44K
    top = 8000.0 if fmt is FORMAT_16K else 22050.0
    yield case.compare("mel_basis", mel_filters(fmt.sample_rate, 4 * fmt.hop, fmt.mels, top))
    yield case.compare("mel", log_mel(case.tensors["waveform"], fmt))
