"""CUDA devices without a GPU: ComfyUI 0.33 on fake tensors, with a stand-in for its memory manager.

Fake tensors have a device, a shape and a dtype, but no values, so what runs on them shows wrong
devices, missing clones, staged bytes, live bytes and the number of operations; it shows no values
and no speed. Import this after ComfyUI's modules can be imported, call ``simulate`` once, and build
and run networks inside ``fake_tensors()``.
"""

from __future__ import annotations

import collections
import weakref
from types import SimpleNamespace
from typing import Any

import comfy.memory_management
import comfy.model_management as mm
import comfy.model_patcher
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda", 0)
SECOND = torch.device("cuda", 1)
_ALIGNMENT = 512  # bytes, of an allocation in the staging buffer


def fake_tensors() -> FakeTensorMode:
    """A mode in which ``torch.empty(..., device="cuda")`` works without CUDA."""
    return FakeTensorMode(allow_non_fake_inputs=True)


def simulate(*, dynamic: bool = True, free_bytes: int = 20 << 30, devices: int = 1) -> None:
    """Make this process's ComfyUI believe in ``devices`` CUDA devices.

    Args:
        dynamic: use the dynamic memory manager (comfy-aimdo), the default on NVIDIA.
        free_bytes: what every device says is free.
        devices: how many there are: cuda:0, cuda:1, ...
    """
    mm.cpu_state = mm.CPUState.GPU
    mm.vram_state = mm.VRAMState.NORMAL_VRAM
    mm.set_vram_to = mm.VRAMState.NORMAL_VRAM
    mm.NUM_STREAMS = 0
    mm.get_torch_device = lambda: CUDA
    mm.get_all_torch_devices = lambda exclude_current=False: [
        torch.device("cuda", index) for index in range(int(exclude_current), devices)
    ]
    mm.get_free_memory = lambda dev=None, torch_free_too=False: (
        (free_bytes, free_bytes) if torch_free_too else free_bytes
    )
    mm.soft_empty_cache = lambda force=False: None
    mm.synchronize = lambda *args: None
    torch.cuda.synchronize = lambda device=None: None
    mm.should_use_bf16 = lambda *args, **keywords: True
    mm.should_use_fp16 = lambda *args, **keywords: True
    if dynamic:
        _simulate_dynamic_memory()


def _simulate_dynamic_memory() -> None:
    import comfy_aimdo.host_buffer
    import comfy_aimdo.model_vbar
    import comfy_aimdo.torch

    comfy_aimdo.model_vbar.ModelVBAR = StagingBuffer
    comfy_aimdo.model_vbar.vbar_fault = lambda allocation: b"signature"
    comfy_aimdo.model_vbar.vbar_unpin = lambda allocation: None
    comfy_aimdo.model_vbar.vbars_analyze = lambda device=None: 0
    comfy_aimdo.host_buffer.HostBuffer = HostBuffer
    comfy_aimdo.torch.aimdo_to_tensor = _staged_tensor
    comfy.model_patcher.CoreModelPatcher = comfy.model_patcher.ModelPatcherDynamic
    comfy.memory_management.aimdo_enabled = True


class StagingBuffer:
    """Where weights are paged in; ``off`` is what was ever reserved, in bytes."""

    def __init__(self, size: int, device: int) -> None:
        self.max, self.device, self.off = size, device, 0
        self.tensors: dict[int, torch.Tensor] = {}

    def alloc(self, count: int) -> Any:
        allocation = (self, self.off, count)
        self.off += -(-count // _ALIGNMENT) * _ALIGNMENT
        return allocation

    def prioritize(self, *_: Any) -> None: ...

    def deprioritize(self) -> None: ...

    def loaded_size(self) -> int:
        return self.off

    def free_memory(self, _count: int) -> int:
        return 0


class HostBuffer(SimpleNamespace):
    """Pinned main memory; there is none."""

    def __init__(self, *_: Any) -> None:
        super().__init__(size=0)

    def truncate(self, *_: Any, **__: Any) -> None: ...


def _staged_tensor(allocation: Any, device: torch.device) -> torch.Tensor:
    if not isinstance(allocation, tuple):
        return torch.empty(allocation, dtype=torch.uint8, device=device)
    buffer, offset, count = allocation
    if offset not in buffer.tensors:
        buffer.tensors[offset] = torch.empty(count, dtype=torch.uint8, device=device)
    return buffer.tensors[offset]


class DeviceWatch(TorchDispatchMode):
    """Counts operations and live bytes on CUDA devices, and notes operations on mixed devices.

    Attributes:
        operations: calls by operator name.
        live, peak: bytes of CUDA storages made inside, now and at most.
        mixed: operators whose tensors (of one dimension or more) lay on several devices.
        non_blocking: copies asked to return before they are done, by (from, to) device type.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: collections.Counter[str] = collections.Counter()
        self.mixed: list[str] = []
        self.non_blocking: collections.Counter[tuple[str, str]] = collections.Counter()
        self.live = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        name = str(func).removeprefix("aten.")
        if len({x.device for x in given if x.ndim}) > 1 and "copy" not in name:
            self.mixed.append(name)
        if kwargs.get("non_blocking") and given:
            target = kwargs.get("device") or given[0].device
            self.non_blocking[given[-1].device.type, torch.device(target).type] += 1
        result = func(*args, **kwargs)
        self.operations[name] += 1
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "cuda":
                self._track(tensor.untyped_storage())
        return result

    def _track(self, storage: Any) -> None:
        key, count = id(storage), storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.live += count
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._release, key, count)

    def _release(self, key: int, count: int) -> None:
        self._seen.discard(key)
        self.live -= count
