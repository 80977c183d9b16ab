"""MMAudioEvaluateLoRA: whether a LoRA learned the sound, or only the recordings by heart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

import comfy.model_management as mm
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..mmaudio_core.checkpoint import PartKind
from ..mmaudio_core.codec.decode import VAE_STAGE, VOCODER_STAGE, decode
from ..mmaudio_core.config import TEXT_TOKENS, sequence_lengths
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.features.types import Features
from ..mmaudio_core.providers import LoadedModel
from ..mmaudio_core.sampling.euler import SAMPLING_STAGE
from ..mmaudio_core.sampling.memory import activation_bytes
from ..mmaudio_core.training.dataset import TrainingSet
from ..mmaudio_core.training.loss import LOSS_STAGE, LossDraws, measure_loss
from ..mmaudio_core.training.pieces import Piece
from . import inputs
from .comfy_model import flow_network
from .comfy_sampling import LINEAR, sample
from .conditioning import to_conditioning
from .cures import Node
from .feedback import NodeProgress, with_notices
from .latents import empty_latent
from .lora import match_trained, patch_model
from .model_manager import ComfyModels
from .take_notes import KEY, notes_of_takes
from .types import TRAINING, LoraModel, MMAudioFeatures, MMAudioTraining

STRENGTHS = (0.0, 0.5, 1.0)
_MOST_PIECES = 32  # of either kind


class MMAudioEvaluateLoRA(Node):
    """Compare strengths 0, 0.5 and 1 at the same noise and times."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioEvaluateLoRA",
            display_name="MMAudio Evaluate LoRA",
            category=TRAINING,
            description=(
                "Measures MMAudio's own training loss with a LoRA at strength 0, 0.5 and 1, on "
                "recordings that were learned and on those held out. With features, it makes the "
                "sound at each strength."
            ),
            inputs=[
                inputs.mmaudio("The model that the LoRA was trained for."),
                LoraModel.Input("lora", tooltip="From Train LoRA."),
                MMAudioTraining.Input("training_set", tooltip="From MMAudio Training Set."),
                io.Int.Input(
                    "draws",
                    default=4,
                    min=1,
                    max=64,
                    tooltip="Noise and times for each piece. More are slower and more exact.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    tooltip="Seed of the noise: the same for each strength, and for the sound.",
                ),
                inputs.steps(),
                io.Float.Input(
                    "cfg",
                    default=4.5,
                    min=0.0,
                    max=20.0,
                    step=0.1,
                    tooltip="Guidance of the sound, as in MMAudio Sampler.",
                ),
                MMAudioFeatures.Input(
                    "features",
                    optional=True,
                    tooltip="From MMAudio Feature Extract, to hear what the LoRA does.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="report", tooltip="The losses, and what they say."),
                io.Audio.Output(
                    display_name="audio",
                    tooltip="With features: takes 0, 1 and 2 at strength 0, 0.5 and 1.",
                ),
                io.Float.Output(
                    display_name="held_out_loss", tooltip="At strength 1; lower is better."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        mmaudio: ComfyModels,
        lora: Mapping[str, Tensor],
        training_set: TrainingSet,
        draws: int,
        seed: int,
        steps: int,
        cfg: float,
        features: Features | None = None,
    ) -> io.NodeOutput:
        changes = match_trained(lora, mmaudio.model)
        models = [patch_model(mmaudio.model, changes, strength) for strength in STRENGTHS]
        found = _measure(mmaudio, models, training_set, LossDraws(count=draws, seed=seed))
        audio = None
        if features is not None:
            audio = _hear(mmaudio, models, features, seed, steps=steps, cfg=cfg)
        loss = mean((found.held_out or found.learned)[-1])
        return with_notices(found.report(), audio, loss, notices=[found.verdict()])


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The loss of each piece, for each of ``STRENGTHS``.

    Attributes:
        learned, held_out: one list for each strength; no lists if there are no such pieces.
    """

    learned: tuple[list[float], ...]
    held_out: tuple[list[float], ...]

    def report(self) -> str:
        """A table, and the verdict."""
        lines = ["strength  held out  learned"]
        for number, strength in enumerate(STRENGTHS):
            held = f"{mean(self.held_out[number]):8.4f}" if self.held_out else "       -"
            lines.append(f"{strength:8.1f}  {held}  {mean(self.learned[number]):7.4f}")
        return "\n".join([*lines, "", self.verdict()])

    def verdict(self) -> str:
        """What the losses say, in a sentence."""
        learned, _ = _change(self.learned)
        if not self.held_out:
            return (
                f"the loss on what was learned is {_percent(learned)}; nothing was held out, so it "
                "cannot be told whether that is the sound or the recordings by heart"
            )
        held, spread = _change(self.held_out)
        told = (
            f"with the LoRA, the loss is {_percent(learned)} on what was learned and "
            f"{_percent(held)} (+-{spread:.1%}) on what was held out"
        )
        if held > spread:
            return f"{told}: it learned the recordings by heart. Train fewer steps, or add some."
        if held < -spread:
            return f"{told}: it learned the sound."
        return f"{told}: no difference on what was held out is sure."


def _change(losses: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Relative change from strength 0 to 1, and its standard error over the pieces."""
    base = mean(losses[0])
    changes = [(after - before) / base for before, after in zip(losses[0], losses[-1], strict=True)]
    spread = stdev(changes) / math.sqrt(len(changes)) if len(changes) > 1 else 0.0
    return mean(changes), spread


def _percent(change: float) -> str:
    return f"{abs(change):.1%} {'lower' if change < 0 else 'higher'}"


def _measure(
    mmaudio: ComfyModels, models: Sequence[ModelPatcher], chosen: TrainingSet, draws: LossDraws
) -> Losses:
    held_out = chosen.held_out[:_MOST_PIECES]
    learned = _spread(chosen.training, max(len(held_out), 4))
    names = [f"{LOSS_STAGE} {number}" for number in range(len(models))]
    bar = NodeProgress(dict.fromkeys(names, 1.0))
    found: list[list[float]] = []
    for name, model in zip(names, models, strict=True):
        loaded = _load(mmaudio, model, chosen.training[0])
        found.append(
            measure_loss(
                loaded,
                [*learned, *held_out],
                draws,
                lambda _stage, done, total, name=name: bar(name, done, total),
            )
        )
    count = len(learned)
    return Losses(
        learned=tuple(losses[:count] for losses in found),
        held_out=tuple(losses[count:] for losses in found) if held_out else (),
    )


def _spread(pieces: Sequence[Piece], count: int) -> list[Piece]:
    """At most ``count`` pieces, spread evenly over the list."""
    count = min(count, _MOST_PIECES, len(pieces))
    return [pieces[number * len(pieces) // count] for number in range(count)]


def _load(mmaudio: ComfyModels, model: ModelPatcher, piece: Piece) -> LoadedModel:
    network = flow_network(model)
    params, dtype = network.params, mmaudio.compute_dtype(PartKind.FLOW)
    lengths = sequence_lengths(piece.features.duration, params.audio)
    if piece.latents.mean.shape[1:] != (lengths.latent, params.latent_dim):
        raise MMAudioError(
            f"got a training set with latents of width {piece.latents.mean.shape[2]}, expected "
            f"{params.latent_dim}. Make the training set with the same model."
        )
    tokens = lengths.latent + lengths.clip + TEXT_TOKENS
    room = activation_bytes(params, 1, tokens, dtype)
    mm.load_models_gpu([model], memory_required=room)
    return LoadedModel(
        network=network, device=model.load_device, dtype=dtype, name=model.model.name
    )


def _hear(
    mmaudio: ComfyModels,
    models: Sequence[ModelPatcher],
    features: Features,
    seed: int,
    *,
    steps: int,
    cfg: float,
) -> dict[str, Any]:
    """The same seed with each model, as takes of one AUDIO."""
    fmt = mmaudio.params.audio
    names = [f"{SAMPLING_STAGE} {number}" for number in range(len(models))]
    bar = NodeProgress({**dict.fromkeys(names, 16.0), VAE_STAGE: 1, VOCODER_STAGE: 4})
    latents = [
        sample(
            model,
            *to_conditioning(features),
            empty_latent(features.duration, fmt),
            (seed,),
            steps=steps,
            cfg=cfg,
            denoise=1.0,
            sampler_name="euler",
            scheduler=LINEAR,
            progress=lambda _stage, done, total, name=name: bar(name, done, total),
        )
        for name, model in zip(names, models, strict=True)
    ]
    waveform = decode(mmaudio, torch.cat(latents)[:, 0], features.duration, bar)
    notes = notes_of_takes([seed] * len(models), features, mmaudio.model, fmt)
    return {"waveform": waveform, "sample_rate": fmt.sample_rate, KEY: notes}
