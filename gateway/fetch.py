"""Downloading the videos that clients name."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import BinaryIO

import aiohttp

from ..mmaudio_core.partial_files import partial_file
from .compat import timeout
from .containers import SNIFFED_BYTES, Container
from .outgoing import Outgoing
from .urls import OutgoingError
from .video_files import DEFAULT_LIMITS, FetchError, FetchLimits, publish, require_video, too_large

_BLOCK_BYTES = 1 << 20


async def fetch_video(
    outgoing: Outgoing, url: str, folder: Path, stem: str, limits: FetchLimits = DEFAULT_LIMITS
) -> Path:
    """Download a video.

    Returns:
        ``folder/stem`` with the extension of its content. Nothing else is left in the folder, and
        nothing at all after an error or a cancellation.

    Raises:
        FetchError: if the URL is refused, no video comes, or it exceeds a limit.
        OSError: if it cannot be written here.
    """
    with partial_file(folder) as partial:
        try:
            async with timeout(limits.total_seconds):
                container = await _download(outgoing, url, partial, limits)
        except OutgoingError as error:
            raise FetchError(str(error)) from error
        except asyncio.TimeoutError as error:
            raise FetchError(
                f"got no whole video within {limits.total_seconds:g} seconds; expected it by then."
                " Use a faster server, or a smaller file."
            ) from error
        return publish(partial, folder, stem, container)


async def _download(outgoing: Outgoing, url: str, partial: Path, limits: FetchLimits) -> Container:
    async with AsyncExitStack() as stack:
        try:
            async with timeout(limits.first_byte_seconds):
                response = await stack.enter_async_context(outgoing.open(url))
                _check(response, limits)
                chunk = await response.content.readany()
        except asyncio.TimeoutError as error:
            raise FetchError(
                f"got nothing of the video within {limits.first_byte_seconds:g} seconds; expected"
                " its first byte by then. Use a faster server, or upload the file."
            ) from error
        with partial.open("wb") as file:
            return await _save(response, chunk, file, limits)


def _check(response: aiohttp.ClientResponse, limits: FetchLimits) -> None:
    """Refuse what is announced to be no file, or too large a one."""
    if response.status != 200:
        raise FetchError(
            f"the video's server answered with status {response.status}; expected 200 and the file."
            " Open the URL in a private window of a browser: it must give the video without a"
            " login."
        )
    if (response.content_length or 0) > limits.size:
        raise too_large(limits.size)


async def _save(
    response: aiohttp.ClientResponse, chunk: bytes, file: BinaryIO, limits: FetchLimits
) -> Container:
    """Write the body, of which ``chunk`` is the first piece, as it comes."""
    container: Container | None = None
    block = bytearray()
    size = 0
    while chunk:
        size += len(chunk)
        if size > limits.size:
            raise too_large(limits.size)
        block += chunk
        if container is None and len(block) >= SNIFFED_BYTES:
            container = require_video(block)
        if len(block) >= _BLOCK_BYTES:
            await _write(file, block)
            block = bytearray()
        chunk = await response.content.readany()
    container = container or require_video(block)
    await _write(file, block)
    return container


async def _write(file: BinaryIO, block: bytearray) -> None:
    """Write in a thread; if cancelled, not before it has let go of the file."""
    writing = asyncio.ensure_future(asyncio.to_thread(file.write, block))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise
