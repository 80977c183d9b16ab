"""What a LoRA file says about its scale besides its tensors.

PEFT's configuration is found in a file's metadata under several names: flat, as JSON (diffusers:
``lora_adapter_metadata``, keys with the component before them), or in ``adapter_config.json``.
Checkpoints of MMAudio-Lora have a ``lora_config``, one for all modules or one for each. LyCORIS's
``rs_lora`` is no such setting: the alpha it stores is already corrected for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_STABILISED = re.compile(r"(?:.*\.)?use_rslora")
_ALPHAS = (
    re.compile(r"(?:.*\.)?lora_alpha(?P<module>)"),
    re.compile(r"(?:.*\.)?alpha_pattern\.(?P<module>.+)"),
    re.compile(r"lora_config\.(?:(?P<module>.+)\.)?alpha"),
)


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """How ``scale`` follows from a rank.

    Attributes:
        alpha: for modules that have no alpha tensor; None: their rank, so that the scale is 1.
        alphas: the same for single modules, by the end of their names.
        rank_stabilised: divide by the square root of the rank.
    """

    alpha: float | None = None
    alphas: Mapping[str, float] = field(default_factory=dict[str, float])
    rank_stabilised: bool = False

    def alpha_of(self, module: str, *, default: float) -> float:
        """Alpha of a module without an alpha tensor."""
        for end, alpha in self.alphas.items():
            if module == end or module.endswith(f".{end}"):
                return alpha
        return default if self.alpha is None else self.alpha


def read_settings(metadata: Mapping[str, object]) -> LoraSettings:
    """Find the settings in a file's metadata; texts that hold JSON are looked into."""
    alpha: float | None = None
    alphas: dict[str, float] = {}
    stabilised = False
    for path, value in _entries(metadata):
        if _STABILISED.fullmatch(path):
            stabilised = str(value).strip().lower() in ("true", "1")
        match = next((m for form in _ALPHAS if (m := form.fullmatch(path))), None)
        number = _number(value)
        if match is None or number is None:
            continue
        if match["module"]:
            alphas[match["module"]] = number
        else:
            alpha = number
    return LoraSettings(alpha=alpha, alphas=alphas, rank_stabilised=stabilised)


def _entries(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted path and value of every setting, whatever it is nested in."""
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
