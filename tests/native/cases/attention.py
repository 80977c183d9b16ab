"""Which of ComfyUI's attention kernels the networks call, and what they give."""

from __future__ import annotations

import tiny
import torch
from comfy.ldm.modules.diffusionmodules import model as comfy_vae
from mmaudio_pack.mmaudio_core.checkpoint import PartKind
from mmaudio_pack.mmaudio_core.models.attention import sdpa
from mmaudio_pack.nodes import attention


def case_vae_kernels() -> dict[str, float]:
    """Errors of ComfyUI's VAE kernels, with as many keys as queries and with more."""
    draw = torch.Generator().manual_seed(0)
    errors: dict[str, float] = {}
    for name in ("pytorch_attention", "normal_attention"):
        for keys in (40, 100):
            q, k, v = (torch.randn(2, 1, n, 512, generator=draw) for n in (40, keys, keys))
            got = attention.by_vae_kernel(getattr(comfy_vae, name), q, k, v)
            errors[f"{name} {keys}"] = tiny.relative_error(got, sdpa(q, k, v))
    return errors


def case_long_decode() -> dict[str, float]:
    """A VAE that attends by the kernel in slices decodes whole and in chunks as by torch's."""
    latents = torch.randn(1, 20, 200, generator=torch.Generator().manual_seed(0))
    vae = tiny.networks().acquire(PartKind.VAE, 0).network
    layer = vae.decoder.mid.attn_1
    usual, calls = layer.attention, []

    def sliced(q, k, v, *, causal=False):
        calls.append((q.shape[2], k.shape[2]))
        return attention.by_vae_kernel(comfy_vae.normal_attention, q, k, v)

    errors: dict[str, float] = {}
    for name, longest in (("whole", 200), ("chunks", 50)):
        expected = torch.cat(list(vae.decode_chunks(latents, longest)), dim=-1)
        layer.attention = sliced
        got = torch.cat(list(vae.decode_chunks(latents, longest)), dim=-1)
        layer.attention = usual
        errors[name] = tiny.relative_error(got, expected)
    return {**errors, "fewer queries than keys": sum(q < k for q, k in calls)}
