"""The published code at a checkout, called as its own inference script (demo.py) does."""

# pyright: reportMissingImports=false

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

from mmaudio_core.checkpoint import PartKind

from ..clock import Clock
from ..inputs import Inputs
from ..job import NEGATIVE_PROMPT, PROMPT
from ..stages import Stage
from ..weights import BIGVGAN_FOLDER, TINY, weights_file
from . import DTYPES, PUBLISHED, CannotRunError, Run

_ENCODING = {Stage.CLIP, Stage.SYNCHFORMER, Stage.CONDITIONS, Stage.TOTAL}
_FLOW = {Stage.CONDITIONS, Stage.SAMPLER, Stage.TOTAL}
_DECODING = {Stage.VAE, Stage.VOCODER, Stage.TOTAL}
_BATCH = 40  # frames and segments per batch: the defaults of its generate()
_CLIP_MODEL = "ViT-H-14-378-quickgelu"  # open_clip's name for that of DFN5B-CLIP-ViT-H-14-384


class Published:
    """The stages, each on the seeded inputs. Only file paths are changed in the checkout's code."""

    def __init__(self, inputs: Inputs) -> None:
        job = inputs.job
        if job.reference is None or not (job.reference / "mmaudio").is_dir():
            raise CannotRunError(f"no folder mmaudio in {job.reference}: give a checkout of it")
        if job.variant == TINY:
            raise CannotRunError("the published code has no tiny variant: choose another one")
        sys.path.insert(0, str(job.reference))
        logging.getLogger().setLevel(logging.ERROR)
        # as in its inference script
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        self._job = job
        self._inputs = inputs
        self._mode = job.variant.split("_")[1]
        self._device, self._dtype = torch.device(job.device), DTYPES[job.compared_precision]
        self._net: Any = None
        self._utils: Any = None

    def load(self, stages: Collection[Stage]) -> None:
        self._use_local_files()
        import mmaudio.eval_utils  # noqa: F401 (its script's imports are part of loading)

        if _FLOW & set(stages):
            self._net = self._load_net()
        encoders, decoders = bool(_ENCODING & set(stages)), bool(_DECODING & set(stages))
        if encoders or decoders:
            self._utils = self._load_utils(encoders=encoders, decoders=decoders)

    def prepare(self, stage: Stage) -> Run:
        run = {
            Stage.MEDIA: lambda: self._media,
            Stage.CLIP: self._clip,
            Stage.SYNCHFORMER: self._synchformer,
            Stage.CONDITIONS: self._conditions,
            Stage.SAMPLER: self._sampler,
            Stage.VAE: self._vae,
            Stage.VOCODER: self._vocoder,
            Stage.MUX: self._mux,
            Stage.TOTAL: self._total,
        }[stage]
        return _without_gradients(run())

    def _load_net(self) -> Any:
        from mmaudio.model.networks import get_my_mmaudio
        from mmaudio.model.sequence_config import CONFIG_16K, CONFIG_44K

        net = get_my_mmaudio(self._job.variant).to(self._device, self._dtype).eval()
        path = self._path(PartKind.FLOW)
        net.load_weights(torch.load(path, map_location=self._device, weights_only=True))
        lengths = CONFIG_16K if self._mode == "16k" else CONFIG_44K
        lengths.duration = self._job.seconds
        net.update_seq_lengths(lengths.latent_seq_len, lengths.clip_seq_len, lengths.sync_seq_len)
        return net

    def _load_utils(self, *, encoders: bool, decoders: bool) -> Any:
        from mmaudio.model.utils.features_utils import FeaturesUtils

        utils = FeaturesUtils(
            tod_vae_ckpt=self._path(PartKind.VAE) if decoders else None,
            synchformer_ckpt=self._path(PartKind.SYNCHFORMER),
            enable_conditions=encoders,
            mode=self._mode,
            bigvgan_vocoder_ckpt=self._path(PartKind.VOCODER) if self._mode == "16k" else None,
            need_vae_encoder=False,
        )
        return utils.to(self._device, self._dtype).eval()

    def _use_local_files(self) -> None:
        """Load what it would download from the hub from the job's files."""
        import open_clip
        from mmaudio.ext.bigvgan_v2.bigvgan import BigVGAN

        create: Callable[..., Any] = open_clip.create_model_from_pretrained
        from_pretrained: Callable[..., Any] = BigVGAN.from_pretrained
        clip, vocoder = self._path(PartKind.CLIP), str(self._job.weights / BIGVGAN_FOLDER)

        def create_from_file(_name: str, **options: Any) -> Any:
            return create(_CLIP_MODEL, pretrained=clip, **options)

        def from_folder(_name: str, **options: Any) -> Any:
            return from_pretrained(vocoder, **options)

        open_clip.create_model_from_pretrained = create_from_file
        BigVGAN.from_pretrained = from_folder

    def _media(self, _clock: Clock) -> None:
        self._load_video()

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
        clip, sync = self._to_device(self._inputs.clip), self._to_device(self._inputs.sync)

        def run(_clock: Clock) -> Tensor:
            text = self._utils.encode_text([PROMPT])
            negative = self._utils.encode_text([NEGATIVE_PROMPT])
            self._project(clip, sync, text, negative)
            return torch.cat((text, negative))

        return run

    def _sampler(self) -> Run:
        inputs, job, flow = self._inputs, self._job, self._flow_matching()
        clip, sync, text = map(self._to_device, (inputs.clip, inputs.sync, inputs.text))
        with torch.inference_mode():
            positive, negative = self._project(clip, sync, text[:1], text[1:])

        def run(_clock: Clock) -> Tensor:
            # normalize() and unnormalize() work in place
            noise = inputs.noise.to(self._device, self._dtype, copy=True)
            latents = flow.to_data(
                lambda t, x: self._net.ode_wrapper(t, x, positive, negative, job.cfg), noise
            )
            return self._net.unnormalize(latents)

        return run

    def _vae(self) -> Run:
        latents = self._to_device(self._inputs.latents)

        def run(_clock: Clock) -> None:
            self._utils.decode(latents)

        return run

    def _vocoder(self) -> Run:
        with torch.inference_mode():
            mel = self._utils.decode(self._to_device(self._inputs.latents))
        samples = self._inputs.waveform.shape[-1]
        return lambda _clock: self._utils.vocode(mel).float().cpu()[..., :samples]

    def _mux(self) -> Run:
        video, waveform = self._load_video(), self._inputs.waveform
        return lambda _clock: self._write(video, waveform)

    def _total(self) -> Run:
        from mmaudio.eval_utils import generate

        job, flow = self._job, self._flow_matching()

        def run(_clock: Clock) -> None:
            video = self._load_video()
            audio = generate(
                video.clip_frames[None].expand(job.takes, -1, -1, -1, -1),
                video.sync_frames[None].expand(job.takes, -1, -1, -1, -1),
                [PROMPT] * job.takes,
                negative_text=[NEGATIVE_PROMPT] * job.takes,
                feature_utils=self._utils,
                net=self._net,
                fm=flow,
                rng=torch.Generator(device=self._device).manual_seed(job.seed),
                cfg_strength=job.cfg,
            )
            self._write(video, audio.float().cpu()[0])

        return run

    def _load_video(self) -> Any:
        from mmaudio.eval_utils import load_video

        return load_video(self._job.video, self._job.seconds)

    def _write(self, video: Any, waveform: Tensor) -> None:
        from mmaudio.eval_utils import make_video

        rate = self._inputs.flow.audio.sample_rate
        make_video(video, self._job.out / f"{PUBLISHED}.mp4", waveform, sampling_rate=rate)

    def _flow_matching(self) -> Any:
        from mmaudio.model.flow_matching import FlowMatching

        return FlowMatching(min_sigma=0, inference_mode="euler", num_steps=self._job.steps)

    def _project(self, clip: Tensor, sync: Tensor, text: Tensor, negative: Tensor) -> Any:
        """Its conditions with and without guidance, for features that all takes share."""
        takes = self._job.takes
        positive = self._net.preprocess_conditions(
            *(x.expand(takes, -1, -1) for x in (clip, sync, text))
        )
        empty = self._net.get_empty_conditions(
            takes, negative_text_features=negative.expand(takes, -1, -1)
        )
        return positive, empty

    def _path(self, kind: PartKind) -> str:
        return str(self._job.weights / weights_file(kind, self._job.variant))

    def _to_device(self, x: Tensor) -> Tensor:
        return x.to(self._device, self._dtype)


def _without_gradients(run: Run) -> Run:
    def inference(clock: Clock) -> Tensor | None:
        with torch.inference_mode():
            return run(clock)

    return inference
