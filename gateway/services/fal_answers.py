"""What fal says of a request: where it is, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..job import Fault, Job, JobError, LogLine, State
from .fal_app import FalApp

WEBHOOK = "fal_webhook"  # in the query


@dataclass(frozen=True)
class Ending:
    """The answer to a request that has ended.

    Attributes:
        body: the output, or the error.
        error: for people; None if it went well.
        error_type: one of fal's words.
    """

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    error_type: str | None = None


def ending(app: FalApp, job: Job) -> Ending:
    """How a job ended, as fal's result has it."""
    if job.state is State.DONE:
        return Ending(200, app.output(job))
    if job.error is None:
        return failure(499, "The request was cancelled.", "client_cancelled")
    if job.error.fault is Fault.TIMEOUT:
        headers = {"X-Fal-Request-Timeout-Type": "user"}
        return failure(504, job.error.message, "request_timeout", headers)
    if job.error.fault is Fault.INPUT:
        return _wrong_input(app, job.error)
    return failure(500, job.error.message, "internal_error")


def failure(code: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> Ending:
    """An error that is not the input's."""
    return Ending(
        code,
        {"detail": message, "error_type": kind},
        {"X-Fal-Error-Type": kind, **(headers or {})},
        message,
        kind,
    )


def status(job: Job, app: FalApp, logs: Sequence[LogLine] | None) -> dict[str, Any]:
    """Where a job is.

    Args:
        logs: those to tell; None: none were asked for.
    """
    requests = f"{job.base_url}/fal/queue/{app.polled_as}/requests/{job.id}"
    answer: dict[str, Any] = {
        "status": "IN_QUEUE",
        "request_id": job.id,
        "response_url": requests,
        "status_url": f"{requests}/status",
        "cancel_url": f"{requests}/cancel",
    }
    if not job.ended and job.state is not State.RUNNING:
        return answer | {"queue_position": job.position}
    answer["logs"] = None if logs is None else [_log(line) for line in logs]
    if not job.ended:
        return answer | {"status": "IN_PROGRESS"}
    answer["status"] = "COMPLETED"
    answer["metrics"] = {"inference_time": round(job.inference_seconds, 3)}
    end = ending(app, job)
    if end.error is not None:
        answer |= {"error": end.error, "error_type": end.error_type}
    return answer


async def events(
    app: FalApp, job: Job, logs: bool, seconds: float
) -> AsyncIterator[dict[str, Any]]:
    """Where a job is, at every change and after ``seconds`` without one; each log line once."""
    clock = asyncio.get_running_loop().time
    told = 0
    while True:
        version = job.version
        now = status(job, app, None)
        lines = job.logs[told:] if logs and "logs" in now else []
        told += len(lines)
        yield status(job, app, lines) if logs else now
        if now["status"] == "COMPLETED":
            return
        due = clock() + seconds
        while (left := due - clock()) > 0:
            await job.changed(version, left)
            version = job.version
            if status(job, app, None) != now or (logs and "logs" in now and job.logs[told:]):
                break


def webhook(app: FalApp, job: Job) -> dict[str, Any]:
    """What a webhook is told."""
    end = ending(app, job)
    told = {
        "request_id": job.id,
        "gateway_request_id": job.id,
        "status": "OK" if end.error is None else "ERROR",
        "payload": end.body,
    }
    return told if end.error is None else told | {"error": end.error}


def input_errors(errors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Errors of pydantic's as fal words them."""
    return {"detail": [{**error, "loc": _location(error["loc"])} for error in errors]}


def _location(loc: Sequence[Any]) -> list[Any]:
    return ["query" if tuple(loc) == (WEBHOOK,) else "body", *loc]


def _wrong_input(app: FalApp, error: JobError) -> Ending:
    location = [] if error.location is None else [app.field(error.location)]
    detail = {"loc": ["body", *location], "msg": error.message, "type": "value_error"}
    kind = "bad_request"
    return Ending(422, {"detail": [detail]}, {"X-Fal-Error-Type": kind}, error.message, kind)


def _log(line: LogLine) -> dict[str, Any]:
    time = datetime.fromtimestamp(line.time, timezone.utc).isoformat(timespec="milliseconds")
    return {"message": line.message, "level": "INFO", "source": "USER", "timestamp": time}
