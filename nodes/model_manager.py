"""The core's networks under ComfyUI's memory management."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import comfy.model_management as mm
import comfy.model_patcher
import comfy.ops
import torch
from torch import nn

from ..mmaudio_core.checkpoint import Bundle, Part, PartKind, fingerprint_part, load_part
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.models.clip import CLIP
from ..mmaudio_core.models.flow import FlowParams
from ..mmaudio_core.models.synchformer import SyncHead, Synchformer
from ..mmaudio_core.models.vae import VAE
from ..mmaudio_core.providers import LoadedModel, fast_bf16_cpu
from . import compat
from .attention import encoder_attention, vae_attention
from .comfy_model import ComfyFlowNetwork, MMAudioBaseModel
from .feature_cache import feature_cache_from_environment
from .sampling_checks import add_sampling_checks

AUTO, FP8 = "auto", "fp8_e4m3fn"
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = (AUTO, *_DTYPES, FP8)
# Small, and their errors are heard directly: float32 unless a precision is chosen.
_DECODERS = (PartKind.VAE, PartKind.VOCODER)


def precision_dtype(precision: str, kind: PartKind = PartKind.FLOW) -> torch.dtype:
    """The dtype that a network computes in: the chosen one, or the device's fastest.

    fp8 is only how weights are stored; the network then computes as with ``auto``.
    """
    if precision in _DTYPES:
        return _DTYPES[precision]
    if kind in _DECODERS:
        return torch.float32
    device, _ = _devices(kind)
    if mm.is_device_cpu(device):
        return torch.bfloat16 if fast_bf16_cpu() else torch.float32
    if mm.should_use_bf16(device):
        return torch.bfloat16
    if mm.should_use_fp16(device):
        return torch.float16
    return torch.float32


class ComfyModels:
    """The networks of a bundle, each a ModelPatcher, read from disk at first use."""

    def __init__(self, bundle: Bundle, precision: str) -> None:
        self.bundle = bundle
        self.precision = precision
        self.feature_cache = feature_cache_from_environment()
        self._fingerprints: dict[PartKind, str] = {}
        self._patchers: dict[PartKind, comfy.model_patcher.ModelPatcher] = {}

    @property
    def params(self) -> FlowParams:
        return self.bundle.params

    @property
    def model(self) -> comfy.model_patcher.ModelPatcher:
        """The flow network as ComfyUI's MODEL."""
        return self._patcher(PartKind.FLOW)

    @property
    def encoders_on_gpu(self) -> bool:
        """Whether CLIP and Synchformer run on an accelerator."""
        return not mm.is_device_cpu(_devices(PartKind.CLIP)[0])

    def get_models(self) -> list[comfy.model_patcher.ModelPatcher]:
        """The networks that were read, for ComfyUI's memory management."""
        return list(self._patchers.values())

    def fingerprint(self, kind: PartKind) -> str:
        """See ``ModelProvider``."""
        if kind not in self._fingerprints:
            weights = fingerprint_part(self.bundle.part(kind))
            stored = FP8 if self.precision == FP8 else "plain"
            self._fingerprints[kind] = f"{weights}:{stored}:{self.compute_dtype(kind)}"
        return self._fingerprints[kind]

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        return precision_dtype(self.precision, kind)

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        """See ``ModelProvider``; ComfyUI frees the memory."""
        patcher = self._patcher(kind)
        mm.load_models_gpu([patcher], memory_required=activation_bytes)
        network = patcher.model
        return LoadedModel(
            network=network.diffusion_model if kind is PartKind.FLOW else network,
            device=patcher.load_device,
            dtype=self.compute_dtype(kind),
            name=self.bundle.part(kind).path.name,
        )

    def _patcher(self, kind: PartKind) -> comfy.model_patcher.ModelPatcher:
        if kind not in self._patchers:
            self._patchers[kind] = read_patcher(self.bundle.part(kind), self.precision)
        return self._patchers[kind]


def read_patcher(
    part: Part, precision: str, *, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    """Read one network from disk as a ModelPatcher.

    ComfyUI calls it again through ``cached_patcher_init`` for clones with weights of their own: to
    compile, to train, for hooks, for another device.

    Args:
        part: which network.
        precision: one of ``PRECISIONS``.
        disable_dynamic: weights stay where they are put, instead of being paged in at use.
    """
    load_device, offload_device = _devices(part.kind)
    dtype = precision_dtype(precision, part.kind)
    network = load_part(
        part,
        dtype=dtype,
        device=offload_device,
        operations=comfy.ops.manual_cast,
        network=_BUILDERS.get(part.kind),
    )
    if precision == FP8 and part.kind not in _DECODERS:
        _check_fp8(load_device)
        _store_fp8(network)
    if isinstance(network, ComfyFlowNetwork):
        network = MMAudioBaseModel(network, part.path.name)
    patcher_class = (
        comfy.model_patcher.ModelPatcher if disable_dynamic else compat.model_patcher_class()
    )
    patcher = patcher_class(network, load_device=load_device, offload_device=offload_device)
    patcher.cached_patcher_init = (read_patcher, (part, precision))
    if part.kind is PartKind.FLOW:
        add_sampling_checks(patcher)
    return patcher


_BUILDERS: dict[PartKind, Callable[..., nn.Module]] = {
    PartKind.FLOW: ComfyFlowNetwork,
    PartKind.CLIP: partial(CLIP, attention=encoder_attention),
    PartKind.SYNCHFORMER: partial(Synchformer, attention=encoder_attention),
    PartKind.SYNC_HEAD: partial(SyncHead, attention=encoder_attention),
    PartKind.VAE: lambda *args, **keywords: VAE(*args, attention=vae_attention(), **keywords),
}


def _check_fp8(device: torch.device) -> None:
    if not mm.supports_cast(device, torch.float8_e4m3fn):
        raise MMAudioError(
            f"got precision {FP8}, which {device.type} cannot convert from. Choose another "
            "precision in Load MMAudio Model."
        )


def _store_fp8(network: nn.Module) -> None:
    """Store the matrices of ComfyUI's layers in fp8; ComfyUI casts them at use.

    Biases, norms and bare parameters keep their dtype: they are small and lose too much in fp8.
    """
    for module in network.modules():
        weight = getattr(module, "weight", None)
        is_layer = hasattr(module, "comfy_cast_weights") and not isinstance(module, nn.Embedding)
        if is_layer and weight is not None and weight.ndim > 1:
            module.weight = nn.Parameter(weight.to(torch.float8_e4m3fn), requires_grad=False)
            # so that it is paged in as it is stored
            setattr(module, "weight_comfy_model_dtype", torch.float8_e4m3fn)  # noqa: B010


def _devices(kind: PartKind) -> tuple[torch.device, torch.device]:
    """Load device and offload device of a network."""
    if kind is PartKind.FLOW:
        return mm.get_torch_device(), mm.unet_offload_device()
    if kind in _DECODERS:
        return mm.vae_device(), mm.vae_offload_device()
    # vision models: ComfyUI's device for text encoders is the CPU on Apple and with --lowvram
    return mm.get_torch_device(), mm.text_encoder_offload_device()
