"""The vocoder's activation as a Triton kernel: interpreted on the CPU, and compiled for GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmaudio_core.models.bigvgan.activation import fused_kernel
from tests.core.kernel_cases import CASES

# a CUDA build without it fails
pytestmark = pytest.mark.skipif(
    torch.version.cuda is None, reason="Triton comes with torch's CUDA builds"
)
ROOT = Path(__file__).parents[2]


def test_the_kernel_makes_what_the_convolutions_make():
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
        # interpreted, bfloat16 is cut and not rounded
        assert error < (3e-7 if dtype == torch.float32 else 8e-3), (dtype, length)


@pytest.mark.parametrize("given", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("target", [("cuda", 75, 32), ("cuda", 90, 32), ("hip", "gfx942", 64)])
def test_the_kernel_compiles_for_gpus(
    target: tuple[str, int | str, int], given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmaudio_core.models.kernels import snake_triton as alias_free_triton

    monkeypatch.setattr("triton.knobs.cache.dir", str(tmp_path))
    kernel = alias_free_triton._kernel
    pointers = ["given", "made", "frequencies", "magnitudes", "raising", "lowering"]
    signature = dict.fromkeys(pointers, "*fp32") | {"given": f"*{given}", "made": f"*{given}"}
    signature |= {"channels": "i32", "length": "i32"}
    aligned = {(at,): [["tt.divisibility", 16]] for at in (*range(len(pointers)), 7)}
    source = ASTSource(fn=kernel, signature=signature, constexprs={}, attrs=aligned)
    compiled = triton.compile(source, target=GPUTarget(*target), options={"num_warps": 4})
    binary = "cubin" if target[0] == "cuda" else "hsaco"
    assert len(compiled.asm[binary]) > 1000


def test_where_there_is_no_gpu_there_is_no_kernel():
    assert fused_kernel(torch.device("cpu")) is None
    if not torch.cuda.is_available():
        assert fused_kernel(torch.device("cuda")) is None  # and no error
