"""The feature cache as the environment configures it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import folder_paths
import torch

from ..mmaudio_core.checkpoint import PartKind
from ..mmaudio_core.feature_cache import DEFAULT_BYTES, FeatureCache
from ..mmaudio_core.models.flow import FlowParams
from ..mmaudio_core.providers import LoadedModel, ModelProvider

SIZE = "MMAUDIO_FEATURE_CACHE_MB"  # of main memory; 0 keeps nothing there
FOLDER = "MMAUDIO_FEATURE_CACHE"  # of features on disk, kept until someone deletes them

log = logging.getLogger(__name__)


def feature_cache_from_environment() -> FeatureCache:
    """A new cache of the size and with the folder that the environment names."""
    return FeatureCache(_max_bytes(), folder_from_environment())


def folder_from_environment() -> Path | None:
    """The folder that the environment names; None keeps features in memory only."""
    folder = os.environ.get(FOLDER)
    return Path(folder).expanduser() if folder else None


class _OnDisk:
    """The same networks with a cache of their own; see ``ModelProvider``."""

    def __init__(self, networks: ModelProvider, cache: FeatureCache) -> None:
        self._networks = networks
        self.feature_cache = cache

    @property
    def params(self) -> FlowParams:
        return self._networks.params

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        return self._networks.compute_dtype(kind)

    def fingerprint(self, kind: PartKind) -> str:
        return self._networks.fingerprint(kind)

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        return self._networks.acquire(kind, activation_bytes)


def with_cache_on_disk(networks: ModelProvider) -> ModelProvider:
    """The same networks, whose features are kept on disk.

    That is the folder that the environment names, else one in ComfyUI's user folder.
    """
    if folder_from_environment() is not None:
        return networks
    return _OnDisk(networks, FeatureCache(_max_bytes(), folder_of_training()))


def folder_of_training() -> Path:
    """Where features for training are kept, unless the environment names a folder."""
    return Path(folder_paths.get_user_directory(), "mmaudio", "features")


def _max_bytes() -> int:
    text = os.environ.get(SIZE)
    if not text:
        return DEFAULT_BYTES
    try:
        return max(0, int(float(text) * 1024 * 1024))
    except (ValueError, OverflowError):
        log.warning(
            "MMAudio: got %s=%s, expected a number of megabytes; using the default of %d.",
            SIZE,
            text,
            DEFAULT_BYTES // 1024**2,
        )
        return DEFAULT_BYTES
