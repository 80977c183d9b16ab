"""The networks of a run: kept where they fit, in turn where they do not."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

import torch

from ..checkpoint import Bundle, PartKind, fingerprint_part, load_part
from ..errors import MMAudioError, Problem
from ..feature_cache import FeatureCache
from ..models.flow import FlowParams
from ..providers import LoadedModel, fast_bf16_cpu

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Small, and their errors are heard directly: float32 unless a precision is chosen.
_DECODERS = (PartKind.VAE, PartKind.VOCODER)
_HEADROOM = 512 * 1024 * 1024
"""Bytes of a GPU's memory that are left to the driver's libraries and to fragmentation."""


def choose_device(name: str) -> torch.device:
    """The device of that name; auto is the first of cuda, xpu, mps and cpu that is there.

    Raises:
        MMAudioError: there is no such device.
    """
    if name == "auto":
        for kind in ("cuda", "xpu", "mps"):
            if _is_there(kind):
                return torch.device(kind)
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or not (device.type == "cpu" or _is_there(device.type, device.index or 0)):
        raise MMAudioError(
            f"got the device {name!r}, which torch {torch.__version__} does not find, expected "
            "auto, cpu, or one such as cuda:0",
            Problem.OPTION,
        )
    return device


def _is_there(kind: str, index: int = 0) -> bool:
    if kind == "mps":
        return torch.backends.mps.is_available()
    module = {"cuda": torch.cuda, "xpu": getattr(torch, "xpu", None)}.get(kind)
    return module is not None and module.is_available() and index < module.device_count()


def choose_dtype(precision: str, device: torch.device, kind: PartKind) -> torch.dtype:
    """Dtype of a network's arithmetic: the chosen one, or the device's fastest.

    Args:
        precision: one of ``PRECISIONS``.
        device: of the network.
        kind: which network.
    """
    if precision in _DTYPES:
        return _DTYPES[precision]
    if kind in _DECODERS:
        return torch.float32
    if device.type == "cpu":
        return torch.bfloat16 if fast_bf16_cpu() else torch.float32
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability >= (8, 0):
            return torch.bfloat16
        return torch.float16 if capability >= (7, 0) else torch.float32
    return torch.bfloat16 if device.type == "xpu" else torch.float32


class Networks:
    """A ``ModelProvider`` with a bound for the weights and activations on its device.

    The network that was used longest ago gives way first: to main memory if the device is another,
    else it is read again when it is needed. One that is larger than the bound runs alone.

    Args:
        bundle: the five networks.
        device: where they run.
        precision: one of ``PRECISIONS``.
        max_bytes: the bound; None for what a GPU has free, and for no bound on a CPU.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: torch.device,
        precision: str = "auto",
        max_bytes: int | None = None,
    ) -> None:
        self.bundle = bundle
        self.device = device
        self.precision = precision
        # What it holds would decide which frames are encoded together, and so the last bits.
        self.feature_cache = FeatureCache(0)
        self._max_bytes = max_bytes
        self._resident: OrderedDict[PartKind, LoadedModel] = OrderedDict()
        self._waiting: dict[PartKind, LoadedModel] = {}

    @property
    def params(self) -> FlowParams:
        return self.bundle.params

    @property
    def resident(self) -> tuple[PartKind, ...]:
        """The networks that are on the device, that used last at the end."""
        return tuple(self._resident)

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        return choose_dtype(self.precision, self.device, kind)

    def fingerprint(self, kind: PartKind) -> str:
        return f"{fingerprint_part(self.bundle.part(kind))}:{self.compute_dtype(kind)}"

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        """See ``ModelProvider``."""
        loaded = self._resident.pop(kind, None)
        needed = activation_bytes + (0 if loaded else self._weight_bytes(kind))
        kept = _bytes(loaded) if loaded else 0
        while self._resident and needed + kept + sum(map(_bytes, self._resident.values())) > (
            self._room(kept)
        ):
            self._give_way()
        self._resident[kind] = loaded or self._load(kind)
        return self._resident[kind]

    def _room(self, kept: int) -> int:
        """Bytes for weights and activations, those that are there counted."""
        if self._max_bytes is not None:
            return self._max_bytes
        if self.device.type != "cuda":
            return 2**62
        free = torch.cuda.mem_get_info(self.device)[0] + torch.cuda.memory_reserved(self.device)
        free -= torch.cuda.memory_allocated(self.device)
        return free - _HEADROOM + kept + sum(map(_bytes, self._resident.values()))

    def _give_way(self) -> None:
        kind, model = self._resident.popitem(last=False)
        if self.device.type != "cpu":
            self._waiting[kind] = replace(model, network=model.network.to("cpu"))
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _load(self, kind: PartKind) -> LoadedModel:
        waiting = self._waiting.pop(kind, None)
        if waiting is not None:
            return replace(waiting, network=waiting.network.to(self.device))
        part, dtype = self.bundle.part(kind), self.compute_dtype(kind)
        return LoadedModel(
            network=load_part(part, dtype=dtype, device=self.device),
            device=self.device,
            dtype=dtype,
            name=part.path.name,
        )

    def _weight_bytes(self, kind: PartKind) -> int:
        """Of a network that is not loaded: its tensors in the dtype that it will have."""
        values = sum(torch.Size(shape).numel() for shape in self.bundle.part(kind).shapes.values())
        return values * self.compute_dtype(kind).itemsize


def _bytes(model: LoadedModel) -> int:
    network = model.network
    return sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))
