"""What clients upload: one file a ticket, whole or in parts, once, in time, no larger than said."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import re
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from ..mmaudio_core.partial_files import partial_file
from .compat import timeout
from .errors import BadRequestError, NotFoundError, TooLargeError
from .store import Store
from .tables import StoredFile, Upload
from .tokens import TOKEN, clean_name, file_url, new_token

MAX_BYTES = 500 * 10**6
UPLOAD_SECONDS = 3600.0
_MAX_PARTS = 1000
_CHUNK = 1 << 20
_IDLE_SECONDS = 60.0
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


class Uploads:
    """Tickets, and the files that arrive for them.

    Args:
        folder: for the files.
        retention: seconds that a file is kept.
    """

    def __init__(self, store: Store, folder: Path, retention: float) -> None:
        self._store = store
        self._folder = folder
        self._retention = retention
        self._arriving: set[str] = set()
        self._parts: dict[str, dict[int, int]] = {}  # sizes of parts, while some arrive

    def routes(self) -> list[web.RouteDef]:
        """Paths below ``/mmaudio`` that ask for no key: the token is one."""
        upload = rf"/uploads/{{token:{TOKEN}}}"
        return [
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
            folder = parts_folder(upload.file)
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
            folder = parts_folder(upload.file)
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


def _safe_type(content_type: str) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    return _PLAIN if not _TYPE.fullmatch(kind) or kind.startswith(_UNSAFE) else kind


def parts_folder(file: StoredFile) -> Path:
    """Where the parts of a file arrive."""
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
