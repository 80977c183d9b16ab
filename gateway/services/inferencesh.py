"""inference.sh: ``infsh/mmaudio``. Run, tasks, their stream, cancel, files, webhook."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from aiohttp import web
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from ..errors import GatewayError, InvalidInputError, NotFoundError
from ..fields import (
    Cfg,
    Duration,
    Input,
    Integer,
    Prompt,
    Seed,
    Steps,
    Text,
    as_sent,
    parse,
    read_json,
)
from ..gateway import Caller, VideoRules
from ..job import Job, JobSpec, Output, WebhookTarget
from .inferencesh_task import status_of, task_of, webhook_of
from .service import Service, scheme_key

_MODEL = "infsh/mmaudio"
_APP = re.compile(rf"{_MODEL}(@[\w.-]+)?(:[\w.-]+)?")
_RULES = VideoRules(field="input.video_input")
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_PROMPT_BYTES = 3000  # 4000 letters of base64
_MAX_FILES = 10  # a request


def _address(value: Any) -> Any:
    """The address of a file: itself, or an object's."""
    if not isinstance(value, dict):
        return value
    address = value.get("uri") or value.get("url")
    if address is None:
        raise PydanticCustomError(
            "file_type", "Input should be a URL, or an object with uri or url"
        )
    return address


class _App(Input):
    app: Text


class _MMAudioInput(Input):
    prompt: Prompt
    negative_prompt: Prompt = ""
    video_input: Annotated[Text, BeforeValidator(_address), Field(min_length=1)] | None = None
    duration: Duration = 8.0
    cfg_strength: Cfg = 4.5
    num_steps: Steps = 25
    seed: Seed = 42
    mask_away_clip: bool = False


class _Run(Input):
    input: _MMAudioInput
    webhook: Annotated[Text, Field(max_length=2000)] | None = None


class _NewFile(Input):
    filename: Text | None = None
    content_type: Text | None = None
    size: Annotated[Integer, Field(ge=0)] | None = None


class _NewFiles(Input):
    files: Annotated[list[_NewFile], Field(min_length=1, max_length=_MAX_FILES)]


class InferenceSh(Service):
    """Below ``/mmaudio/inferencesh``.

    Attributes:
        stream_seconds: a stream has a line at least this often.
    """

    name = "inferencesh"
    title = "inference.sh"
    prefix = "/inferencesh"
    models = (_MODEL,)
    stream_seconds = 8.0

    def key(self, request: web.Request) -> str | None:
        return scheme_key(request, "Bearer")

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.post("/apps/run", self._run),
            web.get("/tasks/{id}", self._get),
            web.get("/tasks/{id}/status", self._get_status),
            web.get("/tasks/{id}/stream", self._stream, allow_head=False),
            web.post("/tasks/{id}/cancel", self._cancel),
            web.post("/files", self._new_files),
        ]

    def problem(self, request: web.Request, error: GatewayError) -> web.StreamResponse:
        return web.json_response(
            {
                "type": f"{self.gateway.base_url(request)}{self.prefix}/errors/{error.code}",
                "title": HTTPStatus(error.status).phrase,
                "status": error.status,
                "detail": error.message,
            },
            status=error.status,
            content_type="application/problem+json",
        )

    def webhook_body(self, job: Job) -> dict[str, Any]:
        return webhook_of(job)

    async def _run(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request)
        app = parse(_App, body).app
        if _APP.fullmatch(app) is None:
            raise NotFoundError(f"got the app {app[:80]!r}; expected {_MODEL!r}.")
        run = parse(_Run, body)
        asked, caller = run.input, self.caller(request)
        video = asked.video_input
        spec = JobSpec(
            service=self.name,
            model=_MODEL,
            prompt=await self._text(caller, "input.prompt", asked.prompt),
            negative_prompt=await self._text(
                caller, "input.negative_prompt", asked.negative_prompt
            ),
            duration=asked.duration,
            steps=asked.num_steps,
            cfg=asked.cfg_strength,
            seed=asked.seed,
            mask_away_clip=asked.mask_away_clip,
            outputs=(Output.FLAC,) if video is None else (Output.FLAC, Output.VIDEO),
            has_video=video is not None,
            input=as_sent(_MMAudioInput, body["input"]),
            webhook=WebhookTarget(url=run.webhook) if run.webhook else None,
        )
        return _data(task_of(await self.gateway.create(caller, spec, video, _RULES)))

    async def _get(self, request: web.Request) -> web.StreamResponse:
        return _data(task_of(await self._job(request)))

    async def _get_status(self, request: web.Request) -> web.StreamResponse:
        job = await self._job(request)
        return _data({"id": job.id, "status": status_of(job)})

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        job = await self._job(request)
        await self.gateway.cancel(job)
        return _data(task_of(job))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """The task, a line of JSON at every change and every few seconds, until it has ended."""
        job = await self._job(request)
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/x-ndjson",
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",  # nginx would keep lines back
            }
        )
        try:
            await response.prepare(request)
            while True:
                version, ended = job.version, job.ended
                await response.write(json.dumps(task_of(job)).encode() + b"\n")
                if ended:
                    await response.write_eof()
                    return response
                await job.changed(version, self.stream_seconds)
        except ConnectionError:  # the client went
            return response

    async def _new_files(self, request: web.Request) -> web.StreamResponse:
        body = parse(_NewFiles, await read_json(request))
        caller = self.caller(request)
        files: list[dict[str, Any]] = []
        for asked in body.files:
            ticket = await self.gateway.ticket(
                caller, asked.filename or "", asked.content_type, asked.size
            )
            files.append(
                {
                    "id": ticket.id,
                    "uri": ticket.file_url,
                    "upload_url": ticket.upload_url,
                    "filename": ticket.file_name,
                    "content_type": ticket.content_type,
                    "size": asked.size,
                }
            )
        return _data(files)

    async def _job(self, request: web.Request) -> Job:
        return await self.gateway.job(self.caller(request), request.match_info["id"], self.name)

    async def _text(self, caller: Caller, field: str, prompt: str) -> str:
        """A prompt as it was typed.

        The clients upload every text that could be base64, such as ``thunderstormrain``, and send
        the upload's address instead.

        Raises:
            InvalidInputError: it is the address of an upload that is not here, or too long.
        """
        if _URL.fullmatch(prompt) is None:
            return prompt
        try:
            file = await self.gateway.upload(caller, prompt)
        except NotFoundError as error:
            raise InvalidInputError.at(field, error.message, prompt[:200]) from None
        if file is None:
            return prompt

        def read() -> bytes:
            with file.path.open("rb") as upload:
                return upload.read(_PROMPT_BYTES + 1)

        content = await asyncio.to_thread(read)
        if len(content) > _PROMPT_BYTES:
            message = f"got a file of more than {_PROMPT_BYTES} bytes; expected a text."
            raise InvalidInputError.at(field, message, prompt[:200])
        return base64.b64encode(content).decode()


def _data(value: Any) -> web.Response:
    return web.json_response({"data": value})
