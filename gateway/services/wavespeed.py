"""WaveSpeed: ``wavespeed-ai/mmaudio-v2``. Submit, wait or poll, upload, webhook."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from ..errors import GatewayError, NotFoundError
from ..fields import (
    Cfg,
    Input,
    Integer,
    Prompt,
    Steps,
    Text,
    as_sent,
    parse,
    random_seed,
    read_json,
)
from ..gateway import VideoRules
from ..job import Job, JobSpec, Output, State, WebhookTarget
from .service import Service, scheme_key

_MODEL = "wavespeed-ai/mmaudio-v2"
_RULES = VideoRules(field="video")
_STATUS = {
    State.RECEIVED: "created",
    State.FETCHING: "created",
    State.QUEUED: "created",
    State.RUNNING: "processing",
    State.DONE: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}
_SYNC_TIMED_OUT = {"status": "processing", "code": 5004, "error": "Sync mode timed out"}
# Clients that find these in an error may submit the job again.
_TRANSIENT = (
    (re.compile(r"HTTP (?=5|429)", re.IGNORECASE), "status "),
    (re.compile("429"), "too many requests"),
)


class _MMAudioInput(Input):
    video: Text
    prompt: Prompt
    negative_prompt: Prompt = ""
    num_inference_steps: Steps = 25
    duration: Annotated[Integer, Field(ge=1, le=30)] = 8
    guidance_scale: Cfg = 4.5
    mask_away_clip: bool = False


class _Wait(Input):
    enable_sync_mode: bool = False


class _Upload(Input):
    filename: Text
    size: Annotated[Integer, Field(ge=1)]
    content_type: Text | None = None


class Wavespeed(Service):
    """Below ``/mmaudio/wavespeed/api/v3``.

    Attributes:
        sync_seconds: for which a request in sync mode waits.
        keep_alive_seconds: from one sign of life to the next meanwhile.
    """

    name = "wavespeed"
    title = "WaveSpeed"
    prefix = "/wavespeed"
    models = (_MODEL,)
    sync_seconds = 300.0
    keep_alive_seconds = 50.0

    def key(self, request: web.Request) -> str | None:
        return scheme_key(request, "Bearer")

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.get("/api/v3/predictions/{id}", self._get),
            web.get("/api/v3/predictions/{id}/result", self._get),
            web.get("/api/v3/webhook/secret", self._secret),
            web.post("/api/v3/media/uploads", self._upload),
            web.post("/api/v3/{model:.+}", self._submit),
        ]

    def problem(self, request: web.Request, error: GatewayError) -> web.StreamResponse:
        return web.json_response(
            {"code": error.status, "message": error.message, "data": None}, status=error.status
        )

    def webhook_body(self, job: Job) -> dict[str, Any]:
        return _prediction(job) | {"input": job.spec.input}

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        model = request.match_info["model"]
        if model != _MODEL:
            raise NotFoundError(f"got the model {model[:80]!r}; expected {_MODEL!r}.")
        body = await read_json(request)
        asked, wait = parse(_MMAudioInput, body), parse(_Wait, body)
        webhook = request.query.get("webhook")
        spec = JobSpec(
            service=self.name,
            model=_MODEL,
            prompt=asked.prompt,
            negative_prompt=asked.negative_prompt,
            duration=asked.duration,
            steps=asked.num_inference_steps,
            cfg=asked.guidance_scale,
            seed=random_seed(),
            mask_away_clip=asked.mask_away_clip,
            outputs=(Output.VIDEO,),
            input=as_sent(_MMAudioInput, body),
            webhook=WebhookTarget(url=webhook) if webhook else None,
        )
        job = await self.gateway.create(self.caller(request), spec, asked.video, _RULES)
        if wait.enable_sync_mode:
            return await self._answer_at_end(request, job)
        return _success(_prediction(job))

    async def _answer_at_end(self, request: web.Request, job: Job) -> web.StreamResponse:
        """Answer when the job has ended, or ``sync_seconds`` have gone by.

        Spaces before the JSON keep clients and proxies from giving up: Node's ``fetch`` waits
        300 s, nginx 60 s.
        """
        response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.sync_seconds
        try:
            await response.prepare(request)
            while not job.ended and (left := deadline - loop.time()) > 0:
                if not await job.end(min(left, self.keep_alive_seconds)):
                    await response.write(b" ")
            data = _prediction(job) | ({} if job.ended else _SYNC_TIMED_OUT)
            await response.write(_success(data).body)  # type: ignore[arg-type]
            await response.write_eof()
        except ConnectionResetError:  # the client has left; the job goes on
            pass
        return response

    async def _get(self, request: web.Request) -> web.StreamResponse:
        job = await self.gateway.job(self.caller(request), request.match_info["id"], self.name)
        return _success(_prediction(job))

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        asked = parse(_Upload, await read_json(request))
        ticket = await self.gateway.ticket(
            self.caller(request), asked.filename, asked.content_type, asked.size
        )
        return _success(
            {
                "download_url": ticket.file_url,
                "upload": {
                    "method": "PUT",
                    "url": ticket.upload_url,
                    "headers": {"Content-Type": ticket.content_type},
                },
            }
        )

    async def _secret(self, request: web.Request) -> web.StreamResponse:
        secret = await self.gateway.webhook_secret(self.caller(request))
        return _success({"secret": f"whsec_{secret}"})


def _success(data: dict[str, Any]) -> web.Response:
    return web.json_response({"code": 200, "message": "success", "data": data})


def _prediction(job: Job) -> dict[str, Any]:
    files = job.files_of(Output.VIDEO) if job.state is State.DONE else ()
    created = datetime.fromtimestamp(job.created_at, timezone.utc)
    return {
        "id": job.id,
        "model": job.spec.model,
        "outputs": [file.url for file in files],
        "urls": {"get": f"{job.base_url}/wavespeed/api/v3/predictions/{job.id}/result"},
        "has_nsfw_contents": [False for _ in files],  # nothing is checked
        "status": _STATUS[job.state],
        "created_at": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "error": _reason(job),
        "timings": {"inference": round(1000 * job.inference_seconds)},
    }


def _reason(job: Job) -> str:
    if job.state is State.CANCELLED:
        return "The job was cancelled on the server."
    if job.error is None:
        return ""
    where = f"{job.error.location}: " if job.error.location else ""
    reason = where + job.error.message
    for pattern, words in _TRANSIENT:
        reason = pattern.sub(words, reason)
    return reason
