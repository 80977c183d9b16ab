"""The feature cache as the environment configures it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ..mmaudio_core.feature_cache import DEFAULT_BYTES, FeatureCache

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
