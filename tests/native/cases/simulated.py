"""All networks on simulated CUDA devices under ComfyUI's dynamic memory manager."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.ldm.modules.attention as comfy_attention
import comfy.model_management as mm
import simulated_gpu
import tiny
import torch
from comfy.ldm.modules.diffusionmodules import model as comfy_vae
from mmaudio_pack.mmaudio_core.checkpoint import PartKind, load
from mmaudio_pack.mmaudio_core.checkpoint.header import read_header
from mmaudio_pack.mmaudio_core.config import sequence_lengths
from mmaudio_pack.nodes import conditioning
from torch.utils._pytree import tree_map_only

PARAMS = tiny.networks(tiny.LARGE).params  # writes the files, with values
POSITIVE, _ = conditioning.to_conditioning(tiny.features(PARAMS))
LENGTHS = sequence_lengths(tiny.SECONDS, PARAMS.audio)
simulated_gpu.simulate(devices=2)
FAKE = simulated_gpu.fake_tensors()
KIB = 1024


@contextmanager
def _without_values(path: Path, keys: Mapping[str, str]) -> Iterator[dict[str, torch.Tensor]]:
    """``open_tensors`` on fake tensors."""
    infos = read_header(path).tensors
    yield {
        name: torch.empty(infos[stored].shape, dtype=infos[stored].dtype)
        for name, stored in keys.items()
    }


load.open_tensors = _without_values


def _conditions(model: Any, device: torch.device) -> dict[str, Any]:
    ((text, entries),) = POSITIVE
    text, entries = tree_map_only(torch.Tensor, FAKE.from_tensor, (text, entries))
    latent = torch.empty(2, 1, LENGTHS.latent, PARAMS.latent_dim, device=device)
    return model.model.extra_conds(cross_attn=text, noise=latent, device=device, **entries)


def _flow(model: Any) -> torch.Tensor:
    """One prediction of the MODEL, without a sampler, which looks at values."""
    device = model.load_device
    conds = _conditions(model, device)
    given = {name: cond.process_cond(2, device=device).cond for name, cond in conds.items()}
    latent = torch.empty(2, 1, LENGTHS.latent, PARAMS.latent_dim, device=device)
    sigma = torch.ones(2, device=device)
    return model.model.apply_model(latent, sigma, transformer_options={}, **given)


def _run(kind: PartKind, provider: Any) -> torch.device:
    loaded = provider.acquire(kind, 0)
    device, dtype = loaded.device, loaded.dtype
    network = loaded.network
    if kind is PartKind.CLIP:
        image = torch.zeros(2, 3, 384, 384, dtype=torch.uint8, device=device)
        network.encode_text(torch.zeros(2, 77, dtype=torch.int64, device=device), dtype=dtype)
        return network.encode_image(image, dtype=dtype).device
    if kind is PartKind.SYNCHFORMER:
        segments = torch.zeros(2, 16, 3, 224, 224, dtype=torch.uint8, device=device)
        return network.encode_segments(segments, dtype=dtype).device
    if kind is PartKind.SYNC_HEAD:
        audio = network.encode_segments(torch.zeros(14, 128, 66, device=device), dtype=dtype)
        visual = torch.zeros(1, 14 * 8, audio.shape[-1], device=device)
        return network.offset_logits(visual, audio.flatten(0, 1)[None], dtype=dtype).device
    if kind is PartKind.VAE:
        latent = torch.zeros(1, PARAMS.latent_dim, LENGTHS.latent, device=device, dtype=dtype)
        return network.decode(latent).device
    if kind is PartKind.VOCODER:
        return network(torch.zeros(1, PARAMS.audio.mels, 64, device=device, dtype=dtype)).device
    return _flow(provider.model).device


def _stored(network: torch.nn.Module) -> dict[str, int]:
    """Bytes of the parameters of layers, as stored.

    ComfyUI pages in layers of more than 16 KiB, each parameter in whole KiB; smaller ones lie on
    the device from the start.
    """
    layers = [m for m in network.modules() if hasattr(m, "comfy_cast_weights")]
    by_layer = [[p.nbytes for p in m.parameters(recurse=False)] for m in layers]
    paged = [sizes for sizes in by_layer if sum(sizes) > 16 * KIB]
    return {
        "paged": sum(map(sum, paged)),
        "paged in whole KiB": sum(-(-size // KIB) * KIB for sizes in paged for size in sizes),
        "at once": sum(map(sum, by_layer)) - sum(map(sum, paged)),
    }


@contextmanager
def _counted_kernels() -> Iterator[Counter[str]]:
    """Calls of ComfyUI's attention: its choice for networks and for VAEs."""
    calls: Counter[str] = Counter()
    usual, usual_vae = comfy_attention.optimized_attention, comfy_vae.pytorch_attention

    def counted(name: str, kernel: Any) -> Any:
        def call(*args: Any, **keywords: Any) -> Any:
            calls[name] += 1
            return kernel(*args, **keywords)

        return call

    comfy_attention.optimized_attention = counted("network", usual)
    comfy_vae.vae_attention = lambda: counted("VAE", usual_vae)
    try:
        yield calls
    finally:
        comfy_attention.optimized_attention = usual


def case_precisions() -> dict[str, Any]:
    """Load, run, unload, and run again; by precision and network."""
    found: dict[str, Any] = {}
    for precision in ("auto", "fp32", "fp8_e4m3fn"):
        with FAKE:
            provider = tiny.networks.__wrapped__(tiny.LARGE, precision)
            for kind in PartKind:
                with simulated_gpu.DeviceWatch() as watch, _counted_kernels() as kernels:
                    devices = [str(_run(kind, provider))]
                    loaded = [len(mm.current_loaded_models)]
                    mm.unload_all_models()
                    loaded.append(len(mm.current_loaded_models))
                    once = dict(kernels)
                    devices.append(str(_run(kind, provider)))
                patcher = provider._patcher(kind)
                buffer = patcher._vbar_get()
                found[f"{precision} {kind.value}"] = {
                    "devices": devices,
                    "loaded": loaded,
                    "attention": once,
                    "class": type(patcher).__name__,
                    "mixed": watch.mixed,
                    "operations": sum(watch.operations.values()),
                    "peak": watch.peak,
                    "non_blocking": {f"{a}>{b}": n for (a, b), n in watch.non_blocking.items()},
                    "staged": buffer.off,
                    "stored": _stored(patcher.model),
                    "dtypes": sorted({str(p.dtype) for p in patcher.model.parameters()}),
                }
                mm.unload_all_models()
    return found


def case_clones() -> dict[str, Any]:
    """Clones that leave dynamic memory, and their placement."""
    with FAKE:
        provider = tiny.networks.__wrapped__(tiny.LARGE, "auto")
        model = provider.model
        still = model.clone(disable_dynamic=True)
        deep = model.clone(force_deepcopy=True)
        found = {
            name: {"class": type(clone).__name__, "own weights": clone.model is not model.model}
            for name, clone in (("disable_dynamic", still), ("force_deepcopy", deep))
        }
        compile_node = importlib.import_module("comfy_extras.nodes_torch_compile")
        compiled = compile_node.TorchCompileModel.execute(model, "inductor").args[0]
        found["compiled"] = {
            "class": type(compiled).__name__,
            "own weights": compiled.model is not model.model,
        }
    return found


def case_two_devices() -> dict[str, Any]:
    """MultiGPU CFG Split and Select Model Device put networks on the second device."""
    nodes = importlib.import_module("comfy_extras.nodes_multigpu")
    found: dict[str, Any] = {}
    with FAKE:
        provider = tiny.networks.__wrapped__(tiny.LARGE, "auto")
        model = provider.model
        split = nodes.MultiGPUCFGSplitNode.execute(model, 2).args[0]
        (second,) = split.get_additional_models_with_key("multigpu")
        chosen = nodes.SelectModelDeviceNode.execute(model, "gpu:1").args[0]
        for name, patcher in (("split", second), ("selected", chosen)):
            mm.load_models_gpu([patcher])
            with simulated_gpu.DeviceWatch() as watch:
                out = _flow(patcher)
            found[name] = {
                "load device": str(patcher.load_device),
                "output": str(out.device),
                "own weights": patcher.model is not model.model,
                "mixed": watch.mixed,
            }
        mm.load_models_gpu([model])
        cond = _conditions(model, simulated_gpu.CUDA)["projected"]
        other = cond.cond.to(simulated_gpu.SECOND)
        found["conditions"] = sorted(
            {str(t.device) for branch in other.branches for c in branch for t in vars(c).values()}
        )
    return found
