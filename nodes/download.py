"""Download published weights when the user has asked for it.

A file is written as ``<name>.<version>.incomplete`` next to its final path and renamed after its
length and checksum have been verified, so an incomplete file is never mistaken for a model. The
next download resumes what a cancelled or failed one left. Of several processes that want the same
file, one downloads it and the others wait.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout  # torch requires it

from ..mmaudio_core.checkpoint import identify
from ..mmaudio_core.checkpoint.published import PublishedFile, readable_size
from ..mmaudio_core.errors import CheckpointError, MMAudioError
from .hub import KEPT, HubFile, failure, look_up, require_hub, stream

log = logging.getLogger(__name__)

T = TypeVar("T")
_POLL_SECONDS = 0.1
_BLOCK = 8 * 1024 * 1024
_SIZE_TOLERANCE = 0.05  # published sizes are those of the parameters


def download(
    files: Sequence[PublishedFile], folder: Path, progress: Callable[[str, int, int], None]
) -> list[Path]:
    """Download ``files`` into ``folder`` and return their paths, in the same order.

    A published file that is already there is not downloaded again; a different file of the same
    name is kept as ``<name>.replaced``. ``HF_ENDPOINT``, ``HF_HUB_OFFLINE`` and ``HF_TOKEN`` mean
    what they mean to huggingface_hub.

    Args:
        progress: called several times a second as ``("download", bytes done, total bytes)``,
            counted over all files; an exception it raises cancels the download and passes through.

    Raises:
        MMAudioError: a file cannot be downloaded, differs from the published one, or does not fit
            on the disk.
    """
    if not files:
        return []
    _make_folder(folder)
    require_hub(files[0], folder)
    expected = sum(file.bytes for file in files)
    tick = partial(progress, "download", 0, expected)
    items = [_in_background(partial(look_up, file, folder), tick) for file in files]
    total = sum(item.bytes for item in items)

    tick = partial(progress, "download", 0, total)
    missing = [item for item in items if _mismatch(item, item.target, tick) is not None]
    _check_space(missing, folder)
    done = total - sum(item.bytes for item in missing)
    for item in missing:
        _fetch(item, progress, done, total)
        done += item.bytes
    progress("download", total, total)
    return [item.target for item in items]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise MMAudioError(
            f"The folder for the weights, {folder}, cannot be written to: {error}. Change its"
            " permissions, or add another folder in extra_model_paths.yaml."
        ) from error


def _check_space(items: Sequence[HubFile], folder: Path) -> None:
    needed = sum(item.bytes - _length(item.partial) for item in items)
    free = shutil.disk_usage(folder).free
    if needed > free:
        names = ", ".join(item.file.name for item in items)
        raise MMAudioError(
            f"Not enough disk space to download {names}: {folder} needs {readable_size(needed)}"
            f" and has {readable_size(free)} free. Free some space, or add a folder on another disk"
            " in extra_model_paths.yaml."
        )


def _fetch(item: HubFile, progress: Callable[[str, int, int], None], done: int, total: int) -> None:
    """Download, verify and rename one file; ``done`` of ``total`` bytes came before it."""
    tick = partial(progress, "download", done, total)
    try:
        with _locked(item, tick):
            if _mismatch(item, item.target, tick) is not None:  # else another process was faster
                _fetch_alone(item, progress, done, total)
    except OSError as error:  # closing a file writes what is still in its buffer
        cure = (
            f"Free some space in {item.folder} and check its permissions, or add a folder on"
            f" another disk in extra_model_paths.yaml. {KEPT}"
        )
        raise failure(item.file, item.folder, error.strerror or str(error), cure) from error


@contextmanager
def _locked(item: HubFile, tick: Callable[[], None]) -> Generator[None, None, None]:
    """Hold the file's lock, which ends with the process; ``tick`` is called while waiting for it.

    The empty lock file stays: whoever deletes it could take it from under one who waits.
    """
    path = item.folder / f".{item.target.name}.lock"
    lock: BaseFileLock = FileLock(path)
    waiting = False
    while not lock.is_locked:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if not waiting:
                log.info("Another process downloads %s; waiting for it.", item.file.name)
            waiting = True
            tick()
            time.sleep(_POLL_SECONDS)
        except NotImplementedError:  # a file system without locks
            lock = SoftFileLock(path)
    try:
        yield
    finally:
        lock.release()


def _fetch_alone(
    item: HubFile, progress: Callable[[str, int, int], None], done: int, total: int
) -> None:
    log.info("Downloading into %s: %s.", item.folder, item.file.describe())
    if item.size is None or _length(item.partial) > item.size:
        item.partial.unlink(missing_ok=True)
    with item.partial.open("ab") as out:
        # Leaving this block closes the file, which stops a thread that still writes to it.
        _in_background(
            partial(stream, item, out), lambda: progress("download", done + out.tell(), total)
        )
    tick = partial(progress, "download", done + item.bytes, total)
    mismatch = _mismatch(item, item.partial, tick)
    if mismatch is not None:
        item.partial.unlink()
        reason = f"{mismatch}; the download was removed"
        cure = "Run it again; if that does not help, the server does not have the published file."
        raise failure(item.file, item.folder, reason, cure)
    try:
        if item.target.exists():
            kept = item.target.with_name(f"{item.target.name}.replaced")
            log.warning("%s is not the published file; keeping it as %s.", item.target, kept.name)
            os.replace(item.target, kept)
        os.replace(item.partial, item.target)
    except OSError as error:
        cure = f"Close the program that uses {item.target} and run it again."
        raise failure(item.file, item.folder, str(error), cure) from error
    for stale in item.folder.glob(f"{glob.escape(item.target.name)}.*.incomplete"):
        stale.unlink(missing_ok=True)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _mismatch(item: HubFile, path: Path, tick: Callable[[], None]) -> str | None:
    """How ``path`` differs from the published file; None if size and checksum show no difference.

    Where neither the authors nor the hub tell a checksum, its size must be about the published
    one, and its header that of the network. ``tick`` is called once per block, since hashing 4 GB
    takes a while.
    """
    if not path.is_file():
        return "it does not exist"
    if item.size is not None and _length(path) != item.size:
        return f"it is {_length(path):,} bytes long instead of {item.size:,}"
    if item.file.md5 is not None:
        kind, digest, published = "md5", hashlib.md5(usedforsecurity=False), item.file.md5
    elif item.sha256 is not None:
        kind, digest, published = "sha256", hashlib.sha256(), item.sha256
    else:
        return _implausible(item, path)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            tick()
    got = digest.hexdigest()
    return None if got == published else f"its {kind} is {got} instead of the published {published}"


def _implausible(item: HubFile, path: Path) -> str | None:
    """What shows, without a checksum, that ``path`` is not the published file."""
    got, published = _length(path), item.file.bytes
    if abs(got - published) > _SIZE_TOLERANCE * published:
        return f"it is {got:,} bytes long instead of {item.file.size}"
    try:
        parts = identify(path)
    except CheckpointError as error:
        return str(error)
    if item.file.kind in [part.kind for part in parts]:
        return None
    return f"it looks like {' and '.join(part.looks_like for part in parts)}"


def _in_background(work: Callable[[], T], tick: Callable[[], None]) -> T:
    """Run ``work`` in a thread and call ``tick`` meanwhile; exceptions of both pass through.

    A thread that waits for a server cannot be interrupted, so cancelling abandons it.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="mmaudio download", daemon=True).start()
    tick()
    while not wait([future], timeout=_POLL_SECONDS).done:
        tick()
    return future.result()
