"""Files at addresses that only those know who were told: results, and what clients upload."""

from __future__ import annotations

import asyncio
import logging
import mimetypes
import os
import re
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from ..mmaudio_core.partial_files import delete_abandoned, partial_file
from .compat import timeout
from .errors import BadRequestError, GoneError, NotFoundError, TooLargeError
from .store import Store
from .tables import StoredFile, Upload
from .urls import MAX_LETTERS

log = logging.getLogger(__name__)

MAX_BYTES = 500 * 10**6
UPLOAD_SECONDS = 3600.0
_MAX_PARTS = 1000
_CHUNK = 1 << 20
_IDLE_SECONDS = 60.0
_TOKEN = r"[A-Za-z0-9_-]{43}"
_OWN = re.compile(rf".*/mmaudio/files/({_TOKEN})(?:/[^/]*)?")
_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)
# what a browser would run as a page of this server
_UNSAFE = ("text/", "application/xhtml", "application/xml", "image/svg", "application/javascript")
_PLAIN = "application/octet-stream"


@dataclass(frozen=True)
class UploadTicket:
    """Where to PUT a file once, and where it is then."""

    id: str
    upload_url: str
    file_url: str
    file_name: str
    content_type: str


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
        self._arriving: set[str] = set()
        self._parts: dict[str, dict[int, int]] = {}  # sizes of parts, while some arrive

    def routes(self) -> list[web.RouteDef]:
        """Paths below ``/mmaudio`` that ask for no key: the token is one."""
        upload = rf"/uploads/{{token:{_TOKEN}}}"
        file = rf"/files/{{token:{_TOKEN}}}"
        return [
            web.get(file, self._get),
            web.get(file + "/{name:[^/]*}", self._get),
            web.put(upload, self._put),
            web.put(upload + r"/{part:\d{1,5}}", self._put_part),
            web.post(upload + "/complete", self._complete),
        ]

    async def ticket(
        self,
        owner: str,
        base_url: str,
        file_name: str,
        content_type: str | None,
        size: int | None = None,
    ) -> UploadTicket:
        """Leave to upload one file.

        Args:
            file_name: the client's; it appears, cleaned, in the file's URL only.
            size: bytes at most; None: 500 MB.

        Raises:
            TooLargeError: ``size`` is above 500 MB.
        """
        if size is not None and size > MAX_BYTES:
            raise TooLargeError(f"got {size} bytes; expected at most {MAX_BYTES}.")
        name = clean_name(file_name)
        kind = _safe_type(content_type or mimetypes.guess_type(name)[0] or "video/mp4")
        file = StoredFile(
            token=new_token(),
            owner=owner,
            job_id=None,
            path=self._folder / secrets.token_hex(16),
            file_name=name,
            content_type=kind,
            expires_at=time.time() + self._retention,
        )
        limit = MAX_BYTES if size is None else size
        upload = Upload(new_token(), file, limit, time.time() + UPLOAD_SECONDS)
        await self._store.add_upload(upload)
        return UploadTicket(
            id=file.token,
            upload_url=f"{base_url}/uploads/{upload.token}",
            file_url=file_url(base_url, file),
            file_name=name,
            content_type=kind,
        )

    async def add(self, files: list[StoredFile]) -> None:
        """Serve these files until they expire."""
        await self._store.add_files(files)

    async def forget_expired(self, now: float) -> None:
        """Delete what was kept until ``now``, and what uploads that broke off left."""
        for file in await self._store.expired_files(now):
            await asyncio.to_thread(shutil.rmtree, _parts_folder(file), True)
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

    async def _put(self, request: web.Request) -> web.StreamResponse:
        async def receive(upload: Upload) -> None:
            path = upload.file.path
            await _receive(request, path, _at_most(upload.max_bytes), upload.expires_at)
            await self._store.end_upload(upload)

        await self._once(request, receive)
        return web.Response(headers={"ETag": '"done"'})

    async def _put_part(self, request: web.Request) -> web.StreamResponse:
        number = int(request.match_info["part"])
        if not 1 <= number <= _MAX_PARTS:
            raise BadRequestError(f"got part {number}; expected 1 to {_MAX_PARTS}.")

        async def receive(upload: Upload) -> None:
            folder = _parts_folder(upload.file)
            sizes = self._parts.setdefault(upload.token, _sizes(folder))
            before = sizes.pop(number, None)  # sent again

            def note(size: int) -> None:
                sizes[number] = size
                _at_most(upload.max_bytes)(sum(sizes.values()))

            try:
                await _receive(request, folder / str(number), note, upload.expires_at)
            except BaseException:
                sizes[number] = before or 0
                raise
            finally:
                if self._under_way(upload.token) == {f"/{number}"}:
                    del self._parts[upload.token]  # next time they are read anew

        await self._once(request, receive, f"/{number}")
        etag = secrets.token_hex(8)
        return web.json_response(
            {"partNumber": number, "etag": etag}, headers={"ETag": f'"{etag}"'}
        )

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        async def join(upload: Upload) -> None:
            folder = _parts_folder(upload.file)
            numbers = sorted(_sizes(folder))
            if not numbers or numbers != list(range(1, len(numbers) + 1)):
                raise BadRequestError(f"got the parts {numbers[:20]}; expected 1, 2, 3, ...")
            parts = [folder / str(number) for number in numbers]
            await asyncio.to_thread(_join, parts, upload.file.path)
            await self._store.end_upload(upload)
            await asyncio.to_thread(shutil.rmtree, folder, True)

        await self._once(request, join)
        return web.json_response({})

    async def _once(
        self, request: web.Request, receive: Callable[[Upload], Awaitable[None]], part: str = ""
    ) -> None:
        """Run ``receive`` for a ticket that is there, in time and not in use."""
        token = request.match_info["token"]
        upload = await self._store.upload(token)
        if upload is None or upload.expires_at < time.time():
            raise NotFoundError("this upload URL is unknown, used or too old. Ask for another one.")
        under_way = self._under_way(token)
        if {"", part} & under_way or (under_way and not part):
            raise BadRequestError("this upload is under way already.")
        self._arriving.add(token + part)
        try:
            await receive(upload)
        finally:
            self._arriving.discard(token + part)

    def _under_way(self, token: str) -> set[str]:
        """What of an upload is arriving: its parts, or "" for all of it."""
        return {key.removeprefix(token) for key in self._arriving if key.startswith(token)}


def file_url(base_url: str, file: StoredFile) -> str:
    """Where a file is served."""
    return f"{base_url}/files/{file.token}/{file.file_name}"


def new_token() -> str:
    """32 random bytes."""
    return secrets.token_urlsafe(32)


def clean_name(name: str, default: str = "file") -> str:
    """A file name for URLs and answers: no folders, nothing that needs escaping."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, ending = base.rpartition(".")
    if not dot:
        stem, ending = base, ""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_")[:80] or default
    ending = re.sub(r"[^A-Za-z0-9]+", "", ending)[:8]
    return f"{stem}.{ending}" if ending else stem


def _safe_type(content_type: str) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    return _PLAIN if not _TYPE.fullmatch(kind) or kind.startswith(_UNSAFE) else kind


def delete(path: Path) -> None:
    """Delete a file; one that cannot be deleted is logged: others must not stay for it."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        log.warning("MMAudio: %s could not be deleted.", path, exc_info=True)


def _parts_folder(file: StoredFile) -> Path:
    return file.path.with_suffix(".parts")


def _sizes(folder: Path) -> dict[int, int]:
    """Bytes of the parts that are there, by number."""
    return {int(part.name): part.stat().st_size for part in folder.glob("[0-9]*")}


def _at_most(limit: int) -> Callable[[int], None]:
    def check(size: int) -> None:
        if size > limit:
            raise TooLargeError(f"got {size} bytes or more; expected at most {limit}.")

    return check


async def _receive(
    request: web.Request, path: Path, check: Callable[[int], None], until: float
) -> None:
    """Write the body to ``path``; nothing is left if it breaks off or is too large.

    Args:
        check: told how large the body is; raises TooLargeError.
        until: when it must have come, in seconds since 1970.
    """
    announced = request.content_length or 0
    check(announced)
    path.parent.mkdir(parents=True, exist_ok=True)
    received = 0
    with partial_file(path.parent) as partial:
        with partial.open("wb") as file:
            while chunk := await _next_chunk(request, until):
                received += len(chunk)
                check(max(announced, received))
                await asyncio.to_thread(file.write, chunk)
        if not received:
            raise BadRequestError("got an empty body; expected the file.")
        os.replace(partial, path)


async def _next_chunk(request: web.Request, until: float) -> bytes:
    """The next piece of the body, empty at its end."""
    try:
        async with timeout(max(0.0, min(_IDLE_SECONDS, until - time.time()))):
            return await request.content.read(_CHUNK)
    except (web.RequestPayloadError, ConnectionError):  # wrongly compressed; the client has left
        raise BadRequestError("got a body that cannot be read to its end; send it again.") from None
    except asyncio.TimeoutError:
        raise BadRequestError(
            f"got nothing for {_IDLE_SECONDS:g} s, or not all in time. Ask for another upload URL."
        ) from None


def _join(parts: list[Path], path: Path) -> None:
    with partial_file(path.parent) as partial:
        with partial.open("wb") as joined:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, joined)
        os.replace(partial, path)
