"""MMAudioSampler: from features to sound, through ComfyUI's samplers."""

from __future__ import annotations

import comfy.samplers
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..mmaudio_core.codec.decode import VAE_STAGE, VOCODER_STAGE
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.features.types import Features
from ..mmaudio_core.sampling.euler import SAMPLING_STAGE
from ..mmaudio_core.scoring.score import STAGES, VOICE_STAGE
from . import inputs
from .best_takes import BestTakes, sample_best, sample_without_voices
from .comfy_model import flow_network
from .comfy_sampling import LINEAR, schedulers
from .cures import Node
from .feedback import NodeProgress, with_notices
from .latents import Latent
from .model_manager import ComfyModels
from .take_notes import KEY, notes_of_takes, with_scores
from .take_sampling import TakeSampler
from .types import CATEGORY, MMAudioFeatures
from .voices import check_detector

_STAGES = {SAMPLING_STAGE: 16.0, VAE_STAGE: 1.0, VOCODER_STAGE: 4.0}


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
                io.Int.Input(
                    "best_of",
                    default=1,
                    min=1,
                    max=64,
                    optional=True,
                    tooltip=(
                        "Sample this many takes, score them, and keep the best num_samples, best "
                        "first. 1: keep all as they come."
                    ),
                ),
                io.Boolean.Input(
                    "no_voice",
                    default=False,
                    optional=True,
                    tooltip=(
                        "Sample takes in which a voice is heard again. Needs the package "
                        "silero-vad."
                    ),
                ),
                io.Int.Input(
                    "voice_retries",
                    default=2,
                    min=0,
                    max=16,
                    optional=True,
                    tooltip=(
                        "How many other seeds a take with a voice gets, before only its voices "
                        "are sampled anew."
                    ),
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
        best_of: int = 1,
        no_voice: bool = False,
        voice_retries: int = 2,
    ) -> io.NodeOutput:
        if model is not None:
            _check_model(model, mmaudio)
        if no_voice:
            check_detector()
        sampler = TakeSampler(
            networks=mmaudio,
            model=model or mmaudio.model,
            features=features,
            start=latent,
            count=max(best_of, num_samples),
            counted_by="best_of" if best_of > num_samples else "num_samples",
            steps=steps,
            cfg=cfg,
            denoise=denoise,
            sampler_name=sampler_name,
            scheduler=scheduler,
            alone=best_of > 1 or no_voice,
            progress=NodeProgress(_stages(best_of > 1, no_voice)),
        )
        if best_of > 1:
            best = sample_best(
                sampler, seed, num_samples, no_voice=no_voice, voice_retries=voice_retries
            )
        elif no_voice:
            best = sample_without_voices(sampler, seed, voice_retries)
        else:
            best = BestTakes(takes=sampler.sample(range(seed, seed + num_samples)))
        return _output(best, sampler)


def _stages(scored: bool, no_voice: bool) -> dict[str, float]:
    """Parts of the progress bar; what is tried again has none."""
    found = {VOICE_STAGE: STAGES[VOICE_STAGE]} if no_voice else {}
    return {**_STAGES, **(STAGES if scored else found)}


def _output(best: BestTakes, sampler: TakeSampler) -> io.NodeOutput:
    fmt = sampler.networks.params.audio
    notes = notes_of_takes(best.takes.seeds, sampler.features, sampler.model, fmt)
    if best.ranking is not None:
        notes = with_scores(notes, best.scores, best.ranking)
    if best.histories:
        notes["voices"] = [history.as_note() for history in best.histories]
    audio = {"waveform": best.takes.waveforms, "sample_rate": fmt.sample_rate, KEY: notes}
    return with_notices(audio, notices=best.notices)


def _check_model(model: ModelPatcher, mmaudio: ComfyModels) -> None:
    """Raise MMAudioError if the latents of ``model`` are not those that ``mmaudio`` decodes."""
    got, expected = flow_network(model).params.audio, mmaudio.params.audio
    if got != expected:
        raise MMAudioError(
            f"got a model of {got.sample_rate} Hz and an mmaudio of {expected.sample_rate} Hz. "
            "Connect both to the same Load MMAudio Model."
        )
