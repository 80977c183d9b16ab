"""Which networks are kept, and where and in what precision they run."""

from __future__ import annotations

import pytest
import torch

from mmaudio_core.batch.networks import Networks, choose_device, choose_dtype
from mmaudio_core.checkpoint import Bundle, Catalog, PartKind
from mmaudio_core.checkpoint.kinds import MODEL_PARTS
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from mmaudio_core.errors import MMAudioError

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("weights")
    write_synthetic_bundle(folder, variant="small_16k")
    catalog = Catalog([(path.name, path) for path in folder.iterdir()])
    return catalog.bundle("small_16k", dtype=torch.float32)


def weights(networks: Networks, kind: PartKind) -> int:
    network = networks.acquire(kind, 0).network
    return sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))


def test_networks_that_fit_are_read_once(bundle: Bundle) -> None:
    networks = Networks(bundle, CPU, "fp32")
    first = [networks.acquire(kind, 10**12) for kind in MODEL_PARTS]
    assert networks.resident == MODEL_PARTS
    assert all(networks.acquire(k, 10**12) is m for k, m in zip(MODEL_PARTS, first, strict=True))


def test_the_network_used_longest_ago_gives_way(bundle: Bundle) -> None:
    sizes = {kind: weights(Networks(bundle, CPU, "fp32"), kind) for kind in MODEL_PARTS}
    small = (PartKind.VAE, PartKind.VOCODER, PartKind.SYNCHFORMER)
    room = sum(sizes[kind] for kind in small) + 2_000_000
    networks = Networks(bundle, CPU, "fp32", room)
    for kind in small:
        networks.acquire(kind, 0)
    assert networks.resident == small
    kept = networks.acquire(PartKind.VAE, 1_000_000)
    assert networks.resident == (*small[1:], PartKind.VAE)
    networks.acquire(PartKind.VAE, 2_500_000)  # activations need room too
    assert networks.resident == (PartKind.SYNCHFORMER, PartKind.VAE)
    assert networks.acquire(PartKind.VAE, 0) is kept
    networks.acquire(PartKind.CLIP, 0)  # larger than all of the room: alone
    assert sizes[PartKind.CLIP] > room
    assert networks.resident == (PartKind.CLIP,)


def test_a_gpu_is_filled_but_for_what_its_driver_needs(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torch has reserved and not handed out is free as well."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**9, 2 * 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 300_000_000)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 100_000_000)
    networks = Networks(bundle, CUDA, "fp32")
    assert networks._room(5) == 1_200_000_000 - 512 * 1024**2 + 5  # pyright: ignore


def test_the_precision_is_the_fastest_that_a_device_has(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for capability, expected in (
        ((9, 0), torch.bfloat16),
        ((7, 5), torch.float16),
        ((6, 1), torch.float32),
    ):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, c=capability: c)
        assert choose_dtype("auto", CUDA, PartKind.FLOW) is expected
        assert choose_dtype("auto", CUDA, PartKind.VOCODER) is torch.float32
    assert choose_dtype("bf16", CPU, PartKind.VOCODER) is torch.bfloat16
    loaded = Networks(bundle, CPU, "bf16").acquire(PartKind.VAE, 0)
    assert loaded.dtype is torch.bfloat16
    assert next(loaded.network.parameters()).dtype is torch.bfloat16


def test_a_device_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:0") == CUDA
    assert choose_device("cpu") == CPU
    for name in ("cuda:1", "meta", "gpu"):
        with pytest.raises(MMAudioError, match=f"got the device '{name}'"):
            choose_device(name)
