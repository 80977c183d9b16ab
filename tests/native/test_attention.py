"""ComfyUI's attention kernels in our networks; simulated GPUs show that they are called."""

from __future__ import annotations

from .conftest import Inside


def test_the_vae_attends_by_comfyuis_kernels(inside: Inside) -> None:
    errors = inside("attention")("vae_kernels")
    assert len(errors) == 4
    assert max(errors.values()) < 1e-5, errors


def test_a_long_sound_is_decoded_by_the_kernel_in_slices(inside: Inside) -> None:
    found = inside("attention")("long_decode")
    assert found["fewer queries than keys"] == 4
    assert max(found["whole"], found["chunks"]) < 1e-5, found
