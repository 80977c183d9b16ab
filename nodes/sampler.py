"""MMAudioSampler: from features to sound, through ComfyUI's samplers."""

from __future__ import annotations

import comfy.samplers
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..mmaudio_core.codec.decode import VAE_STAGE, VOCODER_STAGE, decode
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.features.types import Features
from ..mmaudio_core.sampling.euler import SAMPLING_STAGE
from . import inputs
from .comfy_model import flow_network
from .comfy_sampling import LINEAR, sample, schedulers
from .conditioning import to_conditioning
from .cures import Node
from .feedback import NodeProgress
from .latents import Latent, empty_latent
from .model_manager import ComfyModels
from .take_notes import KEY, notes_of_takes
from .types import CATEGORY, MMAudioFeatures


class MMAudioSampler(Node):
    """Samples the flow network and decodes the result; takes have consecutive seeds."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioSampler",
            display_name="MMAudio Sampler",
            category=CATEGORY,
            description=(
                "Generates the sound, as long as the features, at the model's own sample rate."
            ),
            inputs=[
                inputs.mmaudio(),
                MMAudioFeatures.Input("features", tooltip="From MMAudio Feature Extract."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed of the initial noise. Take k of a batch uses seed + k.",
                ),
                inputs.steps(),
                io.Float.Input(
                    "cfg",
                    default=4.5,
                    min=0.0,
                    max=20.0,
                    step=0.1,
                    tooltip="How closely to follow picture and prompt. 1 or less: no guidance.",
                ),
                io.Int.Input(
                    "num_samples",
                    default=1,
                    min=1,
                    max=16,
                    tooltip="Takes to generate at once. Choose one in Mux Audio and Video.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip=(
                        "A patched model (LoRA, compiled, ...) to sample with instead of the one "
                        "in mmaudio."
                    ),
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip=(
                        "Start from this sound (MMAudio Encode, or an earlier result) instead of "
                        "noise alone; with denoise below 1 it is kept in part."
                    ),
                ),
                inputs.denoise(optional=True, extra_dict=inputs.ADVANCED),
                io.Combo.Input(
                    "sampler_name",
                    options=list(comfy.samplers.KSampler.SAMPLERS),
                    default="euler",
                    optional=True,
                    tooltip="MMAudio's authors use euler.",
                    extra_dict=inputs.ADVANCED,
                ),
                io.Combo.Input(
                    "scheduler",
                    options=schedulers(),
                    default=LINEAR,
                    optional=True,
                    tooltip="MMAudio's authors use linear: equal steps, whatever their number.",
                    extra_dict=inputs.ADVANCED,
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
        if model is not None:
            _check_model(model, mmaudio)
        progress = NodeProgress({SAMPLING_STAGE: 16, VAE_STAGE: 1, VOCODER_STAGE: 4})
        fmt = mmaudio.params.audio
        samples = sample(
            model or mmaudio.model,
            *to_conditioning(features),
            latent or empty_latent(features.duration, fmt),
            range(seed, seed + num_samples),
            steps=steps,
            cfg=cfg,
            denoise=denoise,
            sampler_name=sampler_name,
            scheduler=scheduler,
            progress=progress,
        )
        waveform = decode(mmaudio, samples[:, 0], features.duration, progress)
        notes = notes_of_takes(
            range(seed, seed + num_samples), features, model or mmaudio.model, fmt
        )
        return io.NodeOutput({"waveform": waveform, "sample_rate": fmt.sample_rate, KEY: notes})


def _check_model(model: ModelPatcher, mmaudio: ComfyModels) -> None:
    """Raise MMAudioError if the latents of ``model`` are not those that ``mmaudio`` decodes."""
    got, expected = flow_network(model).params.audio, mmaudio.params.audio
    if got != expected:
        raise MMAudioError(
            f"got a model of {got.sample_rate} Hz and an mmaudio of {expected.sample_rate} Hz. "
            "Connect both to the same Load MMAudio Model."
        )
