"""inference.sh's task: what it tells of a job."""

from __future__ import annotations

import base64
from datetime import datetime, timezone
from typing import Any

from ..job import Job, Output, ResultFile, State

_TASK_LOG = 4  # the clients' TaskLogType.TASK

# The numbers that the clients know. The page's are lower by one from "completed" on: with them a
# client never sees an end, and takes a failure for a success.
_CANCELLING = 8
_STATUS = {
    State.RECEIVED: 1,
    State.FETCHING: 1,
    State.QUEUED: 2,
    State.RUNNING: 7,
    State.DONE: 10,
    State.FAILED: 11,
    State.CANCELLED: 12,
}
# The page's, for webhooks, which no client reads.
_WEBHOOK_STATUS = {
    State.DONE: (9, "completed"),
    State.FAILED: (10, "failed"),
    State.CANCELLED: (11, "cancelled"),
}


def status_of(job: Job) -> int:
    """The clients' number of where a job is."""
    return _CANCELLING if job.cancelling and not job.ended else _STATUS[job.state]


def task_of(job: Job) -> dict[str, Any]:
    """A job as a task of the API."""
    log = "\n".join(f"{_time(line.time)} {line.message}" for line in job.logs)
    content = base64.b64encode(log.encode()).decode()
    return {
        "id": job.id,
        "status": status_of(job),
        "input": job.spec.input,
        "output": _output(job),
        "error": "" if job.error is None else job.error.message,
        "logs": [{"log_type": _TASK_LOG, "content": content}] if log else [],
        "progress": int(100 * job.progress),
        "session_id": None,
        "created_at": _time(job.created_at),
        "updated_at": _time(job.updated_at),
    }


def webhook_of(job: Job) -> dict[str, Any]:
    """What a webhook is told of a job that has ended."""
    number, name = _WEBHOOK_STATUS[job.state]
    task = task_of(job)
    told = ("id", "output", "error", "session_id", "created_at", "updated_at")
    return {"status": number, "status_name": name} | {key: task[key] for key in told}


def _output(job: Job) -> dict[str, Any] | None:
    if job.state is not State.DONE:
        return None
    audio = job.files_of(Output.FLAC)[0]
    output: dict[str, Any] = {"audio_output": _file(audio)}
    for video in job.files_of(Output.VIDEO):  # none, if there was none
        output["video_output"] = _file(video)
    return output | {"duration": round(audio.duration, 3), "sampling_rate": audio.sample_rate}


def _file(file: ResultFile) -> dict[str, Any]:
    return {
        "uri": file.url,
        "content_type": file.content_type,
        "size": file.size,
        "filename": file.file_name,
    }


def _time(seconds: float) -> str:
    return (
        datetime.fromtimestamp(seconds, timezone.utc)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
