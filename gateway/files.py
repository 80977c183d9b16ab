"""Files at addresses that only those know who were told: results, and what clients upload."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import time
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from ..mmaudio_core.partial_files import delete_abandoned
from .errors import GoneError, NotFoundError
from .store import Store
from .tables import StoredFile
from .tokens import TOKEN
from .uploads import Uploads, parts_folder
from .urls import MAX_LETTERS

log = logging.getLogger(__name__)

_OWN = re.compile(rf".*/mmaudio/files/({TOKEN})(?:/[^/]*)?")


class Files:
    """The files of jobs and uploads.

    Args:
        folder: for what is uploaded.
        retention: seconds that an upload is kept.
    """

    def __init__(self, store: Store, folder: Path, retention: float) -> None:
        self._store = store
        self._folder = folder
        self._retention = retention
        self.uploads = Uploads(store, folder, retention)

    def routes(self) -> list[web.RouteDef]:
        """Paths below ``/mmaudio`` that ask for no key: the token is one."""
        file = rf"/files/{{token:{TOKEN}}}"
        return [
            web.get(file, self._get),
            web.get(file + "/{name:[^/]*}", self._get),
            *self.uploads.routes(),
        ]

    async def add(self, files: list[StoredFile]) -> None:
        """Serve these files until they expire."""
        await self._store.add_files(files)

    async def forget_expired(self, now: float) -> None:
        """Delete what was kept until ``now``, and what uploads that broke off left."""
        for file in await self._store.expired_files(now):
            await asyncio.to_thread(shutil.rmtree, parts_folder(file), True)
            delete(file.path)
        await self._store.forget_files(now - self._retention)
        await self._store.forget_uploads(now)
        await asyncio.to_thread(delete_abandoned, self._folder)

    async def own(self, url: str, owner: str) -> StoredFile | None:
        """The file that one of our own URLs stands for; None for any other URL.

        Raises:
            NotFoundError: there is no such file of this key, it has not arrived, or has expired.
        """
        try:
            match = _OWN.fullmatch(urlsplit(url).path) if len(url) <= MAX_LETTERS else None
        except ValueError:
            return None
        if match is None:
            return None
        file = await self._store.file(match[1])
        if file is None or file.owner != owner or not file.path.is_file():
            raise NotFoundError("got the URL of a file that is not here (any more). Upload it.")
        return file

    async def _get(self, request: web.Request) -> web.StreamResponse:
        file = await self._store.file(request.match_info["token"])
        if file is None:
            raise NotFoundError("there is no such file.")
        if file.expires_at < time.time():
            raise GoneError("this file was kept until it expired.")
        if not file.path.is_file():
            raise NotFoundError("this file is not here.")
        return web.FileResponse(
            file.path,
            headers={
                "Content-Type": file.content_type,
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "sandbox; default-src 'none'; media-src 'self'",
                "Cache-Control": "private, max-age=3600",
            },
        )


def delete(path: Path) -> None:
    """Delete a file; one that cannot be deleted is logged: others must not stay for it."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        log.warning("MMAudio: %s could not be deleted.", path, exc_info=True)
