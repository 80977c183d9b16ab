"""The scale of a LoRA, from the metadata of its file.

PEFT's configuration occurs flat in the metadata, as JSON (diffusers: ``lora_adapter_metadata``,
keys prefixed by the component), and in ``adapter_config.json``. Checkpoints of MMAudio-Lora have a
``lora_config`` for all modules or one per module. LyCORIS's ``rs_lora`` is ignored on purpose: the
alpha it stores already accounts for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_STABILIZED = re.compile(r"(?:.*\.)?use_rslora")
_ALPHAS = (
    re.compile(r"(?:.*\.)?lora_alpha(?P<module>)"),
    re.compile(r"(?:.*\.)?alpha_pattern\.(?P<module>.+)"),
    re.compile(r"lora_config\.(?:(?P<module>.+)\.)?alpha"),
)


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """How the scale follows from the rank.

    Attributes:
        alpha: alpha of modules without an alpha tensor; None means their rank, for a scale of 1.
        alphas: overrides of ``alpha``, by the end of the module's name.
        rank_stabilized: divide alpha by the square root of the rank, not by the rank.
    """

    alpha: float | None = None
    alphas: Mapping[str, float] = field(default_factory=dict[str, float])
    rank_stabilized: bool = False

    def alpha_of(self, module: str, *, default: float) -> float:
        """Alpha of a module without an alpha tensor."""
        for end, alpha in self.alphas.items():
            if module == end or module.endswith(f".{end}"):
                return alpha
        return default if self.alpha is None else self.alpha


def read_settings(metadata: Mapping[str, object]) -> LoraSettings:
    """Find the settings in a file's metadata, including strings that hold JSON."""
    alpha: float | None = None
    alphas: dict[str, float] = {}
    stabilized = False
    for path, value in _entries(metadata):
        if _STABILIZED.fullmatch(path):
            stabilized = str(value).strip().lower() in ("true", "1")
        match = next((m for pattern in _ALPHAS if (m := pattern.fullmatch(path))), None)
        number = _number(value)
        if match is None or number is None:
            continue
        if match["module"]:
            alphas[match["module"]] = number
        else:
            alpha = number
    return LoraSettings(alpha=alpha, alphas=alphas, rank_stabilized=stabilized)


def _entries(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted path and value of every setting at any depth."""
    for key, stored in value.items():
        item = _parsed(stored)
        if isinstance(item, Mapping):
            yield from _entries(item, f"{prefix}{key}.")  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield f"{prefix}{key}", item


def _parsed(value: object) -> object:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None
