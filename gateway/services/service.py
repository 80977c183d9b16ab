"""What a service is to the gateway."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from ..errors import GatewayError, of_status
from ..gateway import Caller, Gateway
from ..job import Job

log = logging.getLogger(__name__)

CALLER: web.RequestKey[Caller] | str
try:
    CALLER = web.RequestKey("caller", Caller)
except AttributeError:  # before aiohttp 3.14
    CALLER = "mmaudio_caller"


class Service(ABC):
    """Translates one hosted service's API.

    Attributes:
        name: as ``JobSpec.service`` holds it.
        title: for people.
        prefix: of its paths, below ``/mmaudio``.
        models: what may be asked for, by the service's names.
    """

    name: str
    title: str
    prefix: str
    models: tuple[str, ...]

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    @abstractmethod
    def key(self, request: web.Request) -> str | None:
        """The key that a request carries; None if it carries none."""

    @abstractmethod
    def routes(self) -> Sequence[web.RouteDef]:
        """Its paths, below ``prefix``. Every one of them asks for a key."""

    @abstractmethod
    def problem(self, request: web.Request, error: GatewayError) -> web.StreamResponse:
        """An error in the service's shape."""

    @abstractmethod
    def webhook_body(self, job: Job) -> dict[str, Any]:
        """What the service tells a webhook of a job that has ended."""

    def caller(self, request: web.Request) -> Caller:
        """Who asks; known in every handler of ``routes``."""
        return request[CALLER]  # type: ignore[index]

    def app(self) -> web.Application:
        """The service as a sub-application: its routes, its keys, its errors."""

        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                request[CALLER] = self.gateway.caller(request, self.key(request))  # type: ignore[index]
                return await handler(request)
            except GatewayError as error:
                return self._problem(request, error)
            except web.HTTPException as error:
                if error.status < 400:
                    raise
                return self._problem(request, of_status(error.status, error.reason, error.headers))
            except Exception:
                log.exception("MMAudio: %s %s failed.", request.method, request.path)
                return self._problem(
                    request, GatewayError("An internal error; the server's log says more.")
                )

        app = web.Application(middlewares=[answer])
        app.add_routes(self.routes())
        return app

    def _problem(self, request: web.Request, error: GatewayError) -> web.StreamResponse:
        response = self.problem(request, error)
        response.headers.update(error.headers)
        return response


def scheme_key(request: web.Request, scheme: str) -> str | None:
    """The key of an ``Authorization: <scheme> <key>`` header."""
    given, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() or None if given.lower() == scheme.lower() else None
