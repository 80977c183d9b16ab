"""What ComfyUI's trainer minimizes with and without MMAudioTrainingObjective."""

from __future__ import annotations

from typing import Any

import comfy_extras.nodes_custom_sampler as custom
import core_training
import tiny
import torch
from comfy.model_sampling import ModelSamplingDiscreteFlow
from mmaudio_pack.mmaudio_core.config import sequence_lengths
from mmaudio_pack.mmaudio_core.models.flow import FlowNetwork
from mmaudio_pack.mmaudio_core.sampling.guidance import project_conditions
from mmaudio_pack.nodes import conditioning, latents
from mmaudio_pack.nodes.training_objective import MMAudioTrainingObjective, PublishedObjective
from torch import Tensor

PARAMS = tiny.networks().params
RATE = 1e-3
PIECES = [tiny.features(PARAMS, seed=seed) for seed in (1, 2)]
LATENTS = [
    torch.randn(latents.empty_latent(f.duration, PARAMS.audio)["samples"].shape, generator=draw)
    for f, draw in zip(PIECES, [torch.Generator().manual_seed(s) for s in (3, 4)], strict=True)
]


def objective(model: Any) -> Any:
    return MMAudioTrainingObjective.execute(model).args[0]


def reference(
    sigmas: list[float], noise: Tensor, order: list[int], weigh: bool
) -> dict[str, Tensor]:
    """Gradients of all biases by the paper's loss, written out; ``weigh`` as ComfyUI does."""
    with torch.inference_mode(False), torch.enable_grad():
        network = tiny.networks.__wrapped__().model.model.diffusion_model.requires_grad_(True)
        loss = torch.zeros(())
        for row, index in enumerate(order):
            of = PIECES[index]
            lengths = sequence_lengths(of.duration, PARAMS.audio)
            with torch.no_grad():
                (given,) = project_conditions(network, None, of.clip, of.sync, of.text, lengths)
                x1 = network.normalize(LATENTS[index][:, 0])
            t, x0 = 1 - sigmas[row], noise[row]
            v = FlowNetwork.forward(network, (1 - t) * x0 + t * x1, torch.tensor([t]), given)
            error = (v - (x1 - x0)) * (sigmas[row] if weigh else 1)
            loss = loss + (error**2).mean() / len(order)
        loss.backward()
    return {
        name: p.grad
        for name, p in network.named_parameters()
        if name.endswith("bias") and p.grad is not None
    }


def trained(
    model: Any, batch: int
) -> tuple[dict[str, Tensor], list[float], list[int], list[float]]:
    """The changes of biases in one step of SGD, the sigmas drawn, the pieces drawn, the loss."""
    sigmas: list[float] = []
    order: list[int] = []
    ours = isinstance(model.get_model_object("model_sampling"), PublishedObjective)
    kind: Any = PublishedObjective if ours else ModelSamplingDiscreteFlow
    original, permute = kind.percent_to_sigma, torch.randperm

    def spy(self: Any, percent: float) -> float:
        sigma = float(original(self, percent))
        sigmas.append(sigma)
        return sigma

    def drawn(*args: Any, **keywords: Any) -> Tensor:
        order[:] = permute(*args, **keywords).tolist()
        return torch.tensor(order)

    kind.percent_to_sigma, torch.randperm = spy, drawn
    try:
        positive = [conditioning.to_conditioning(f)[0] for f in PIECES]
        lora, losses = core_training.train(
            model,
            [latents.make_latent(x, PIECES[0].duration) for x in LATENTS],
            positive,
            steps=1,
            batch_size=batch,
            optimizer="SGD",
            learning_rate=RATE,
            gradient_checkpointing=False,
            seed=7,
        )
    finally:
        kind.percent_to_sigma, torch.randperm = original, permute
    changes = {k: v for k, v in lora.items() if k.endswith("diff_b")}
    # conditions are checked for their times first, so the last sigmas are those of the step
    return changes, sigmas[-batch:], order[:batch], losses


def compare(model: Any, batch: int, weigh: bool) -> dict[str, Any]:
    changes, sigmas, order, losses = trained(model, batch)
    like = torch.cat([LATENTS[i] for i in order])
    noise = custom.Noise_RandomNoise(7).generate_noise({"samples": like})
    expected = reference(sigmas, noise, order, weigh)
    got, wanted = [], []
    for key, change in changes.items():
        name = key.removeprefix("diffusion_model.").removesuffix("diff_b") + "bias"
        if name in expected:
            got.append(-change.flatten() / RATE)
            wanted.append(expected[name].flatten())
    return {
        "error": tiny.relative_error(torch.cat(got), torch.cat(wanted)),
        "count": len(got),
        "sigmas": sigmas,
        "loss": losses,
    }


def case_gradient() -> dict[str, Any]:
    """Relative error of the trainer's gradient, against the paper's and against ComfyUI's own."""
    model = tiny.networks().model
    ours = objective(model)
    return {
        "ours, batch 1": compare(ours, 1, weigh=False),
        "ours, batch 2": compare(ours, 2, weigh=False),
        "core's, batch 1": compare(model, 1, weigh=False),
        "core's, batch 1, weighed": compare(model, 1, weigh=True),
        "core's, batch 2, weighed": compare(model, 2, weigh=True),
    }


def case_times() -> dict[str, Any]:
    """Logits of the times that are drawn."""
    sampling = PublishedObjective(tiny.networks().model.model.model_config)
    draw = torch.Generator().manual_seed(0)
    uniform = torch.rand(20_000, generator=draw, dtype=torch.float64).tolist()
    sigmas = torch.tensor([sampling.percent_to_sigma(u) for u in uniform], dtype=torch.float64)
    logits = ((1 - sigmas) / sigmas).log()
    return {
        "mean": float(logits.mean()),
        "std": float(logits.std()),
        "kurtosis": float(((logits - logits.mean()) / logits.std()).pow(4).mean()),
        "ends": [sampling.percent_to_sigma(0.0), sampling.percent_to_sigma(1.0)],
        "falls": bool(
            (sigmas[torch.tensor(uniform, dtype=torch.float64).argsort()].diff() <= 0).all()
        ),
    }


def case_sampling_is_unchanged() -> dict[str, Any]:
    model = tiny.networks().model
    of = PIECES[0]
    plain = tiny.sample(model, of)
    return {"error": tiny.relative_error(tiny.sample(objective(model), of), plain)}
