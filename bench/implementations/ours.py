"""This pack's core, through the public functions that the nodes call."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mmaudio_core.checkpoint import MODEL_PARTS, PartKind
from mmaudio_core.codec.decode import decode
from mmaudio_core.config import SEGMENT_FRAMES, SEGMENT_STEP
from mmaudio_core.feature_cache import FeatureCache
from mmaudio_core.features.encoders import CLIP_IMAGE, SYNCHFORMER, run_encoder
from mmaudio_core.features.text import encode_prompts
from mmaudio_core.features.types import Features
from mmaudio_core.features.visual import TimeRange, VideoClip
from mmaudio_core.media import FrameReader
from mmaudio_core.models.flow import FlowParams
from mmaudio_core.mux import mux_audio
from mmaudio_core.pipeline import generate_audio
from mmaudio_core.providers import CachedModels, LoadedModel, ModelProvider
from mmaudio_core.sampling.sample import project_features, sample
from mmaudio_core.sampling.windows import WindowParams, plan_windows

from ..clock import Clock
from ..inputs import Inputs
from ..job import NEGATIVE_PROMPT, PROMPT
from ..stages import Stage
from ..weights import open_bundle
from . import DTYPES, OURS, Run

_DECODERS = (PartKind.VAE, PartKind.VOCODER)
_NETWORKS: dict[Stage, tuple[PartKind, ...]] = {
    Stage.MEDIA: (),
    Stage.CLIP: (PartKind.CLIP,),
    Stage.SYNCHFORMER: (PartKind.SYNCHFORMER,),
    Stage.CONDITIONS: (PartKind.CLIP, PartKind.FLOW),
    Stage.SAMPLER: (PartKind.FLOW,),
    Stage.VAE: _DECODERS,
    Stage.VOCODER: _DECODERS,
    Stage.MUX: (),
    Stage.TOTAL: MODEL_PARTS,
}


class Ours:
    """The stages, each on the seeded inputs."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._job = inputs.job
        self._models = _Models(inputs)

    def load(self, stages: Collection[Stage]) -> None:
        for kind in MODEL_PARTS:
            if any(kind in _NETWORKS[stage] for stage in stages):
                self._models.acquire(kind, 0)

    def prepare(self, stage: Stage) -> Run:
        return {
            Stage.MEDIA: self._media,
            Stage.CLIP: self._clip,
            Stage.SYNCHFORMER: self._synchformer,
            Stage.CONDITIONS: self._conditions,
            Stage.SAMPLER: self._sampler,
            Stage.VAE: self._vae,
            Stage.VOCODER: self._vocoder,
            Stage.MUX: self._mux,
            Stage.TOTAL: lambda: self._total,
        }[stage]()

    def _media(self) -> Run:
        def run(_clock: Clock) -> None:
            for _ in FrameReader(self._job.video, duration=self._job.duration):
                pass

        return run

    def _clip(self) -> Run:
        frames = self._inputs.clip_frames
        return lambda _clock: run_encoder(self._models, CLIP_IMAGE, frames).features[None]

    def _synchformer(self) -> Run:
        frames = self._inputs.sync_frames

        def run(_clock: Clock) -> Tensor:
            segments = frames.unfold(0, SEGMENT_FRAMES, SEGMENT_STEP).movedim(-1, 1).contiguous()
            tokens = run_encoder(self._models, SYNCHFORMER, segments).features
            return tokens.flatten(0, 1)[None]

        return run

    def _conditions(self) -> Run:
        lengths, duration = self._inputs.lengths, self._job.duration
        features = self._features()
        windows = plan_windows(lengths, duration, self._models.params.audio, WindowParams())

        def run(_clock: Clock) -> Tensor:
            text = encode_prompts(self._models, PROMPT, NEGATIVE_PROMPT)
            with torch.no_grad():
                project_features(self._models.acquire(PartKind.FLOW, 0), features, lengths, windows)
            return torch.cat((text.prompt, text.negative))

        return run

    def _sampler(self) -> Run:
        features = self._features()
        return lambda _clock: self._sample(features)

    def _vae(self) -> Run:
        latents = self._inputs.latents

        def leave() -> None:
            raise _VAEDone

        def run(_clock: Clock) -> None:
            try:
                decode(_AtVocoder(self._models, leave), latents, self._job.duration)
            except _VAEDone:
                return

        return run

    def _vocoder(self) -> Run:
        latents = self._inputs.latents
        return lambda clock: decode(
            _AtVocoder(self._models, clock.start), latents, self._job.duration
        )

    def _mux(self) -> Run:
        waveform = self._inputs.waveform
        return lambda _clock: self._write(waveform)

    def _total(self, _clock: Clock) -> None:
        job = self._job
        waveforms = generate_audio(
            self._models,
            VideoClip(source=job.video),
            TimeRange(duration=job.duration),
            job.seeds,
            prompt=PROMPT,
            negative_prompt=NEGATIVE_PROMPT,
            steps=job.steps,
            cfg=job.cfg,
        )
        self._write(waveforms[0])

    def _features(self) -> Features:
        inputs = self._inputs
        return Features(
            duration=self._job.duration,
            clip=inputs.clip,
            sync=inputs.sync,
            text=inputs.text[:1],
            negative=inputs.text[1:],
        )

    def _sample(self, features: Features) -> Tensor:
        job = self._job
        return sample(self._models, features, job.seeds, steps=job.steps, cfg=job.cfg)

    def _write(self, waveform: Tensor) -> None:
        rate = self._models.params.audio.sample_rate
        mux_audio(Path(self._job.video), waveform, rate, self._job.out / OURS)


class _Models:
    """A bundle's networks on one device, the decoders in their own precision as in the nodes."""

    def __init__(self, inputs: Inputs) -> None:
        job, device = inputs.job, torch.device(inputs.job.device)
        bundle = open_bundle(job.weights, job.variant)
        self.params: FlowParams = bundle.params
        self.feature_cache = FeatureCache(0)  # every round encodes anew
        self._decoders = CachedModels(bundle=bundle, device=device, dtype=DTYPES[job.decoders])
        self._others = CachedModels(bundle=bundle, device=device, dtype=DTYPES[job.precision])

    def fingerprint(self, kind: PartKind) -> str:
        return kind.value

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        return self._holding(kind).compute_dtype(kind)

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        return self._holding(kind).acquire(kind, activation_bytes)

    def _holding(self, kind: PartKind) -> CachedModels:
        return self._decoders if kind in _DECODERS else self._others


class _VAEDone(Exception):
    """Leaves ``decode`` before the vocoder."""


@dataclass(frozen=True)
class _AtVocoder:
    """Models that call ``action`` when ``decode`` goes on from the VAE to the vocoder."""

    models: ModelProvider
    action: Callable[[], None]

    @property
    def params(self) -> FlowParams:
        return self.models.params

    @property
    def feature_cache(self) -> FeatureCache:
        return self.models.feature_cache

    def fingerprint(self, kind: PartKind) -> str:
        return self.models.fingerprint(kind)

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        return self.models.compute_dtype(kind)

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        if kind is PartKind.VOCODER:
            self.action()
        return self.models.acquire(kind, activation_bytes)
