"""Eachlabs: ``mmaudio``. Create, poll, webhook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from ..errors import GatewayError, InvalidInputError, NotFoundError
from ..fields import (
    Cfg,
    Duration,
    Input,
    Prompt,
    Seed,
    Steps,
    Text,
    parse,
    random_seed,
    read_json,
)
from ..gateway import VideoRules
from ..job import Fault, Job, JobSpec, Output, State, WebhookTarget
from .service import Service

_MODEL = "mmaudio"
_RULES = VideoRules(field="input.video", data_uri=False, http=False)
_WEBHOOK_SECONDS = 30.0


class _Model(Input):
    model: Text


class _MMAudioInput(Input):
    video: Text
    prompt: Prompt = ""
    negative_prompt: Prompt = "music"
    duration: Duration = 8.0
    num_steps: Steps = 25
    cfg_strength: Cfg = 4.5
    seed: Seed | None = None


class _Prediction(Input):
    input: _MMAudioInput
    webhook_url: Annotated[Text, Field(max_length=2000)] | None = None
    webhook_secret: Annotated[Text, Field(max_length=500)] | None = None


class Eachlabs(Service):
    """Below ``/mmaudio/eachlabs/v1``."""

    name = "eachlabs"
    title = "Eachlabs"
    prefix = "/eachlabs"
    models = (_MODEL,)

    def key(self, request: web.Request) -> str | None:
        return request.headers.get("X-API-Key")

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.post("/v1/prediction", self._create),
            web.post("/v1/prediction/", self._create),
            web.get("/v1/prediction/{id}", self._get),
        ]

    def problem(self, request: web.Request, error: GatewayError) -> web.StreamResponse:
        return web.json_response(
            {"status": "error", "message": error.message, "details": error.code},
            status=error.status,
        )

    def webhook_body(self, job: Job) -> dict[str, Any]:
        done = job.state is State.DONE
        return {
            "exec_id": job.id,
            "status": "succeeded" if done else "failed",
            "output": _output(job) if done else None,
            "error": "" if done else _reason(job),
        }

    async def _create(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request)
        model = parse(_Model, body).model
        if model != _MODEL:
            raise NotFoundError(f"got the model {model[:80]!r}; expected {_MODEL!r}.")
        prediction = parse(_Prediction, body)
        asked, webhook = prediction.input, None
        if prediction.webhook_url:
            webhook = WebhookTarget(
                url=prediction.webhook_url,
                field="webhook_url",
                secret=prediction.webhook_secret or None,
                timeout=_WEBHOOK_SECONDS,
            )
        spec = JobSpec(
            service=self.name,
            model=_MODEL,
            prompt=asked.prompt,
            negative_prompt=asked.negative_prompt,
            duration=asked.duration,
            steps=asked.num_steps,
            cfg=asked.cfg_strength,
            seed=random_seed() if asked.seed is None else asked.seed,
            outputs=(Output.VIDEO,),
            webhook=webhook,
        )
        job = await self.gateway.create(self.caller(request), spec, asked.video, _RULES)
        return web.json_response(
            {
                "status": "success",
                "message": "Prediction created successfully",
                "predictionID": job.id,
            }
        )

    async def _get(self, request: web.Request) -> web.StreamResponse:
        job = await self.gateway.job(self.caller(request), request.match_info["id"], self.name)
        if not job.ended:
            return web.json_response({"status": "processing", "predictionID": job.id})
        if job.state is State.DONE:
            return web.json_response(
                {
                    "status": "success",
                    "predictionID": job.id,
                    "output": _output(job),
                    "metrics": {"predict_time": round(job.inference_seconds, 3)},
                }
            )
        return web.json_response(
            {
                "status": "error",
                "predictionID": job.id,
                "message": _reason(job),
                "details": _kind(job),
            }
        )


def _output(job: Job) -> str:
    return job.files_of(Output.VIDEO)[0].url


def _reason(job: Job) -> str:
    if job.error is None:
        return "The job was cancelled on the server."
    where = f"input.{job.error.location}: " if job.error.location else ""
    return where + job.error.message


def _kind(job: Job) -> str:
    """Why a job has no output, in one word, as errors of requests tell it."""
    if job.error is None:
        return job.state.value
    kind = InvalidInputError if job.error.fault is Fault.INPUT else GatewayError
    return kind.code
