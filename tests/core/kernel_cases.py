"""Prints how far the activation's kernel is from the convolutions, a line a case.

Run with ``TRITON_INTERPRET=1``: Triton then runs its kernels on the CPU, a thread after another.
"""

import torch

from mmaudio_core.models.bigvgan.activation import Filters, fir_convolution, lowpass
from tests.golden_files import relative_error

# 1024 outputs are one program's
CASES = [*((torch.float32, length) for length in (1, 3, 8, 100, 1030)), (torch.bfloat16, 100)]


def main() -> None:
    from mmaudio_core.models.kernels.snake_triton import (
        activate,  # here: not every torch has Triton
    )

    draw = torch.Generator().manual_seed(0)
    frequency, magnitude = (torch.rand(3, 1, generator=draw) + 0.5 for _ in range(2))
    # filters that are no mirror images, so that a tap in another's place shows
    raising, lowering = (lowpass() + torch.rand(12, generator=draw) / 9 for _ in range(2))
    filters = Filters(frequency, magnitude, raising=raising, lowering=lowering)
    exact = Filters(*(x.double() for x in filters))
    for dtype, length in CASES:
        x = torch.randn(2, 3, length, generator=draw).to(dtype)
        made = activate(x, *filters, dtype)
        assert made.dtype == dtype
        print(relative_error(made, fir_convolution(x.double(), exact)))


if __name__ == "__main__":
    main()
