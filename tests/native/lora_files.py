"""LoRA files of every known format, with the dense change of each weight.

Imports no ComfyUI: used inside it (as ``lora_files``) and outside.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

Shapes = Mapping[str, Sequence[int]]
RANK = 4
MODULES = (
    "fused_blocks.0.attn.qkv",  # interleaved, under its own name
    "fused_blocks.1.linear1",  # kernel 3
    "fused_blocks.1.ffn.w1",
    "joint_blocks.0.latent_block.attn.qkv",
    "joint_blocks.0.text_block.ffn.w2",  # no convolution
    "joint_blocks.0.clip_block.adaLN_modulation.1",
    "audio_input_proj.0",  # kernel 7
    "global_cond_mlp.w3",
)
ATTENTIONS = (
    "fused_blocks.0.attn",
    "joint_blocks.0.text_block.attn",
    "joint_blocks.1.clip_block.attn",
)


@dataclass
class LoraFile:
    """A file's content, and what it adds to which weights."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)  # adapter_config.json beside it
    deltas: dict[str, Tensor] = field(default_factory=dict)
    ending: str = ".safetensors"
    checkpoint: dict[str, Any] = field(default_factory=dict)  # a pickled file's other entries
    nested: str = "state_dict"  # the entry with the tensors

    def write(self, folder: Path, name: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}{self.ending}"
        if self.ending == ".safetensors":
            save_file(self.tensors, path, metadata=self.metadata)
        else:
            torch.save({self.nested: self.tensors, **self.checkpoint}, path)
        if self.config:
            (folder / "adapter_config.json").write_text(json.dumps(self.config))
        return path


def matrices(shape: Sequence[int], seed: int, rank: int = RANK) -> tuple[Tensor, Tensor]:
    """``up`` and ``down`` as a trainer of a layer with that weight has them."""
    draw = torch.Generator().manual_seed(seed)
    down = torch.randn(rank, *shape[1:], generator=draw) / math.sqrt(math.prod(shape[1:]))
    up = torch.randn(shape[0], rank, *(1 for _ in shape[2:]), generator=draw) / math.sqrt(rank)
    return 0.5 * up, down


def dense(up: Tensor, down: Tensor, scale: float) -> Tensor:
    """The change in full, as a layer after another would compute it: (out, in[, kernel])."""
    return scale * torch.einsum("or,r...->o...", up.flatten(1), down)


def whole(
    shapes: Shapes,
    name: Callable[[str, str], str],
    *,
    scale: float,
    alpha: float | None = None,
    **parts: Any,
) -> LoraFile:
    """A LoRA on ``MODULES``; ``name`` makes a key of a module and "up" or "down" (or "alpha")."""
    lora = LoraFile(**parts)
    for seed, module in enumerate(MODULES):
        key = f"{module}.weight"
        up, down = matrices(shapes[key], seed)
        lora.tensors |= {name(module, "up"): up, name(module, "down"): down}
        if alpha is not None:
            lora.tensors[name(module, "alpha")] = torch.tensor(alpha)
        lora.deltas[key] = dense(up, down, scale)
    return lora


def apart(
    shapes: Shapes,
    name: Callable[[str, str, str], str],
    *,
    scale: Callable[[int], float],
    which: str = "qkv",
    alpha: float | None = None,
    **parts: Any,
) -> LoraFile:
    """A LoRA on queries, keys and values apart, ranks 4, 5 and 6."""
    lora = LoraFile(**parts)
    for number, module in enumerate(ATTENTIONS):
        key = f"{module}.qkv.weight"
        width = shapes[key][1]
        delta = torch.zeros(width // 64, 64, 3, width)  # head, channel, which of the three
        for part, letter in enumerate("qkv"):
            if letter not in which:
                continue
            rank = RANK + part
            up, down = matrices((width, width), 10 * number + part, rank)
            lora.tensors |= {name(module, letter, "up"): up, name(module, letter, "down"): down}
            if alpha is not None:
                lora.tensors[name(module, letter, "alpha")] = torch.tensor(alpha)
            delta[:, :, part] += dense(up, down, scale(rank)).view(-1, 64, width)
        lora.deltas[key] = delta.view(-1, width)
    return lora


_LETTER = {"up": "B", "down": "A"}


def formats(shapes: Shapes) -> dict[str, LoraFile]:
    """Every format by a name of its own."""

    def peft(prefix: str, adapter: str = "") -> Callable[[str, str], str]:
        return lambda module, what: f"{prefix}{module}.lora_{_LETTER[what]}{adapter}.weight"

    def kohya(module: str, what: str) -> str:
        flat = "lora_unet_" + module.replace(".", "_")
        return f"{flat}.alpha" if what == "alpha" else f"{flat}.lora_{what}.weight"

    def dotted(module: str, what: str) -> str:
        key = f"diffusion_model.{module}"
        return f"{key}.alpha" if what == "alpha" else f"{key}.lora_{what}.weight"

    of_diffusers = {"transformer.lora_alpha": 6, "transformer.r": RANK}
    stabilized = {"lora_alpha": 3, "use_rslora": True, "r": RANK}
    return {
        "peft": whole(
            shapes, peft("base_model.model."), scale=8 / RANK, config={"lora_alpha": 8, "r": RANK}
        ),
        "peft_default": whole(
            shapes, peft("", ".default"), scale=2 / RANK, metadata={"lora_alpha": "2"}
        ),
        "peft_rslora": whole(
            shapes, peft("base_model.model."), scale=3 / math.sqrt(RANK), config=stabilized
        ),
        "peft_pattern": whole(
            shapes,
            peft("base_model.model.model."),
            scale=1.0,
            config={"lora_alpha": 1, "alpha_pattern": dict.fromkeys(MODULES, RANK)},
        ),
        "no_alpha": whole(shapes, peft("diffusion_model."), scale=1.0),
        "kohya": whole(shapes, kohya, scale=2 / RANK, alpha=2.0),
        "dotted_alpha": whole(shapes, dotted, scale=3 / RANK, alpha=3.0),
        "rslora_metadata": whole(
            shapes,
            dotted,
            scale=1 / math.sqrt(RANK),
            alpha=1.0,
            metadata={"use_rslora": "True"},
        ),
        "module_pt": whole(
            shapes, lambda m, what: f"module.{m}.lora.{what}.weight", scale=1.0, ending=".pt"
        ),
        "trainer_pt": whole(
            shapes,
            lambda m, what: f"{m}.lora_{_LETTER[what]}",
            scale=8 / RANK,
            ending=".pt",
            nested="lora_weights",
            checkpoint={
                "lora_config": {"rank": RANK, "alpha": 8.0, "target_modules": ["*.qkv"]},
                "optimizer_state_dict": {"state": {0: {"exp_avg": torch.zeros(2, 2)}}},
                "training_step": 3,
            },
        ),
        "trainer_final_pt": whole(
            shapes,
            lambda m, what: f"{m}.lora_{_LETTER[what]}",
            scale=2 / RANK,
            ending=".pth",
            nested="lora_weights",
            checkpoint={"lora_config": {m: {"rank": RANK, "alpha": 2} for m in MODULES}},
        ),
        "diffusers_apart": apart(
            shapes,
            lambda m, letter, what: f"transformer.{m}.to_{letter}.lora_{_LETTER[what]}.weight",
            scale=lambda rank: 6 / rank,
            metadata={"lora_adapter_metadata": json.dumps(of_diffusers)},
        ),
        "kohya_apart": apart(
            shapes,
            lambda m, letter, what: kohya(f"{m}.{letter}_proj", what),
            scale=lambda rank: 4 / rank,
            alpha=4.0,
        ),
        "q_and_v": apart(
            shapes,
            lambda m, letter, what: f"{m}.{letter}.lora_{_LETTER[what]}",
            scale=lambda rank: 1.0,
            which="qv",
        ),
    }
