"""MMAudioAutoPrompt: a prompt of what CLIP sees in a video."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import Input, io
from torch import Tensor

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.errors import MediaError
from ..mmaudio_core.features.auto_prompt import LABELS, PACE, write_prompt
from ..mmaudio_core.features.clip_frames import read_clip_frames
from ..mmaudio_core.features.encoders import CLIP_STAGE, LABEL_STAGE
from ..mmaudio_core.features.labels import KINDS, OWN_FILE, labels_fingerprint, read_labels
from ..mmaudio_core.features.pace import measure_pace
from ..mmaudio_core.features.visual import TimeRange
from ..mmaudio_core.features.zero_shot import encode_labels, score_labels
from . import compat, folders, inputs, wiring
from .cures import Node
from .feedback import NodeProgress, with_notices
from .footage import NO_PICTURE, images_rate, to_clip
from .model_manager import ComfyModels
from .types import CATEGORY

_USERS_FILE = "labels.txt"


class MMAudioAutoPrompt(Node):
    """Zero-shot labels from the CLIP features that Feature Extract needs anyway."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioAutoPrompt",
            display_name="MMAudio Auto Prompt",
            category=CATEGORY,
            description=(
                "Writes a prompt of what a video (or images) shows: the labels of a text file that "
                "CLIP finds in it. Feature Extract then encodes no frame again."
            ),
            inputs=[
                inputs.mmaudio(),
                io.Combo.Input(
                    "kind",
                    options=list(KINDS),
                    default=KINDS[0],
                    tooltip="sounds: what such a scene sounds like. music: a style for it.",
                ),
                io.Int.Input("top_k", default=3, min=1, max=50, tooltip="How many labels at most."),
                io.Float.Input(
                    "threshold",
                    default=0.05,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="The score that a label needs to get into the prompt. 0: any.",
                ),
                io.String.Input(
                    "template",
                    default=LABELS,
                    tooltip=(
                        f"The prompt. {LABELS} and {PACE} are replaced; the latter by how fast the "
                        'picture moves and is cut, such as "slow, few cuts".'
                    ),
                ),
                inputs.seconds(
                    "duration",
                    8.0,
                    "Seconds of the video. 0: to its end. Use that of Feature Extract.",
                ),
                inputs.seconds(
                    "start_offset",
                    0.0,
                    "Where in the video to begin, in seconds. Use that of Feature Extract.",
                ),
                io.Video.Input("video", optional=True, tooltip="What to describe."),
                io.Image.Input("images", optional=True, tooltip="Frames instead of a video."),
                inputs.frame_rate(),
                inputs.video_info(),
            ],
            outputs=[
                io.String.Output(display_name="prompt", tooltip="For Feature Extract."),
                io.String.Output(
                    display_name="labels",
                    tooltip="The best labels, one a line, each with its score behind a colon.",
                ),
            ],
            **compat.later_schema_fields(
                search_aliases=[
                    "caption",
                    "describe video",
                    "tag video",
                    "interrogate",
                    "classify",
                ],
                has_intermediate_output=True,
            ),
        )

    @classmethod
    def validate_inputs(cls, input_types: Mapping[str, Any]) -> bool:
        """Refuse what cannot work before anything runs.

        Raises:
            MediaError: raised, not returned, which would show it once for each argument.
        """
        problem = (
            wiring.wrong_type(cls, input_types)
            or wiring.two_pictures(input_types)
            or wiring.no_picture(input_types)
        )
        if problem is not None:
            raise MediaError(problem)
        return True

    @classmethod
    def fingerprint_inputs(cls, **_inputs: object) -> str:
        return labels_fingerprint(_labels_file())

    @classmethod
    def execute(
        cls,
        mmaudio: ComfyModels,
        kind: str,
        top_k: int,
        threshold: float,
        template: str,
        duration: float,
        start_offset: float,
        video: Input.Video | None = None,
        images: Tensor | None = None,
        frame_rate: float = inputs.FRAME_RATE,
        video_info: Any = None,
    ) -> io.NodeOutput:
        labels = read_labels(_labels_file(), kind)
        rate = frame_rate if images is None else images_rate(frame_rate, video_info)
        clip = to_clip(video, images, rate)
        if clip is None:
            raise MediaError(NO_PICTURE)
        time_range = TimeRange(duration=exact_seconds(duration), start=exact_seconds(start_offset))
        progress = NodeProgress({CLIP_STAGE: 8, LABEL_STAGE: 2})
        frames = read_clip_frames(
            mmaudio, clip, time_range, progress, prefetch_frames=mmaudio.encoders_on_gpu
        )
        vectors = encode_labels(mmaudio, labels, progress)
        made = write_prompt(
            score_labels(frames.features, labels, vectors),
            measure_pace(frames.features, frames.steps).words,
            top_k=top_k,
            threshold=threshold,
            template=template,
        )
        scored = "\n".join(f"{label.said}: {label.score:.4f}" for label in made.labels)
        return with_notices(made.prompt, scored, notices=made.notices)


def _labels_file() -> Path:
    """The user's own ``labels.txt``, beside the weights; else the pack's."""
    own = (Path(folder, _USERS_FILE) for folder in folder_paths.get_folder_paths(folders.FOLDER))
    return next((path for path in own if path.is_file()), OWN_FILE)
