"""This pack's core, through its public functions, as the nodes call them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from mmaudio_core.checkpoint import Bundle, Catalog, PartKind, load_part
from mmaudio_core.codec.decode import VAE_STAGE, VOCODER_STAGE, decode
from mmaudio_core.config import SEGMENT_FRAMES, SEGMENT_TOKENS
from mmaudio_core.features.text import encode_prompts
from mmaudio_core.features.types import Features
from mmaudio_core.features.video import encode_video
from mmaudio_core.features.visual import TimeRange, VideoClip, extract_visual_features
from mmaudio_core.media import FrameReader
from mmaudio_core.media.reader import FrameChunk
from mmaudio_core.models.flow import FlowParams
from mmaudio_core.models.synchformer import Synchformer, SynchformerParams
from mmaudio_core.mux import mux_audio
from mmaudio_core.providers import LoadedModel, ModelProvider
from mmaudio_core.sampling.sample import project_features, sample
from mmaudio_core.sampling.windows import WindowParams, plan_windows

from ..clock import Clock
from ..inputs import Inputs
from ..job import NEGATIVE, PROMPT, Job
from ..stages import Stage
from ..weights import file_of
from .side import Run

NEEDS: Mapping[Stage, tuple[PartKind, ...]] = {
    Stage.MEDIA: (),
    Stage.CLIP: (PartKind.CLIP,),
    Stage.SYNCHFORMER: (PartKind.SYNCHFORMER,),
    Stage.CONDITIONS: (PartKind.CLIP, PartKind.FLOW),
    Stage.SAMPLER: (PartKind.FLOW,),
    Stage.VAE: (PartKind.VAE, PartKind.VOCODER),
    Stage.VOCODER: (PartKind.VAE, PartKind.VOCODER),
    Stage.MUX: (),
    Stage.TOTAL: tuple(PartKind),
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_DECODERS = (PartKind.VAE, PartKind.VOCODER)


class Ours:
    """The stages, each on the job's inputs."""

    def __init__(self, job: Job) -> None:
        self._job = job
        files = {kind: job.folder / file_of(kind, job.variant) for kind in PartKind}
        parts = Catalog([(path.name, path) for path in files.values()])
        bundle = parts.bundle(files[PartKind.FLOW].name, dtype=torch.float32)
        self._networks = _Networks(job, bundle)
        self._inputs = Inputs(job=job, flow=bundle.params)

    def load(self, stages: Sequence[Stage]) -> None:
        for kind in PartKind:
            if any(kind in NEEDS[stage] for stage in stages):
                self._networks.acquire(kind, 0)

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
            Stage.TOTAL: self._total,
        }[stage]()

    def _media(self) -> Run:
        def run(_clock: Clock) -> None:
            for _ in FrameReader(Path(self._job.video), duration=self._job.duration):
                pass

        return run

    def _clip(self) -> Run:
        frames, duration = self._inputs.clip_frames, self._job.duration
        # an encoder of next to no size takes the place of the other one
        networks = _Instead(self._networks, PartKind.SYNCHFORMER, _small_synchformer())
        sync = self._inputs.sync_frames[:SEGMENT_FRAMES]

        def run(_clock: Clock) -> Tensor | None:
            chunk = FrameChunk(clip=frames, sync=sync)
            return encode_video(networks, _reader(chunk, duration), duration).clip

        return run

    def _synchformer(self) -> Run:
        frames, duration = self._inputs.sync_frames, self._job.duration

        def run(_clock: Clock) -> Tensor | None:
            chunk = FrameChunk(clip=self._inputs.clip_frames[:0], sync=frames)
            return encode_video(self._networks, _reader(chunk, duration), duration).sync

        return run

    def _conditions(self) -> Run:
        def run(_clock: Clock) -> Tensor:
            text = encode_prompts(self._networks, PROMPT, NEGATIVE)
            placed = self._networks.acquire(PartKind.FLOW, 0)
            lengths = self._inputs.lengths
            plan = plan_windows(
                lengths, self._job.duration, self._networks.params.audio, WindowParams()
            )
            with torch.no_grad():
                project_features(placed, self._features(), lengths, plan)
            return torch.cat((text.prompt, text.negative))

        return run

    def _sampler(self) -> Run:
        features = self._features()

        def run(_clock: Clock) -> Tensor:
            return self._sample(features)

        return run

    def _vae(self) -> Run:
        latents = self._inputs.latents

        def run(clock: Clock) -> None:
            # decode() does both; progress tells where the VAE is done, and may cancel there
            with contextlib.suppress(_VAEDone):
                self._decode(latents, after_vae=_stop)
            clock.stop()

        return run

    def _vocoder(self) -> Run:
        latents = self._inputs.latents

        def run(clock: Clock) -> Tensor:
            return self._decode(latents, after_vae=clock.start)

        return run

    def _mux(self) -> Run:
        waveform = self._inputs.waveform

        def run(_clock: Clock) -> None:
            self._write(waveform)

        return run

    def _total(self) -> Run:
        def run(_clock: Clock) -> None:
            job, networks = self._job, self._networks
            seen = extract_visual_features(
                networks, VideoClip(source=Path(job.video)), TimeRange(duration=job.duration)
            )
            text = encode_prompts(networks, PROMPT, NEGATIVE)
            latents = self._sample(Features.join(seen.features, text))
            self._write(decode(networks, latents, seen.features.duration)[0])

        return run

    def _features(self) -> Features:
        i = self._inputs
        return Features(
            duration=self._job.duration,
            clip=i.clip,
            sync=i.sync,
            text=i.text[:1],
            negative=i.text[1:],
        )

    def _sample(self, features: Features) -> Tensor:
        job = self._job
        return sample(self._networks, features, job.seeds, steps=job.steps, cfg=job.cfg)

    def _decode(self, latents: Tensor, *, after_vae: Callable[[], object]) -> Tensor:
        told: list[str] = []

        def progress(stage: str, done: int, total: int, /) -> None:
            if (stage == VOCODER_STAGE or done == total > 0) and not told:
                assert stage in (VAE_STAGE, VOCODER_STAGE)
                told.append(stage)
                after_vae()

        return decode(self._networks, latents, self._job.duration, progress)

    def _write(self, waveform: Tensor) -> None:
        stem = Path(self._job.out) / "ours"
        mux_audio(Path(self._job.video), waveform, self._networks.params.audio.sample_rate, stem)


class _VAEDone(Exception):
    """Leaves ``decode`` where the vocoder would begin."""


def _stop() -> None:
    raise _VAEDone


class _Networks:
    """A bundle's networks on one device: decoders in a precision of their own, as in the nodes."""

    def __init__(self, job: Job, bundle: Bundle) -> None:
        self._job = job
        self._bundle = bundle
        self._placed: dict[PartKind, LoadedModel] = {}

    @property
    def params(self) -> FlowParams:
        return self._bundle.params

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        return DTYPES[self._job.decoders if kind in _DECODERS else self._job.precision]

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        if kind not in self._placed:
            part = self._bundle.parts[kind]
            dtype = self.compute_dtype(kind)
            device = torch.device(self._job.device)
            network = load_part(part, dtype=dtype, device=device)
            self._placed[kind] = LoadedModel(
                network=network, device=device, dtype=dtype, name=part.path.name
            )
        return self._placed[kind]


@dataclass(frozen=True)
class _Instead:
    """Networks with one replaced."""

    networks: ModelProvider
    kind: PartKind
    network: Synchformer

    @property
    def params(self) -> FlowParams:
        return self.networks.params

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        return self.networks.compute_dtype(kind)

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        if kind is not self.kind:
            return self.networks.acquire(kind, activation_bytes)
        cpu = torch.device("cpu")
        return LoadedModel(network=self.network, device=cpu, dtype=torch.float32, name="none")


@dataclass(frozen=True)
class _Frames:
    """Frames that are there already, where a ``FrameReader`` is expected."""

    chunk: FrameChunk
    duration: Fraction

    def __iter__(self) -> Iterator[FrameChunk]:
        yield self.chunk


def _reader(chunk: FrameChunk, duration: Fraction) -> FrameReader:
    return cast(FrameReader, _Frames(chunk, duration))


def _small_synchformer() -> Synchformer:
    params = SynchformerParams(
        width=64, layers=1, times=SEGMENT_TOKENS, places=196, tube=2, patch=16
    )
    network = Synchformer(params)
    for parameter in network.parameters():
        parameter.detach().zero_()
    return network.eval().requires_grad_(False)
