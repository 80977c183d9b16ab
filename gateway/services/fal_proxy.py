"""What ``@fal-ai/client`` sends to its ``proxyUrl``: the address it means, and its uploads.

Nothing is fetched from there. The client is told to upload to this server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, unquote, urlsplit

from aiohttp import web
from pydantic import Field

from ..errors import BadRequestError, NotAllowedError, NotFoundError
from ..fields import Input, Text, parse, read_json
from ..gateway import Caller, Gateway

_HEADER = "x-fal-target-url"
_STORAGE = "rest.fal.ai"
_HOSTS = frozenset({"queue.fal.run", "fal.run", _STORAGE})
# Parts go below the same upload_url, so both are answered alike.
_INITIATE = ("/storage/upload/initiate", "/storage/upload/initiate-multipart")


class _Initiate(Input):
    file_name: Annotated[Text, Field(max_length=1000)]
    content_type: Annotated[Text, Field(max_length=200)] = "application/octet-stream"


@dataclass(frozen=True)
class Target:
    """An address on a host of fal's."""

    host: str
    path: str
    query: Mapping[str, str]


def target_of(request: web.Request) -> Target:
    """The address that a request is meant for.

    Raises:
        BadRequestError: it names none.
        NotFoundError: it is of another host.
    """
    text = request.headers.get(_HEADER)
    if text is None:
        raise BadRequestError(f"got no header {_HEADER}; expected the address that is meant.")
    try:
        url = urlsplit(text)
    except ValueError:
        url = urlsplit("")
    if url.scheme != "https" or url.netloc not in _HOSTS:
        hosts = ", ".join(sorted(_HOSTS))
        raise NotFoundError(f"got {_HEADER}: {text[:200]!r}; expected https and one of {hosts}.")
    return Target(url.netloc, unquote(url.path), dict(parse_qsl(url.query)))


async def storage(
    gateway: Gateway, request: web.Request, caller: Caller, target: Target
) -> web.StreamResponse:
    """Tell where to upload a file, whole or in parts.

    Raises:
        NotFoundError, NotAllowedError: this is not what the request asks for.
        InvalidInputError: the body is wrong.
        TooManyError: too many in a minute.
    """
    if target.path not in _INITIATE:
        raise NotFoundError(f"got {target.path[:200]!r} of {_STORAGE}, which does not exist here.")
    if request.method != "POST":
        raise NotAllowedError(f"got {request.method}; expected POST.", headers={"Allow": "POST"})
    asked = parse(_Initiate, await read_json(request))
    ticket = await gateway.ticket(caller, asked.file_name, asked.content_type)
    return web.json_response({"upload_url": ticket.upload_url, "file_url": ticket.file_url})
