"""``fal-ai/mmaudio-v2``: a video gets its sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from ..fields import (
    Cfg,
    Duration,
    Input,
    Integer,
    Prompt,
    Steps,
    Text,
    parse,
    random_seed,
)
from ..gateway import VideoRules
from ..job import Job, JobSpec, Output
from .fal_app import SERVICE, FalApp, file_of


class _MMAudioInput(Input):
    video_url: Text
    prompt: Prompt
    negative_prompt: Prompt = ""
    seed: Annotated[Integer, Field(ge=0, le=65_535)] | None = None
    num_steps: Steps = 25
    duration: Duration = 8.0
    cfg_strength: Cfg = 4.5
    mask_away_clip: bool = False


class MMAudioV2(FalApp):
    name = "fal-ai/mmaudio-v2"
    rules = VideoRules(field="video_url")

    def read(self, body: Mapping[str, Any]) -> tuple[JobSpec, str]:
        asked = parse(_MMAudioInput, body)
        spec = JobSpec(
            service=SERVICE,
            model=self.name,
            prompt=asked.prompt,
            negative_prompt=asked.negative_prompt,
            duration=asked.duration,
            steps=asked.num_steps,
            cfg=asked.cfg_strength,
            seed=random_seed() if asked.seed is None else asked.seed,
            mask_away_clip=asked.mask_away_clip,
            outputs=(Output.VIDEO,),
        )
        return spec, asked.video_url

    def output(self, job: Job) -> dict[str, Any]:
        return {"video": file_of(job.files_of(Output.VIDEO)[0])}
