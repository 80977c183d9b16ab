"""Why a job fails, and how much of it its client is told."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from .graph import OF_THE_INPUT
from .job import Fault, Job, JobError
from .video_files import without_path

log = logging.getLogger(__name__)

OURS = JobError(
    fault=Fault.INTERNAL, message="Something went wrong on the server; its log says more."
)
_NODE_ERROR = "MMAudioNodeError"


class FailedError(Exception):
    """Ends a job with ``error``."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


def of_input(message: str, location: str) -> JobError:
    """What the client sent is at fault; ``location`` as in ``JobError``."""
    return JobError(fault=Fault.INPUT, message=message, location=location)


def of_node(job: Job, event: Mapping[str, Any]) -> JobError:
    """A node raised an error: what of it is the client's, and may be told."""
    message = str(event.get("exception_message") or "").strip()
    node = str(event.get("node_id"))
    if node in OF_THE_INPUT and event.get("exception_type") == _NODE_ERROR:
        message = without_path(message, job.id)
        return of_input(message, "video" if job.spec.has_video else "prompt")
    log.error("MMAudio: the job %s failed in node %s: %s", job.id, node, message)
    return OURS
