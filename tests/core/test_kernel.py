"""The vocoder's activation as a Triton kernel: interpreted on the CPU, and compiled for GPUs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmaudio_core.models.bigvgan.activation import TRITON_VARIABLE, checked_kernel, fused_kernel
from mmaudio_core.models.bigvgan.fir import ActivationParams, fir_convolution
from tests.core.kernel_cases import CASES

# a CUDA build without Triton fails
pytestmark = pytest.mark.skipif(
    torch.version.cuda is None, reason="Triton comes with torch's CUDA builds"
)
ROOT = Path(__file__).parents[2]
CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def unchecked() -> None:
    checked_kernel.cache_clear()


def test_kernel_agrees_with_the_convolutions():
    ran = subprocess.run(
        [sys.executable, "-m", "tests.core.kernel_cases"],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    errors = [float(line) for line in ran.stdout.splitlines()]
    for (dtype, length), error in zip(CASES, errors, strict=True):
        # the interpreter truncates to bfloat16 instead of rounding
        assert error < (3e-7 if dtype == torch.float32 else 8e-3), (dtype, length)


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("target", [("cuda", 75, 32), ("cuda", 90, 32), ("hip", "gfx942", 64)])
def test_kernel_compiles_for_gpus(
    target: tuple[str, int | str, int], dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmaudio_core.models.kernels import snake_triton

    monkeypatch.setattr("triton.knobs.cache.dir", str(tmp_path))
    pointers = ["x", "out", "frequencies", "magnitudes", "up_taps", "down_taps"]
    signature = dict.fromkeys(pointers, "*fp32") | {"x": f"*{dtype}", "out": f"*{dtype}"}
    signature |= {"channels": "i32", "length": "i32"}
    aligned = {(at,): [["tt.divisibility", 16]] for at in (*range(len(pointers)), 7)}
    source = ASTSource(fn=snake_triton._kernel, signature=signature, constexprs={}, attrs=aligned)
    compiled = triton.compile(source, target=GPUTarget(*target), options={"num_warps": 4})
    binary = "cubin" if target[0] == "cuda" else "hsaco"
    assert len(compiled.asm[binary]) > 1000


def test_kernel_is_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "mmaudio_core.models.bigvgan.activation.checked_kernel", lambda _device: fir_convolution
    )
    monkeypatch.delenv(TRITON_VARIABLE, raising=False)
    assert fused_kernel(GPU) is None
    monkeypatch.setenv(TRITON_VARIABLE, "1")
    assert fused_kernel(GPU) is fir_convolution
    assert fused_kernel(CPU) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="the kernel compiles here")
def test_kernel_that_cannot_be_compiled_is_not_used(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        assert checked_kernel(GPU) is None
    assert "without the Triton kernel" in caplog.text


@pytest.mark.parametrize("error", [0.0, 0.1])
def test_kernel_with_another_result_is_not_used(error: float, monkeypatch: pytest.MonkeyPatch):
    def activate(x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return fir_convolution(x, ActivationParams(*rest[:4])) + error

    monkeypatch.setattr("mmaudio_core.models.kernels.snake_triton.activate", activate)
    assert checked_kernel(CPU) is (None if error else activate)
