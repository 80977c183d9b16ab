"""MMAudioTakes: plays the takes of a sound against the picture, and passes one of them on."""

from __future__ import annotations

from comfy_api.latest import Input, io

from ..mmaudio_core.audio.waveform import read_audio
from . import compat, inputs
from .cures import Node
from .feedback import with_notices
from .take_files import Picture, panel, picture_of
from .take_notes import KEY, check_take, notes_of_one, read_notes
from .types import CATEGORY


class MMAudioTakes(Node):
    """Choose a take by ear; all state is in the inputs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioTakes",
            display_name="MMAudio Takes",
            category=CATEGORY,
            description="Plays the takes of a sound against a video, and passes one of them on.",
            inputs=[
                io.Audio.Input("audio", tooltip="From MMAudio Sampler or another node."),
                io.Int.Input(
                    "take",
                    default=0,
                    min=0,
                    max=4095,
                    tooltip="Which take of the batch to pass on, counted from 0. Keep sets it.",
                ),
                io.Video.Input("video", optional=True, tooltip="The picture to hear it with."),
                inputs.sound_start(),
            ],
            outputs=[io.Audio.Output(display_name="audio")],
            is_output_node=True,
            **compat.later_schema_fields(
                search_aliases=["compare audio", "choose take", "waveform", "preview audio"],
                has_intermediate_output=True,
            ),
        )

    @classmethod
    def execute(
        cls,
        audio: Input.Audio | None,
        take: int,
        video: Input.Video | None = None,
        start_offset: float = 0.0,
    ) -> io.NodeOutput:
        sound = read_audio(audio)
        check_take(take, len(sound.waveforms))
        notes = read_notes(audio)

        def picture() -> Picture | None:
            return None if video is None else picture_of(video, compat.trim_window(video)[0])

        chosen = {
            "waveform": sound.waveforms[take : take + 1],
            "sample_rate": sound.sample_rate,
            KEY: notes_of_one(notes, take),
        }
        shown = panel(sound, notes, picture, start_offset, take)
        return with_notices(chosen, notices=[], ui=shown)
