"""``sonilo/v1.1/video-to-music``: music for a video, on fal's routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from ..fields import Input, Integer, Number, Prompt, Text, parse, random_seed
from ..gateway import VideoRules
from ..job import Job, JobSpec, Output
from .fal_app import SERVICE, FalApp, file_of

_MOST_SECONDS = 600


class _MusicInput(Input):
    video_url: Text
    num_samples: Annotated[Integer, Field(ge=1, le=3)] = 1
    prompt: Prompt | None = None
    start_offset: Annotated[Number, Field(ge=0, le=_MOST_SECONDS)] = 0.0
    duration: Annotated[Number, Field(ge=1, le=_MOST_SECONDS)] | None = None


class VideoToMusic(FalApp):
    name = "sonilo/v1.1/video-to-music"
    rules = VideoRules(field="video_url", data_uri=False)

    def read(self, body: Mapping[str, Any]) -> tuple[JobSpec, str]:
        asked = parse(_MusicInput, body)
        spec = JobSpec(
            service=SERVICE,
            model=self.name,
            prompt=asked.prompt or "",
            auto_prompt=True,
            duration=asked.duration,
            start_offset=asked.start_offset,
            must_fit=True,
            seed=random_seed(),
            takes=asked.num_samples,
            outputs=(Output.M4A,),
        )
        return spec, asked.video_url

    def output(self, job: Job) -> dict[str, Any]:
        audios = [file_of(file) for file in job.files_of(Output.M4A)]
        return {"audio": audios[0], "audios": audios}
