"""LoRA by ComfyUI's own nodes: training, saving, loading, hooks; merged and saved models."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import comfy.sample
import comfy.samplers
import core_training
import folder_paths
import tiny
import torch
from mmaudio_pack.mmaudio_core.checkpoint import Catalog
from mmaudio_pack.mmaudio_core.checkpoint.identify import SYNTHETIC_KEY
from mmaudio_pack.nodes import conditioning, latents
from mmaudio_pack.nodes.lora import MMAudioLoraLoader
from mmaudio_pack.nodes.model_manager import ComfyModels
from safetensors.torch import load_file, save_file
from torch import Tensor

FOLDER = Path("loras").absolute()
FOLDER.mkdir(exist_ok=True)
folder_paths.add_model_folder_path("loras", str(FOLDER))

PARAMS = tiny.networks().params
FEATURES = tiny.features(PARAMS)
MODEL = tiny.networks().model
FLOW = MODEL.model.diffusion_model
POSITIVE, NEGATIVE = conditioning.to_conditioning(FEATURES)
START = latents.empty_latent(FEATURES.duration, PARAMS.audio)["samples"]


def sample(model: Any) -> Tensor:
    return tiny.sample(model, FEATURES, steps=2)


def train(bypass: bool, checkpointing: bool) -> tuple[dict[str, Tensor], list[float]]:
    draw = torch.Generator().manual_seed(3)
    return core_training.train(
        MODEL,
        [{"samples": torch.randn(START.shape, generator=draw)}],
        [POSITIVE],
        steps=3,
        learning_rate=0.01,
        gradient_checkpointing=checkpointing,
        bypass_mode=bypass,
    )


def case_training() -> dict[str, Any]:
    """Losses, the written keys, and both loaders on the saved file."""
    nodes = importlib.import_module("comfy_extras.nodes_train")
    inputs = core_training.inputs()
    results: dict[str, Any] = {}
    plain = sample(MODEL)
    for bypass in (False, True):
        if bypass and "bypass_mode" not in inputs:
            continue
        lora, losses = train(bypass, checkpointing=not bypass)
        name = f"trained_{bypass}.safetensors"
        nodes.SaveLoRA.execute(lora, f"loras/trained_{bypass}")
        (saved,) = Path(folder_paths.get_output_directory()).glob(f"loras/trained_{bypass}*")
        tensors = load_file(saved)
        save_file(tensors, FOLDER / name)
        core = tiny.CORE_NODES.LoraLoaderModelOnly().load_lora_model_only(MODEL, name, 1.0)[0]
        ours = MMAudioLoraLoader.execute(MODEL, name, 1.0).args[0]
        results[str(bypass)] = {
            "losses": losses,
            "finite": all(math.isfinite(x) for x in losses),
            "endings": sorted({key.rsplit(".", 1)[-1] for key in tensors}),
            "trained": {  # ComfyUI starts with "down" at 0
                part: sum(bool(t.any()) for k, t in tensors.items() if part in k and "down" in k)
                for part in ("joint_blocks", "fused_blocks", "clip_input_proj", "text_cond_proj")
            },
            "effect": tiny.relative_error(sample(core), plain),
            "error": tiny.relative_error(sample(ours), sample(core)),
        }
    return results


def case_whole_tensors() -> dict[str, Any]:
    """``diff``, ``diff_b`` and ``set_weight`` as ComfyUI's loader applies them."""
    draw = torch.Generator().manual_seed(5)
    shapes = {k: v.shape for k, v in FLOW.state_dict().items()}

    def noise(key: str) -> Tensor:
        return 0.2 * torch.randn(shapes[key], generator=draw)

    qkv, linear = "joint_blocks.0.latent_block.attn", "fused_blocks.0.linear1"
    tensors = {
        f"diffusion_model.{qkv}.qkv.diff": noise(f"{qkv}.qkv.weight"),
        f"diffusion_model.{qkv}.qkv.diff_b": noise(f"{qkv}.qkv.bias"),
        f"diffusion_model.{qkv}.q_norm.diff": noise(f"{qkv}.q_norm.weight"),
        f"diffusion_model.{linear}.set_weight": noise(f"{linear}.weight"),
    }
    save_file(tensors, FOLDER / "whole.safetensors")
    results: dict[str, Any] = {}
    for strength in (1.0, 0.5):
        core = tiny.CORE_NODES.LoraLoaderModelOnly().load_lora_model_only(
            MODEL, "whole.safetensors", strength
        )[0]
        ours = MMAudioLoraLoader.execute(MODEL, "whole.safetensors", strength).args[0]
        results[str(strength)] = {
            "error": tiny.relative_error(sample(ours), sample(core)),
            "effect": tiny.relative_error(sample(core), sample(MODEL)),
        }
    said: dict[str, str] = {}
    for name, wrong in {
        "shape": {f"diffusion_model.{linear}.diff": torch.zeros(3)},
        "name": {"diffusion_model.other.diff_b": torch.zeros(3)},
    }.items():
        save_file(wrong, FOLDER / f"{name}.safetensors")
        try:
            MMAudioLoraLoader.execute(MODEL, f"{name}.safetensors", 1.0)
        except ValueError as error:
            said[name] = str(error)
    return {"strengths": results, "said": said}


def _guided(model: Any, positive: Any, negative: Any, sigmas: Tensor, start: Tensor) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    noise = torch.randn(1, *START.shape[2:], generator=draw)[:, None]
    if sigmas[0] < 1:
        noise = torch.zeros_like(noise)
    return comfy.sample.sample_custom(
        model,
        noise,
        4.5,
        comfy.samplers.sampler_object("euler"),
        sigmas,
        positive,
        negative,
        start,
        disable_pbar=True,
        seed=1,
    )


def case_hooks() -> dict[str, Any]:
    """A LoRA on a schedule, by hooks: strength 1 in the first half of the steps, then 0."""
    hooks = importlib.import_module("comfy_extras.nodes_hooks")
    up, down = torch.randn(3 * PARAMS.width, 2), torch.randn(2, PARAMS.width)
    module = "diffusion_model.fused_blocks.0.attn.qkv"
    save_file(
        {f"{module}.lora_up.weight": 0.3 * up, f"{module}.lora_down.weight": 0.3 * down},
        FOLDER / "hooked.safetensors",
    )
    (group,) = hooks.CreateHookLoraModelOnly().create_hook_model_only("hooked.safetensors", 1.0)
    attach = hooks.SetModelHooksOnCond().attach_hook
    sigmas = torch.linspace(1, 0, 5)

    def hooked(of: Any) -> Tensor:
        positive, negative = (attach(c, of)[0] for c in (POSITIVE, NEGATIVE))
        return _guided(MODEL, positive, negative, sigmas, START)

    patched = MMAudioLoraLoader.execute(MODEL, "hooked.safetensors", 1.0).args[0]
    always = _guided(patched, POSITIVE, NEGATIVE, sigmas, START)
    plain = _guided(MODEL, POSITIVE, NEGATIVE, sigmas, START)
    constant = hooked(group)
    frames = hooks.CreateHookKeyframe().create_hook_keyframe(1.0, 0.0)[0]
    frames = hooks.CreateHookKeyframe().create_hook_keyframe(0.0, 0.5, frames)[0]
    (scheduled,) = hooks.SetHookKeyframes().set_hook_keyframes(group, frames)
    first = _guided(patched, POSITIVE, NEGATIVE, sigmas[:3], START)
    expected = _guided(MODEL, POSITIVE, NEGATIVE, sigmas[2:], first)
    return {
        "constant": tiny.relative_error(constant, always),
        "scheduled": tiny.relative_error(hooked(scheduled), expected),
        "effect": tiny.relative_error(always, plain),
        "schedule is neither": min(
            tiny.relative_error(expected, plain), tiny.relative_error(expected, always)
        ),
        "afterwards": tiny.relative_error(_guided(MODEL, POSITIVE, NEGATIVE, sigmas, START), plain),
    }


def case_merged() -> dict[str, Any]:
    """ModelMergeSimple against merged weights; ModelSave, and its file read again."""
    merging = importlib.import_module("comfy_extras.nodes_model_merging")
    other, expected = (tiny.networks.__wrapped__().model for _ in range(2))
    draw = torch.Generator().manual_seed(9)
    weights = other.model.diffusion_model.state_dict()
    merged = expected.model.diffusion_model.state_dict()
    for key, weight in weights.items():
        if key.endswith(".weight") and weight.ndim > 1:
            weight.add_(0.1 * weight.std() * torch.randn(weight.shape, generator=draw))
            merged[key].copy_(0.25 * FLOW.state_dict()[key] + 0.75 * weight)
    (model,) = merging.ModelMergeSimple().merge(MODEL, other, 0.25)
    got = sample(model)
    merging.ModelSave().save(model, "merged/flow")
    (path,) = Path(folder_paths.get_output_directory()).glob("merged/flow*")
    # marked as a synthetic flow network, so that the synthetic parts go with it
    marked = Path("merged_flow.safetensors")
    save_file(load_file(path), marked, metadata={SYNTHETIC_KEY: tiny.SMALL})
    folder = Path("synthetics") / tiny.SMALL
    files = [(f.name, f) for f in folder.iterdir() if not f.name.endswith("_flow.safetensors")]
    bundle = Catalog([(marked.name, marked), *files]).bundle(marked.name, dtype=torch.float32)
    again = sample(ComfyModels(bundle, "fp32").model)
    return {
        "error": tiny.relative_error(got, sample(expected)),
        "effect": tiny.relative_error(got, sample(MODEL)),
        "saved and read": tiny.relative_error(again, got),
    }
