"""MMAudioSampler: from features to sound."""

from __future__ import annotations

from comfy_api.latest import io

from ..mmaudio_core.features import Features
from ..mmaudio_core.pipeline import VAE_STAGE, VOCODER_STAGE, decode, sample
from ..mmaudio_core.sampler import STAGE
from .feedback import NodeProgress
from .runtime import ComfyNetworks
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
            ],
            outputs=[io.Audio.Output(display_name="audio")],
        )

    @classmethod
    def execute(
        cls,
        mmaudio: ComfyNetworks,
        features: Features,
        seed: int,
        steps: int,
        cfg: float,
        num_samples: int,
    ) -> io.NodeOutput:
        progress = NodeProgress({STAGE: 16, VAE_STAGE: 1, VOCODER_STAGE: 4})
        seeds = range(seed, seed + num_samples)
        latents = sample(mmaudio, features, seeds, steps=steps, cfg=cfg, progress=progress)
        waveform = decode(mmaudio, latents, features, progress)
        rate = mmaudio.params.audio.sample_rate
        return io.NodeOutput({"waveform": waveform, "sample_rate": rate})
