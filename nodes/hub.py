"""Asking a Hugging Face hub for one file, with any huggingface_hub from 0.24 on.

Its own ``hf_hub_download`` cannot be cancelled, reports progress only since 1.0, and in newer
versions starts again from nothing; so the file is looked up and streamed with the pieces that
function is made of.
"""

from __future__ import annotations

import inspect
import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from ..mmaudio_core.checkpoint.published import HUB, PublishedFile
from ..mmaudio_core.errors import MMAudioError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A published file as the hub has it today, and where it goes."""

    file: PublishedFile
    revision: str | None
    size: int | None
    sha256: str | None
    target: Path
    partial: Path

    @property
    def bytes(self) -> int:
        """Its size; the published one where the hub does not say."""
        return self.file.bytes if self.size is None else self.size

    @property
    def folder(self) -> Path:
        return self.target.parent


def require_hub(first: PublishedFile, folder: Path) -> None:
    """Raises MMAudioError where huggingface_hub is missing or in offline mode."""
    try:
        from huggingface_hub import constants
    except ImportError as error:
        cure = "Install it with: python -m pip install huggingface_hub."
        raise failure(first, folder, str(error), cure) from error
    if constants.HF_HUB_OFFLINE:
        why = "huggingface_hub is in offline mode (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set)"
        raise failure(first, folder, why, "Unset it and start ComfyUI again.")


def look_up(file: PublishedFile, folder: Path) -> HubFile:
    """Ask the hub for the file's size, checksum and revision."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    try:
        found = get_hf_file_metadata(hf_hub_url(file.repo, file.filename))
    except Exception as error:  # requests' or httpx's own, by the version of huggingface_hub
        raise failure(file, folder, _reason(error), _cure(error)) from error
    etag = found.etag or ""
    version = re.sub(r"\W", "", etag or found.commit_hash or "main")[:12]
    return HubFile(
        file=file,
        revision=found.commit_hash,
        size=found.size,
        sha256=etag if re.fullmatch(r"[0-9a-f]{64}", etag) else None,
        target=folder / file.name,
        partial=folder / f"{file.name}.{version}.incomplete",
    )


def stream(item: HubFile, out: BinaryIO) -> None:
    """Append to ``out`` what it lacks of the file, going on after dropped connections.

    Closing ``out`` from another thread ends it, with an error, at its next write.
    """
    from huggingface_hub import file_download, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    http_get = getattr(file_download, "http_get", None)
    takes = inspect.signature(http_get).parameters if http_get else {}
    if http_get is None or not {"resume_size", "headers", "expected_size"} <= takes.keys():
        _copy_whole(item, out)
        return
    # Before 1.0 an optional accelerator writes to the file behind our back; proxies turn it off,
    # and empty ones leave the environment's in force.
    options = {"proxies": {}} if "proxies" in takes else {}
    url = hf_hub_url(item.file.repo, item.file.filename, revision=item.revision)
    while True:
        start = out.tell()
        if item.size is not None and start >= item.size:
            return
        try:
            http_get(
                url,
                out,
                resume_size=start,
                headers=build_hf_headers(),
                expected_size=item.size,
                **options,
            )
            return
        except Exception as error:  # as in look_up
            if out.closed or out.tell() <= start:
                cure = f"{_cure(error)} What has come so far is kept and will be continued."
                raise failure(item.file, item.folder, _reason(error), cure) from error
            log.warning("The download of %s was cut off; going on: %s", item.file.name, error)


def _copy_whole(item: HubFile, out: BinaryIO) -> None:
    """The same through the public function alone, should a later version lack the other."""
    from huggingface_hub import hf_hub_download

    out.truncate(0)
    try:
        with TemporaryDirectory(dir=item.folder, prefix=".download-") as scratch:
            path = hf_hub_download(
                item.file.repo, item.file.filename, revision=item.revision, local_dir=scratch
            )
            with open(path, "rb") as whole:
                shutil.copyfileobj(whole, out)
    except Exception as error:  # as in look_up
        raise failure(item.file, item.folder, _reason(error), _cure(error)) from error


def failure(file: PublishedFile, folder: Path, why: str, cure: str) -> MMAudioError:
    """The error for a file that could not be had, with the ways to get it all the same."""
    url = file.url(os.environ.get("HF_ENDPOINT") or HUB)
    return MMAudioError(
        f"Could not download {file.name} (the {file.kind.title}, {file.size}) from {url}: {why}."
        f" {cure} Or fetch that address in a browser and save it in {folder}. Where"
        f" {HUB} cannot be reached, HF_ENDPOINT can name a mirror (set it before ComfyUI starts);"
        " with HF_HUB_OFFLINE=1 nothing is ever downloaded."
    )


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _cure(error: BaseException) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return (
            "The server wants a login: set HF_TOKEN or run `hf auth login`, accept the licence on"
            " the model's page if it asks for that, and run it again."
        )
    if status == 404:
        return "The server does not have that file: check HF_ENDPOINT, or use another mirror."
    return "Check the connection, the proxy and HF_ENDPOINT, and run it again."
