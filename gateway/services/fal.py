"""fal: its queue, its synchronous run and its proxy, for every application in ``APPS``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ..errors import (
    BadRequestError,
    GatewayError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
)
from ..fields import read_json
from ..gateway import Caller, Gateway
from ..job import Job, WebhookTarget
from .fal_answers import WEBHOOK, Ending, ending, events, failure, input_errors, status, webhook
from .fal_app import SERVICE, FalApp
from .fal_mmaudio import MMAudioV2
from .fal_proxy import storage, target_of
from .service import Service, scheme_key
from .sonilo import VideoToMusic

APPS: tuple[FalApp, ...] = (MMAudioV2(), VideoToMusic())
_BY_NAME = {app.name: app for app in APPS}
_REQUEST = re.compile(r"(?P<name>.+)/requests/(?P<id>[^/]+)(?P<action>(?:/[a-z]+)*)")
_ID = "x-fal-request-id"
_TIMEOUT = "X-Fal-Request-Timeout"


@dataclass(frozen=True)
class _Call:
    """A request to fal's API, which came here or through the proxy.

    Attributes:
        request: as it came.
        path: below ``queue`` or ``run``, without slashes at its ends.
    """

    request: web.Request
    caller: Caller
    path: str
    query: Mapping[str, str]

    @property
    def logs(self) -> bool:
        return self.query.get("logs", "").lower() in ("1", "true")


class Fal(Service):
    """Below ``/mmaudio/fal``.

    Attributes:
        stream_seconds: a stream of events says something at least this often.
        look_seconds: how often a synchronous run looks whether its client is still there.
    """

    name = SERVICE
    title = "fal"
    prefix = "/fal"
    models = tuple(_BY_NAME)
    stream_seconds = 8.0
    look_seconds = 1.0

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self._actions = {
            "": ("GET", self._result),
            "/status": ("GET", self._status),
            "/status/stream": ("GET", self._stream),
            "/cancel": ("PUT", self._cancel),
        }

    def key(self, request: web.Request) -> str | None:
        return scheme_key(request, "Key")

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.route("*", "/queue/{path:.*}", self._queue_directly),
            web.route("*", "/run/{path:.*}", self._run_directly),
            web.route("*", "/proxy", self._proxy),
        ]

    def problem(self, request: web.Request, error: GatewayError) -> web.StreamResponse:
        if isinstance(error, InvalidInputError):
            return web.json_response(input_errors(error.errors), status=422)
        if error.status < 500:
            return web.json_response({"detail": error.message}, status=error.status)
        return _answer(failure(error.status, error.message, error.code))

    def webhook_body(self, job: Job) -> dict[str, Any]:
        return webhook(_BY_NAME[job.spec.model], job)

    # where a request goes

    async def _queue_directly(self, request: web.Request) -> web.StreamResponse:
        return await self._queue(self._direct(request))

    async def _run_directly(self, request: web.Request) -> web.StreamResponse:
        return await self._run(self._direct(request))

    def _direct(self, request: web.Request) -> _Call:
        path = request.match_info["path"].strip("/")
        return _Call(request, self.caller(request), path, request.query)

    async def _proxy(self, request: web.Request) -> web.StreamResponse:
        """What ``@fal-ai/client`` would send to fal's hosts: answered here, never sent there."""
        target = target_of(request)
        call = _Call(request, self.caller(request), target.path.strip("/"), target.query)
        if target.host == "queue.fal.run":
            return await self._queue(call)
        if target.host == "fal.run":
            return await self._run(call)
        return await storage(self.gateway, request, call.caller, target)

    async def _queue(self, call: _Call) -> web.StreamResponse:
        asked = _REQUEST.fullmatch(call.path)
        if asked is None:
            return await self._submit(call)
        if asked["action"] not in self._actions:
            raise NotFoundError(f"got the path {call.path[:200]!r}, which does not exist.")
        method, answer = self._actions[asked["action"]]
        _expect(call, method)
        return await answer(call, asked["name"], asked["id"])

    # the answers

    async def _submit(self, call: _Call) -> web.StreamResponse:
        app, job = await self._create(call)
        return web.json_response(status(job, app, None), headers={_ID: job.id})

    async def _run(self, call: _Call) -> web.StreamResponse:
        app, job = await self._create(call)
        while not await job.end(self.look_seconds):
            transport = call.request.transport
            if transport is None or transport.is_closing():  # nobody will ever ask for it
                await self.gateway.cancel(job)
        return _answer(ending(app, job), job)

    async def _create(self, call: _Call) -> tuple[FalApp, Job]:
        app = _BY_NAME.get(call.path)
        if app is None:
            expected = " or ".join(_BY_NAME)
            raise NotFoundError(f"got the application {call.path[:80]!r}; expected {expected}.")
        _expect(call, "POST")
        spec, video = app.read(await read_json(call.request))
        url = call.query.get(WEBHOOK)
        spec = spec.model_copy(
            update={
                "webhook": WebhookTarget(url=url, field=WEBHOOK) if url else None,
                "start_within": _start_within(call.request),
            }
        )
        return app, await self.gateway.create(call.caller, spec, video, app.rules)

    async def _status(self, call: _Call, name: str, job_id: str) -> web.StreamResponse:
        app, job = await self._job(call, name, job_id)
        return web.json_response(
            status(job, app, job.logs if call.logs else None),
            status=200 if job.ended else 202,
            headers={_ID: job.id},
        )

    async def _stream(self, call: _Call, name: str, job_id: str) -> web.StreamResponse:
        """The status at every change, as server-sent events."""
        app, job = await self._job(call, name, job_id)
        headers = {
            _ID: job.id,
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",  # or nginx would keep it back
        }
        response = web.StreamResponse(headers=headers)
        await response.prepare(call.request)
        try:
            async for event in events(app, job, call.logs, self.stream_seconds):
                await response.write(f"data: {json.dumps(event)}\n\n".encode())
            await response.write_eof()
        except ConnectionError:
            pass  # the client has left
        return response

    async def _result(self, call: _Call, name: str, job_id: str) -> web.StreamResponse:
        app, job = await self._job(call, name, job_id)
        if not job.ended:
            raise BadRequestError("Request is still in progress", {_ID: job.id})
        return _answer(ending(app, job), job)

    async def _cancel(self, call: _Call, name: str, job_id: str) -> web.StreamResponse:
        try:
            _, job = await self._job(call, name, job_id)
        except NotFoundError:
            return web.json_response({"status": "NOT_FOUND"}, status=404)
        if await self.gateway.cancel(job):
            return web.json_response({"status": "CANCELLATION_REQUESTED"}, status=202)
        return web.json_response({"status": "ALREADY_COMPLETED"}, status=400)

    async def _job(self, call: _Call, name: str, job_id: str) -> tuple[FalApp, Job]:
        """A job of the caller's, asked for by its application's name or the start of it."""
        job = await self.gateway.job(call.caller, job_id, self.name)
        app = _BY_NAME[job.spec.model]
        if name not in (app.name, app.polled_as):
            raise NotFoundError(f"got the id {job_id[:64]!r}; {name[:80]} has no such request.")
        return app, job


def _expect(call: _Call, method: str) -> None:
    if call.request.method != method:
        raise NotAllowedError(
            f"got {call.request.method}; expected {method}.", headers={"Allow": method}
        )


def _answer(end: Ending, job: Job | None = None) -> web.Response:
    headers = end.headers if job is None else {_ID: job.id, **end.headers}
    return web.json_response(end.body, status=end.status, headers=headers)


def _start_within(request: web.Request) -> float | None:
    """Seconds that a request may wait until it starts; None: any."""
    text = request.headers.get(_TIMEOUT)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise BadRequestError(f"{_TIMEOUT}: got {text[:40]!r}; expected seconds, above 0.")
    return seconds
