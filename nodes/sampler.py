"""MMAudioSampler: from features to sound, through ComfyUI's samplers."""

from __future__ import annotations

import comfy.samplers
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..mmaudio_core.codec.decode import VAE_STAGE, VOCODER_STAGE, decode
from ..mmaudio_core.features.types import Features
from ..mmaudio_core.sampling.euler import SAMPLING_STAGE
from .comfy_sampling import LINEAR, sample, schedulers
from .conditioning import conditioning
from .feedback import NodeProgress
from .latents import Latent, empty
from .model_manager import ComfyModels
from .types import CATEGORY, MMAudio, MMAudioFeatures


class MMAudioSampler(io.ComfyNode):
    """Samples the flow and decodes it; takes of a batch have consecutive seeds."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioSampler",
            display_name="MMAudio Sampler",
            category=CATEGORY,
            description="Makes the sound, as long as the features say, at the model's own rate.",
            inputs=[
                MMAudio.Input("mmaudio"),
                MMAudioFeatures.Input("features"),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Decides the noise it starts from; take k uses seed + k.",
                ),
                io.Int.Input(
                    "steps", default=25, min=1, max=200, tooltip="More is slower and finer."
                ),
                io.Float.Input(
                    "cfg",
                    default=4.5,
                    min=0.0,
                    max=20.0,
                    step=0.1,
                    tooltip="How closely to follow picture and prompt; below 1: no guidance.",
                ),
                io.Int.Input(
                    "num_samples",
                    default=1,
                    min=1,
                    max=16,
                    tooltip="Takes to make at once; choose one in MuxAudioVideo.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="A patched model (LoRA, compiled, ...) in place of the bundle's own.",
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip=(
                        "Start from this sound (MMAudio Encode, or an earlier result) instead of "
                        "noise alone; with denoise below 1 it is kept in part."
                    ),
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="How much of the latent to make anew; 1: all of it.",
                ),
                io.Combo.Input(
                    "sampler_name",
                    options=list(comfy.samplers.KSampler.SAMPLERS),
                    default="euler",
                    optional=True,
                    tooltip="euler is the authors'.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=schedulers(),
                    default=LINEAR,
                    optional=True,
                    tooltip="linear is the authors': equal steps, whatever their number.",
                ),
            ],
            outputs=[io.Audio.Output(display_name="audio")],
        )

    @classmethod
    def execute(
        cls,
        mmaudio: ComfyModels,
        features: Features,
        seed: int,
        steps: int,
        cfg: float,
        num_samples: int,
        model: ModelPatcher | None = None,
        latent: Latent | None = None,
        denoise: float = 1.0,
        sampler_name: str = "euler",
        scheduler: str = LINEAR,
    ) -> io.NodeOutput:
        progress = NodeProgress({SAMPLING_STAGE: 16, VAE_STAGE: 1, VOCODER_STAGE: 4})
        fmt = mmaudio.params.audio
        positive, negative = conditioning(features)
        samples = sample(
            model or mmaudio.model,
            positive,
            negative,
            latent or empty(features.duration, fmt),
            range(seed, seed + num_samples),
            steps=steps,
            cfg=cfg,
            denoise=denoise,
            sampler_name=sampler_name,
            scheduler=scheduler,
            progress=progress,
        )
        waveform = decode(mmaudio, samples[:, 0], features.duration, progress)
        return io.NodeOutput({"waveform": waveform, "sample_rate": fmt.sample_rate})
