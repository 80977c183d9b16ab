"""What an application is to fal's routes: its input becomes a job, a job its output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from ..gateway import VideoRules
from ..job import Job, JobSpec, ResultFile

SERVICE = "fal"


class FalApp(ABC):
    """Translates one application.

    Attributes:
        name: its endpoint id, such as ``owner/alias/sub-path``.
        rules: for its video.
    """

    name: str
    rules: VideoRules

    @property
    def polled_as(self) -> str:
        """``owner/alias``: clients ask for a request without the sub-path."""
        return "/".join(self.name.split("/")[:2])

    def field(self, location: str) -> str:
        """Its name of an input, by ``JobError.location``."""
        return self.rules.field if location == "video" else location

    @abstractmethod
    def read(self, body: Mapping[str, Any]) -> tuple[JobSpec, str]:
        """The job that a body asks for, and its video as the client sent it.

        Raises:
            InvalidInputError: the body is wrong.
        """

    @abstractmethod
    def output(self, job: Job) -> dict[str, Any]:
        """The result of a job that is done."""


def file_of(file: ResultFile) -> dict[str, Any]:
    """A file as fal's outputs describe it."""
    return {
        "url": file.url,
        "content_type": file.content_type,
        "file_name": file.file_name,
        "file_size": file.size,
    }
