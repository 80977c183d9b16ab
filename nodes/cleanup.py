"""Clearing away what killed runs left: unfinished results, and half features of the cache."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from threading import Thread

import folder_paths

from ..mmaudio_core.partial_files import NEW_SECONDS, delete_abandoned
from .feature_cache import folder_from_environment, folder_of_training

log = logging.getLogger(__name__)


def start() -> None:
    """Delete the unfinished files of killed runs, in a thread: the folders may be large."""
    output = Path(folder_paths.get_output_directory())
    folders = [output, folder_of_training(), folder_from_environment()]

    def run() -> None:
        time.sleep(NEW_SECONDS)  # the run that was killed may have ended only now
        deleted = sum(delete_abandoned(folder) for folder in folders if folder is not None)
        if deleted:
            log.info("MMAudio: deleted %d unfinished files of killed runs.", deleted)

    Thread(target=run, name="mmaudio cleanup", daemon=True).start()
