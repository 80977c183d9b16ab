"""One file on a Hugging Face hub: what the hub says about it, and streaming it to disk.

The streaming is our own because ``hf_hub_download`` cannot be cancelled while it waits for a
server, takes ``tqdm_class`` only after 1.0, and deletes what an interrupted download left
(seen with 2.4.0), so 4 GB would start again from nothing.
"""

from __future__ import annotations

import logging
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests

from ..mmaudio_core.checkpoint.published import HUB, PublishedFile
from ..mmaudio_core.errors import MMAudioError

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1024 * 1024
_ATTEMPTS = 5  # in a row that bring no byte
_RETRY_SECONDS = 1.0
KEPT = "What has come so far is kept and will be continued."


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A published file as the hub describes it today, and where it goes.

    Attributes:
        revision: commit that has this content; None if the server does not say.
        size: bytes; None if the server does not say.
        sha256: checksum; None unless the file is stored in LFS.
        target: final path.
        partial: path while the download is incomplete; differs by content.
    """

    file: PublishedFile
    revision: str | None
    size: int | None
    sha256: str | None
    target: Path
    partial: Path

    @property
    def bytes(self) -> int:
        """Size, or the published estimate if the server does not say."""
        return self.file.bytes if self.size is None else self.size

    @property
    def folder(self) -> Path:
        return self.target.parent


def require_hub(first: PublishedFile, folder: Path) -> None:
    """Raise MMAudioError if huggingface_hub is missing or in offline mode."""
    try:
        from huggingface_hub import constants
    except ImportError as error:
        cure = "Install it with: python -m pip install huggingface_hub."
        raise failure(first, folder, str(error), cure) from error
    if constants.HF_HUB_OFFLINE:
        reason = "huggingface_hub is in offline mode (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE)"
        raise failure(first, folder, reason, "Unset it and start ComfyUI again.")


def look_up(file: PublishedFile, folder: Path) -> HubFile:
    """Ask the hub for the file's size, checksum and revision.

    Raises:
        MMAudioError: the hub cannot be reached, or refuses.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    try:
        metadata = get_hf_file_metadata(hf_hub_url(file.repo, file.filename))
    except Exception as error:  # from requests or httpx, depending on huggingface_hub's version
        raise failure(file, folder, _reason(error), _cure(error)) from error
    etag = metadata.etag or ""
    version = re.sub(r"\W", "", etag or metadata.commit_hash or "main")[:12]
    return HubFile(
        file=file,
        revision=metadata.commit_hash,
        size=metadata.size,
        sha256=etag if re.fullmatch(r"[0-9a-f]{64}", etag) else None,
        target=folder / file.name,
        partial=folder / f"{file.name}.{version}.incomplete",
    )


def stream(item: HubFile, out: BinaryIO) -> None:
    """Append the rest of the file to ``out``, reconnecting after dropped connections.

    Closing ``out`` from another thread ends the download at its next write.

    Raises:
        MMAudioError: the server refuses, or sends nothing any more.
        OSError: the disk cannot be written.
    """
    attempts = 0
    while item.size is None or out.tell() < item.size:
        start = out.tell()
        try:
            _receive(item, out)
            return
        except requests.RequestException as error:
            attempts = 0 if out.tell() > start else attempts + 1
            refused = isinstance(error, requests.HTTPError)
            if refused or attempts == _ATTEMPTS:
                cure = f"{_cure(error)} {KEPT}"
                raise failure(item.file, item.folder, _reason(error), cure) from error
            log.warning("The download of %s was cut off; resuming: %s", item.file.name, error)
            time.sleep(_RETRY_SECONDS)


def _receive(item: HubFile, out: BinaryIO) -> None:
    """Append what one connection brings; start over if the server cannot resume."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    start = out.tell()
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    url = hf_hub_url(item.file.repo, item.file.filename, revision=item.revision)
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        response.raise_for_status()
        if start and response.status_code != requests.codes.partial_content:
            out.seek(0)
            out.truncate()
        for chunk in response.iter_content(_CHUNK_BYTES):
            out.write(chunk)
    if item.size is not None and out.tell() < item.size:
        raise requests.ConnectionError(f"the server sent {out.tell():,} of {item.size:,} bytes")


def failure(file: PublishedFile, folder: Path, reason: str, cure: str) -> MMAudioError:
    """The error for a file that cannot be downloaded, with other ways to get it."""
    url = file.url(os.environ.get("HF_ENDPOINT") or HUB)
    return MMAudioError(
        f"Could not download {file.name} (the {file.kind.title}, {file.size}) from {url}: {reason}."
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
            "The server requires a login: set HF_TOKEN or run `hf auth login`, accept the license"
            " on the model's page if it asks for that, and run it again."
        )
    if status == 404:
        return "The server does not have that file: check HF_ENDPOINT, or use another mirror."
    return "Check the connection, the proxy and HF_ENDPOINT, and run it again."
