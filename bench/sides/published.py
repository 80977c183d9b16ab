"""The authors' code at a checkout, as its own inference script (demo.py) calls it."""

# pyright: reportMissingImports=false

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmaudio_core.checkpoint import VARIANTS, PartKind

from ..clock import Clock
from ..inputs import Inputs
from ..job import NEGATIVE, PROMPT, Job
from ..stages import Stage
from ..weights import NVIDIA, TINY, file_of
from .side import CannotRunError, Run

_FEATURES = {Stage.CLIP, Stage.SYNCHFORMER, Stage.CONDITIONS}
_FLOW = {Stage.CONDITIONS, Stage.SAMPLER}
_DECODING = {Stage.VAE, Stage.VOCODER}
_BATCH = 40  # frames, and segments, at once: the defaults of its generate()
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_ARCHITECTURE = "ViT-H-14-378-quickgelu"  # open_clip's name for that of DFN5B-CLIP-ViT-H-14-384


class Published:
    """The stages, each on the job's inputs. The code is the checkout's; only paths are ours."""

    def __init__(self, job: Job) -> None:
        if job.reference is None or not (Path(job.reference) / "mmaudio").is_dir():
            raise CannotRunError(f"{job.reference} holds no folder mmaudio: name a checkout of it")
        if job.variant == TINY:
            raise CannotRunError("the published code has no tiny variant: choose another")
        sys.path.insert(0, job.reference)
        logging.getLogger().setLevel(logging.ERROR)
        # as its inference script does
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        self._job = job
        self._device, self._dtype = torch.device(job.device), _DTYPES[job.compared_precision]
        self._inputs = Inputs(job=job, flow=VARIANTS[job.variant].params)
        self._net: Any = None
        self._utils: Any = None

    def load(self, stages: Sequence[Stage]) -> None:
        self._redirect()
        import mmaudio.eval_utils  # noqa: F401 (its script's imports are part of loading)

        wanted = set(stages)
        whole = Stage.TOTAL in wanted
        if whole or wanted & _FLOW:
            self._net = self._load_net()
        if whole or wanted & (_FEATURES | _DECODING):
            self._utils = self._load_utils(
                conditions=whole or bool(wanted & _FEATURES),
                decoders=whole or bool(wanted & _DECODING),
            )

    def prepare(self, stage: Stage) -> Run:
        made = {
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

        def run(clock: Clock) -> Tensor | None:
            with torch.inference_mode():
                return made(clock)

        return run

    def _load_net(self) -> Any:
        from mmaudio.model.networks import get_my_mmaudio

        net = get_my_mmaudio(self._job.variant).to(self._device, self._dtype).eval()
        path = self._file(PartKind.FLOW)
        net.load_weights(torch.load(path, map_location=self._device, weights_only=True))
        config = self._lengths()
        net.update_seq_lengths(config.latent_seq_len, config.clip_seq_len, config.sync_seq_len)
        return net

    def _load_utils(self, *, conditions: bool, decoders: bool) -> Any:
        from mmaudio.model.utils.features_utils import FeaturesUtils

        mode = self._mode
        vae = str(self._file(PartKind.VAE)) if decoders else None
        vocoder = str(self._file(PartKind.VOCODER)) if mode == "16k" else None
        utils = FeaturesUtils(
            tod_vae_ckpt=vae,
            synchformer_ckpt=str(self._file(PartKind.SYNCHFORMER)),
            enable_conditions=conditions,
            mode=mode,
            bigvgan_vocoder_ckpt=vocoder,
            need_vae_encoder=False,
        )
        return utils.to(self._device, self._dtype).eval()

    def _redirect(self) -> None:
        """Let what it would download from the hub come from the job's files."""
        import open_clip
        from mmaudio.ext.bigvgan_v2.bigvgan import BigVGAN

        create = open_clip.create_model_from_pretrained
        clip, vocoder = str(self._file(PartKind.CLIP)), str(self._job.folder / NVIDIA)

        def create_local(_name: str, **options: Any) -> Any:
            return create(_ARCHITECTURE, pretrained=clip, **options)

        open_clip.create_model_from_pretrained = create_local
        from_pretrained: Callable[..., Any] = BigVGAN.from_pretrained

        def from_local(_name: str, **options: Any) -> Any:
            return from_pretrained(vocoder, **options)

        BigVGAN.from_pretrained = from_local

    def _media(self) -> Run:
        def run(_clock: Clock) -> None:
            self._load_video()

        return run

    def _clip(self) -> Run:
        frames = self._inputs.clip_frames[None].float() / 255

        def run(_clock: Clock) -> Tensor:
            x = frames.to(self._device, self._dtype, non_blocking=True)
            return self._utils.encode_video_with_clip(x, batch_size=_BATCH)

        return run

    def _synchformer(self) -> Run:
        frames = self._inputs.sync_frames[None].float() / 127.5 - 1

        def run(_clock: Clock) -> Tensor:
            x = frames.to(self._device, self._dtype, non_blocking=True)
            return self._utils.encode_video_with_sync(x, batch_size=_BATCH)

        return run

    def _conditions(self) -> Run:
        takes = self._job.takes
        clip, sync = self._place(self._inputs.clip), self._place(self._inputs.sync)

        def run(_clock: Clock) -> Tensor:
            text = self._utils.encode_text([PROMPT])
            negative = self._utils.encode_text([NEGATIVE])
            self._project(clip, sync, text, negative, takes)
            return torch.cat((text, negative))

        return run

    def _sampler(self) -> Run:
        from mmaudio.model.flow_matching import FlowMatching

        i, job = self._inputs, self._job
        text = self._place(i.text)
        with torch.inference_mode():
            positive, negative = self._project(
                self._place(i.clip), self._place(i.sync), text[:1], text[1:], job.takes
            )
        flow = FlowMatching(min_sigma=0, inference_mode="euler", num_steps=job.steps)

        def run(_clock: Clock) -> Tensor:
            # normalize() and unnormalize() work in place
            noise = i.noise.to(self._device, self._dtype, copy=True)
            latents = flow.to_data(
                lambda t, x: self._net.ode_wrapper(t, x, positive, negative, job.cfg), noise
            )
            return self._net.unnormalize(latents)

        return run

    def _vae(self) -> Run:
        latents = self._place(self._inputs.latents)

        def run(_clock: Clock) -> None:
            self._utils.decode(latents)

        return run

    def _vocoder(self) -> Run:
        with torch.inference_mode():
            mel = self._utils.decode(self._place(self._inputs.latents))

        def run(_clock: Clock) -> Tensor:
            samples = round(self._job.duration * self._inputs.flow.audio.sample_rate)
            return self._utils.vocode(mel).float().cpu()[..., :samples]

        return run

    def _mux(self) -> Run:
        video, waveform = self._load_video(), self._inputs.waveform

        def run(_clock: Clock) -> None:
            self._make_video(video, waveform)

        return run

    def _total(self) -> Run:
        from mmaudio.eval_utils import generate
        from mmaudio.model.flow_matching import FlowMatching

        job = self._job
        flow = FlowMatching(min_sigma=0, inference_mode="euler", num_steps=job.steps)

        def run(_clock: Clock) -> None:
            video = self._load_video()
            takes = job.takes
            audio = generate(
                video.clip_frames[None].expand(takes, -1, -1, -1, -1),
                video.sync_frames[None].expand(takes, -1, -1, -1, -1),
                [PROMPT] * takes,
                negative_text=[NEGATIVE] * takes,
                feature_utils=self._utils,
                net=self._net,
                fm=flow,
                rng=torch.Generator(device=self._device).manual_seed(job.seed),
                cfg_strength=job.cfg,
            )
            self._make_video(video, audio.float().cpu()[0])

        return run

    def _load_video(self) -> Any:
        from mmaudio.eval_utils import load_video

        return load_video(Path(self._job.video), self._job.seconds)

    def _make_video(self, video: Any, waveform: Tensor) -> None:
        from mmaudio.eval_utils import make_video

        path = Path(self._job.out) / "published.mp4"
        make_video(video, path, waveform, sampling_rate=self._inputs.flow.audio.sample_rate)

    def _project(
        self, clip: Tensor, sync: Tensor, text: Tensor, negative: Tensor, takes: int
    ) -> tuple[Any, Any]:
        """Its conditions of both branches; features come once and are repeated for the takes."""
        positive = self._net.preprocess_conditions(
            *(x.expand(takes, -1, -1) for x in (clip, sync, text))
        )
        empty = self._net.get_empty_conditions(
            takes, negative_text_features=negative.expand(takes, -1, -1)
        )
        return positive, empty

    def _lengths(self) -> Any:
        from mmaudio.model.sequence_config import CONFIG_16K, CONFIG_44K

        config = CONFIG_16K if self._mode == "16k" else CONFIG_44K
        config.duration = self._job.seconds
        return config

    @property
    def _mode(self) -> str:
        return self._job.variant.split("_")[1]

    def _file(self, kind: PartKind) -> Path:
        return self._job.folder / file_of(kind, self._job.variant)

    def _place(self, x: Tensor) -> Tensor:
        return x.to(self._device, self._dtype)
