"""ComfyUI's model nodes on our MODEL: caches, compiling, guidance by attention, clones."""

from __future__ import annotations

import copy
import importlib
import logging
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import comfy.sample
import comfy.samplers
import tiny
import torch
import torch._dynamo.utils
from mmaudio_pack.mmaudio_core.checkpoint import PartKind
from mmaudio_pack.mmaudio_core.models.flow.hooks import NO_HOOKS, BlockHooks
from mmaudio_pack.nodes import comfy_model as native
from mmaudio_pack.nodes import conditioning, latents
from torch import Tensor, nn

CFG, STEPS = 4.5, 2
PARAMS = tiny.networks().params
FEATURES = tiny.features(PARAMS)
MODEL = tiny.networks().model
FLOW = MODEL.model.diffusion_model
POSITIVE, NEGATIVE = conditioning.to_conditioning(FEATURES)
START = latents.empty_latent(FEATURES.duration, PARAMS.audio)["samples"]


def node(name: str, module: str) -> Any:
    """A node of ComfyUI's extras; None where this version lacks it."""
    try:
        return getattr(importlib.import_module(f"comfy_extras.{module}"), name, None)
    except ModuleNotFoundError:
        return None


def call(class_: Any, *args: Any, **keywords: Any) -> Any:
    """First output of a node, of either API."""
    made = (
        class_.execute(*args, **keywords)
        if hasattr(class_, "execute")
        else getattr(class_(), class_.FUNCTION)(*args, **keywords)
    )
    return getattr(made, "args", made)[0]


def sample(model: Any, steps: int = STEPS, cfg: float = CFG) -> Tensor:
    return tiny.sample(model, FEATURES, steps=steps, cfg=cfg)


@contextmanager
def counted() -> Any:
    """How often the flow network itself ran."""
    calls: list[int] = []
    hook = FLOW.final_layer.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        yield calls
    finally:
        hook.remove()


def case_caches() -> dict[str, Any]:
    """Calls of the network and error against no cache, in 25 steps."""
    exact = sample(MODEL, 25)
    results: dict[str, Any] = {}
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # pyright: ignore
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name in ("EasyCacheNode", "LazyCacheNode"):
        for threshold in (0.0, 0.05, 0.2):
            model = call(node(name, "nodes_easycache"), MODEL, threshold, 0.15, 0.95, False)
            with counted() as calls:
                got = sample(model, 25)
            told = next(line for line in reversed(lines) if "skipped" in line)
            results[f"{name} {threshold}"] = {
                "calls": len(calls),
                "told": int(told.split("skipped ")[1].split("/")[0]),
                "error": tiny.relative_error(got, exact),
            }
    root.removeHandler(handler)
    root.setLevel(level)
    return results


def case_compiled() -> dict[str, Any]:
    """TorchCompileModel, with the backend that compiles nothing, to save time."""
    torch_helpers = importlib.import_module("comfy_api.torch_helpers")
    made = node("TorchCompileModel", "nodes_torch_compile")
    whole = call(made, MODEL, "inductor")
    model = whole.clone()
    torch_helpers.set_torch_compile_wrapper(
        model=model,
        backend="eager",
        options=None,
    )
    counters = torch._dynamo.utils.counters
    counters.clear()
    got = sample(model)
    return {
        "error": tiny.relative_error(got, sample(MODEL)),
        "graphs": counters["stats"]["unique_graphs"],
        "breaks": {str(k)[:300]: v for k, v in counters["graph_break"].items()},
        "class": type(whole).__name__,
    }


class Nag(BlockHooks):
    """Normalized attention guidance (arXiv 2505.21179), rows of the positive branch first."""

    def __init__(self, scale: float, alpha: float, tau: float) -> None:
        self.scale, self.alpha, self.tau = scale, alpha, tau

    def attention_output(self, output: Tensor, latents: int) -> Tensor:
        positive, negative = output[:, :latents].chunk(2)
        guided = positive + (self.scale - 1) * (positive - negative)
        ratio = guided.abs().sum(-1, keepdim=True) / positive.abs().sum(-1, keepdim=True)
        guided = guided * ratio.clamp(max=self.tau) / ratio
        final = self.alpha * guided + (1 - self.alpha) * positive
        return torch.cat([torch.cat([final, final]), output[:, latents:]], dim=1)


def velocities(
    x: Tensor, t: float, hooks: BlockHooks = NO_HOOKS, flow: Any = FLOW
) -> tuple[Tensor, Tensor]:
    """Velocity towards data of ``x`` (1, N, C) by the bare network: positive, negative."""
    clip = torch.cat([FEATURES.clip, flow.empty_clip(1, FEATURES.clip.shape[1])])
    sync = torch.cat([FEATURES.sync, flow.empty_sync(1, FEATURES.sync.shape[1])])
    text = torch.cat([FEATURES.text, FEATURES.negative])
    conditions = flow.conditions(clip, sync, text, x.shape[1])
    both = super(native.ComfyFlowNetwork, flow).forward(
        x.expand(2, -1, -1), torch.tensor([t]), conditions, None, hooks
    )
    return both[:1], both[1:]


def euler(velocity: Callable[[Tensor, float], Tensor]) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(1, *START.shape[2:], generator=draw)
    for step in range(STEPS):
        x = x + velocity(x, step / STEPS) / STEPS
    return FLOW.unnormalize(x)[:, None]


def guided(x: Tensor, t: float, hooks: BlockHooks = NO_HOOKS) -> Tensor:
    positive, negative = velocities(x, t, hooks)
    return negative + CFG * (positive - negative)


def case_nag() -> dict[str, Any]:
    nag = node("NAGuidance", "nodes_nag")
    if nag is None:
        return {"missing": True}
    model = call(nag, MODEL, 5.0, 0.5, 1.5)
    got = sample(model)
    return {
        "formula": tiny.relative_error(got, euler(lambda x, t: guided(x, t, Nag(5.0, 0.5, 1.5)))),
        "other alpha": tiny.relative_error(
            got, euler(lambda x, t: guided(x, t, Nag(5.0, 0.25, 1.5)))
        ),
        "plain": tiny.relative_error(sample(MODEL), euler(guided)),
        "effect": tiny.relative_error(got, sample(MODEL)),
    }


def without(double: int, single: int) -> Any:
    """The network without one joint and one fused block."""
    flow = copy.copy(FLOW)
    flow._modules = dict(FLOW._modules)
    flow.joint_blocks = nn.ModuleList(b for i, b in enumerate(FLOW.joint_blocks) if i != double)
    flow.fused_blocks = nn.ModuleList(b for i, b in enumerate(FLOW.fused_blocks) if i != single)
    return flow


def case_skip_layers() -> dict[str, Any]:
    """SkipLayerGuidanceDiT adds ``scale`` times the step from the network without the blocks."""
    results: dict[str, Any] = {"blocks": [len(FLOW.joint_blocks), len(FLOW.fused_blocks)]}
    skip = node("SkipLayerGuidanceDiT", "nodes_slg")
    simple = node("SkipLayerGuidanceDiTSimple", "nodes_slg")
    for name, double, single in (("double", 0, -1), ("single", -1, 1), ("both", 0, 1)):
        lacking = without(double, single)

        def reference(x: Tensor, t: float, lacking: Any = lacking) -> Tensor:
            positive, _ = velocities(x, t)
            return guided(x, t) + 3.0 * (positive - velocities(x, t, flow=lacking)[0])

        def in_negative(x: Tensor, t: float, lacking: Any = lacking) -> Tensor:
            positive, negative = velocities(x, t)[0], velocities(x, t, flow=lacking)[1]
            return negative + CFG * (positive - negative)

        layers = {"double_layers": str(max(double, 0)), "single_layers": str(max(single, 0))}
        if double < 0:
            layers["double_layers"] = ""
        if single < 0:
            layers["single_layers"] = ""
        times = {"start_percent": 0.0, "end_percent": 1.0}
        got = sample(call(skip, MODEL, scale=3.0, **times, **layers))
        by_simple = sample(call(simple, MODEL, **times, **layers))
        results[name] = {
            "formula": tiny.relative_error(got, euler(reference)),
            "effect": tiny.relative_error(got, sample(MODEL)),
            "simple": tiny.relative_error(by_simple, euler(in_negative)),
        }
    return results


def case_replaced_block() -> dict[str, float]:
    """A replacement that turns the text stream of a joint block around."""

    def replacement(args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
        out = extra["original_block"](args)
        return {**out, "txt": out["txt"].flip(-1)}

    class Flipped(BlockHooks):
        def joint_block(self, index: int, streams: Any, block: Any) -> Any:
            out = block(streams)
            return out._replace(text=out.text.flip(-1)) if index == 0 else out

    model = MODEL.clone()
    model.set_model_patch_replace(replacement, "dit", "double_block", 0)
    return {
        "error": tiny.relative_error(sample(model), euler(lambda x, t: guided(x, t, Flipped()))),
        "effect": tiny.relative_error(sample(model), sample(MODEL)),
    }


def case_attention_output_patch() -> dict[str, float]:
    """A patch that halves the latent's rows of what each block attended."""

    def patch(out: Tensor, extra: dict[str, Any]) -> Tensor:
        first, last = extra["img_slice"]
        return torch.cat([out[:, :first], out[:, first:last] / 2, out[:, last:]], dim=1)

    class Halved(BlockHooks):
        def attention_output(self, output: Tensor, latents: int) -> Tensor:
            return torch.cat([output[:, :latents] / 2, output[:, latents:]], dim=1)

    model = MODEL.clone()
    model.set_model_attn1_output_patch(patch)
    return {
        "error": tiny.relative_error(sample(model), euler(lambda x, t: guided(x, t, Halved()))),
        "effect": tiny.relative_error(sample(model), sample(MODEL)),
    }


def case_attention_override() -> dict[str, Any]:
    """``optimized_attention_override`` gets every attention of the network."""
    model = MODEL.clone()
    shapes: list[Any] = []

    def override(function: Any, q: Tensor, k: Tensor, v: Tensor, heads: int, **others: Any) -> Any:
        shapes.append([heads, others["transformer_options"]["block_type"]])
        return function(q, k, v, heads, **others)

    model.model_options["transformer_options"]["optimized_attention_override"] = override
    got = sample(model, 1)
    return {
        "error": tiny.relative_error(got, sample(MODEL, 1)),
        "double": sum(kind == "double" for _, kind in shapes),
        "single": sum(kind == "single" for _, kind in shapes),
        "blocks": [len(FLOW.joint_blocks), len(FLOW.fused_blocks)],
        "heads": sorted({heads for heads, _ in shapes}),
    }


def run_guider(guider: Any, steps: int = STEPS) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    noise = torch.randn(1, *START.shape[2:], generator=draw)[:, None]
    sigmas = torch.linspace(1, 0, steps + 1)
    return guider.sample(
        noise, START, comfy.samplers.sampler_object("euler"), sigmas, disable_pbar=True, seed=1
    )


def other_network(shift: float = 0.0) -> Any:
    """A MODEL with other weights, and its latents' mean moved by ``shift``."""
    model = copy.copy(tiny.networks.__wrapped__().model)
    flow = model.model.diffusion_model
    for index, parameter in enumerate(flow.joint_blocks.parameters()):
        if parameter.ndim > 1 and index % 3 == 0:
            parameter.mul_(0.9)
    flow.latent_mean += shift
    model.model.latent_format = native.MMAudioLatentFormat(flow.latent_mean, flow.latent_std)
    return model


def case_dual_model() -> dict[str, Any]:
    dual = node("DualModelGuider", "nodes_custom_sampler")
    if dual is None:
        return {"missing": True}
    other = other_network()

    def reference(x: Tensor, t: float) -> Tensor:
        negative = velocities(x, t, flow=other.model.diffusion_model)[1]
        return negative + CFG * (velocities(x, t)[0] - negative)

    got = run_guider(call(dual, MODEL, POSITIVE, CFG, other, NEGATIVE))
    calls = 0
    said = ""
    with counted() as ran:
        try:
            run_guider(call(dual, MODEL, POSITIVE, CFG, other_network(0.5), NEGATIVE))
        except ValueError as error:
            said = str(error)
        calls = len(ran)
    return {
        "formula": tiny.relative_error(got, euler(reference)),
        "effect": tiny.relative_error(got, sample(MODEL)),
        "said": said,
        "calls": calls,
    }


def case_context_windows() -> dict[str, Any]:
    windows = node("ContextWindowsManualNode", "nodes_context_windows")

    def patched(length: int) -> Any:
        others = {"context_schedule": "standard_static", "fuse_method": "pyramid"}
        return call(
            windows,
            MODEL,
            context_length=length,
            context_overlap=4,
            context_stride=1,
            closed_loop=False,
            dim=2,
            freenoise=False,
            **others,
        )

    said = ""
    with counted() as ran:
        try:
            sample(patched(16))
        except ValueError as error:
            said = str(error)
    return {
        "said": said,
        "calls": len(ran),
        "longer": tiny.relative_error(sample(patched(1000)), sample(MODEL)),
    }


def case_clones() -> dict[str, Any]:
    """Clones with weights of their own sample the same; the original keeps its own."""
    expected = sample(MODEL)
    results: dict[str, Any] = {"missing": []}
    for name, keywords in {
        "disable_dynamic": {"disable_dynamic": True},
        "force_deepcopy": {"force_deepcopy": True},
    }.items():
        try:
            clone = MODEL.clone(**keywords)
        except TypeError:  # not in 0.8.0
            results["missing"].append(name)
            continue
        results[name] = {
            "error": tiny.relative_error(sample(clone), expected),
            "own weights": clone.model is not MODEL.model,
        }
    if hasattr(MODEL, "deepclone_multigpu"):
        clone = MODEL.deepclone_multigpu(new_load_device=torch.device("cpu"))
        results["multigpu"] = {
            "error": tiny.relative_error(sample(clone), expected),
            "own weights": clone.model is not MODEL.model,
        }
    provider = tiny.networks()
    results["models"] = [m is MODEL for m in provider.get_models()]
    provider.acquire(PartKind.VAE, 0)
    results["with the VAE"] = len(provider.get_models())
    return results
