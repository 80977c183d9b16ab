"""Prints the relative error of the activation's Triton kernel, one line per case.

Run with ``TRITON_INTERPRET=1``, with which Triton interprets kernels on the CPU.
"""

import torch

from mmaudio_core.models.bigvgan.fir import ActivationParams, fir_convolution, lowpass_filter
from tests.golden_files import relative_error

# one program of the kernel computes 1024 outputs
CASES = [*((torch.float32, length) for length in (1, 3, 8, 100, 1030)), (torch.bfloat16, 100)]


def main() -> None:
    from mmaudio_core.models.kernels.snake_triton import activate  # not every torch has Triton

    generator = torch.Generator().manual_seed(0)
    frequency, magnitude = (torch.rand(3, 1, generator=generator) + 0.5 for _ in range(2))
    # asymmetric filters, so that a tap in the wrong place shows
    up, down = (lowpass_filter() + torch.rand(12, generator=generator) / 9 for _ in range(2))
    params = ActivationParams(frequency, magnitude, up_filter=up, down_filter=down)
    exact = ActivationParams(*(x.double() for x in params))
    for dtype, length in CASES:
        x = torch.randn(2, 3, length, generator=generator).to(dtype)
        result = activate(x, *params, dtype)
        assert result.dtype == dtype
        print(relative_error(result, fir_convolution(x.double(), exact)))


if __name__ == "__main__":
    main()
