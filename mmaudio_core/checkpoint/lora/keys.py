"""Keys of LoRA files: which weight of a network each tensor belongs to, and in which role.

Trainers agree on the method and disagree on names: a key is a prefix, the name of a module of the
network, and the name of one of the two matrices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

# Names are compared with dots as underscores, since some trainers write no dots.
_PREFIXES = (
    "diffusion_model_",
    "base_model_model_",
    "lora_unet_",
    "lora_transformer_",
    "model_",
    "transformer_",
    "module_",
    "network_",
    "unet_",
    "state_dict_",
    "lora_weights_",
)
_MATRIX = re.compile(
    r"(?P<module>.+?)[._](?:lora_(?P<letter>A|B|down|up)|lora(?:_linear_layer)?\.(?P<word>down|up))"
    r"(?:\.(?!(?:weight|bias)$)[^.]+)?(?:\.weight)?"
)
_ALPHA = re.compile(r"(?P<module>.+?)\.(?:lora_)?alpha")
# what ComfyUI's own nodes write besides: whole changes of a weight or bias, and whole weights
_WHOLE = re.compile(r"(?P<module>.+?)\.(?P<kind>diff|diff_b|set_weight)")
# Names of the query, key and value projections ({} is q, k or v) in files that keep them separate.
_PROJECTIONS = ("{}", "to_{}", "{}_proj", "proj_{}", "w{}", "qkv_{}")
_OTHER_METHODS = {
    "hada_w": "LoHa",
    "lokr_w": "LoKr",
    "oft_": "OFT",
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
    "lora_mid": "LoCon in Tucker form",
}


class Role(Enum):
    """What a tensor of a LoRA is."""

    DOWN = "down"
    UP = "up"
    ALPHA = "alpha"
    DIFFERENCE = "diff"
    BIAS_DIFFERENCE = "diff_b"
    REPLACEMENT = "set_weight"

    @property
    def whole(self) -> bool:
        """Whether the tensor has the shape of what it changes."""
        return self in (Role.DIFFERENCE, Role.BIAS_DIFFERENCE, Role.REPLACEMENT)


_ROLES = {"A": Role.DOWN, "down": Role.DOWN, "B": Role.UP, "up": Role.UP}


@dataclass(frozen=True)
class Target:
    """The weight ``key``, or only its queries (0), keys (1) or values (2)."""

    key: str
    projection: int | None = None


def split_key(key: str) -> tuple[str, Role | None]:
    """The module's name and the tensor's role; empty and None if the key is not one of a LoRA."""
    if (match := _MATRIX.fullmatch(key)) is not None:
        return match["module"], _ROLES[match["letter"] or match["word"]]
    if (match := _ALPHA.fullmatch(key)) is not None:
        return match["module"], Role.ALPHA
    if (match := _WHOLE.fullmatch(key)) is not None:
        return match["module"], Role(match["kind"])
    return "", None


def targets_by_name(shapes: Mapping[str, Sequence[int]]) -> dict[str, Target]:
    """Every known name, in underscores, of the matrices among weights of these shapes."""
    targets: dict[str, Target] = {}
    for key, shape in shapes.items():
        if not key.endswith(".weight") or len(shape) < 2:
            continue
        name = key.removesuffix(".weight").replace(".", "_")
        targets[name] = Target(key)
        if name.endswith("attn_qkv"):
            stem = name.removesuffix("qkv")
            for projection, letter in enumerate("qkv"):
                for form in _PROJECTIONS:
                    targets[stem + form.format(letter)] = Target(key, projection)
    return targets


def find_whole(module: str, role: Role, shapes: Mapping[str, Sequence[int]]) -> str | None:
    """The key of the weight or bias that a tensor of a ``whole`` role changes."""
    ending = "bias" if role is Role.BIAS_DIFFERENCE else "weight"
    names = {
        key.removesuffix(f".{ending}").replace(".", "_"): Target(key)
        for key in shapes
        if key.endswith(f".{ending}")
    }
    target = find_target(module, names)
    return None if target is None else target.key


def find_target(module: str, targets: Mapping[str, Target]) -> Target | None:
    """The target that ``module`` names behind any number of known prefixes."""
    name = module.replace(".", "_")
    while name not in targets:
        prefix = next((p for p in _PREFIXES if name.startswith(p)), None)
        if prefix is None:
            return None
        name = name.removeprefix(prefix)
    return targets[name]


def other_methods(keys: Iterable[str]) -> str:
    """Names of the fine-tuning methods other than LoRA that these keys reveal; may be empty."""
    methods = {method for key in keys for mark, method in _OTHER_METHODS.items() if mark in key}
    return " and ".join(sorted(methods))
