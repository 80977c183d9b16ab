"""MMAudioSaveAudio: writes each take of a sound into a file of its own, and plays the first."""

from __future__ import annotations

from comfy_api.latest import Input, io, ui
from torch import Tensor

from ..mmaudio_core.audio.waveform import check_finite_samples, read_audio
from ..mmaudio_core.mux import NumberedName, SoundResult, write_sound
from ..mmaudio_core.mux.options import SOUND_FORMATS
from ..mmaudio_core.progress import Progress
from . import compat
from .cures import Node
from .feedback import with_notices
from .filename_tokens import expand_prefix
from .mux_options import workflow_metadata
from .results import check_prefix, result_name, write_takes
from .types import CATEGORY


class MMAudioSaveAudio(Node):
    """Saves sound without a picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioSaveAudio",
            display_name="Save Audio (MMAudio)",
            category=CATEGORY,
            description="Saves sound alone, a file for each take of the batch.",
            inputs=[
                io.Audio.Input("audio", tooltip="From MMAudio Sampler or another node."),
                io.String.Input(
                    "filename_prefix",
                    default="mmaudio/audio",
                    tooltip=(
                        "Folder and start of the file name, under ComfyUI's output folder. "
                        "%date:yyyy-MM-dd% and %Node.widget% are replaced."
                    ),
                ),
                io.Combo.Input(
                    "format",
                    options=list(SOUND_FORMATS),
                    default=SOUND_FORMATS[0],
                    tooltip="flac is lossless (24 bits). m4a (AAC) is much smaller.",
                ),
            ],
            outputs=[io.Audio.Output(display_name="audio")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
            **compat.later_schema_fields(
                search_aliases=["save audio", "save sound", "export audio", "flac", "m4a", "aac"]
            ),
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None = None) -> bool:
        """Refuse a name that cannot be before anything runs; a linked prefix is None here.

        Raises:
            MediaError: raised, not returned, which would show it once for each argument.
        """
        if filename_prefix is not None and "%" not in filename_prefix:
            check_prefix(filename_prefix)
        return True

    @classmethod
    def execute(cls, audio: Input.Audio | None, filename_prefix: str, format: str) -> io.NodeOutput:
        sound = read_audio(audio)
        check_finite_samples(sound.waveforms)  # of all takes before any is written
        prefix, notes = expand_prefix(filename_prefix, cls.hidden, None)
        name, subfolder = result_name(prefix)
        metadata = workflow_metadata(cls.hidden.prompt, cls.hidden.extra_pnginfo)

        def write(take: Tensor, name: NumberedName, progress: Progress) -> SoundResult:
            return write_sound(
                take, sound.sample_rate, name, format, metadata=metadata, progress=progress
            )

        results = write_takes(list(sound.waveforms), name, write)
        notices = dict.fromkeys([*notes, *(note for r in results for note in r.notes)])
        saved = [ui.SavedResult(r.path.name, subfolder, io.FolderType.output) for r in results]
        return with_notices(audio, notices=notices, ui=ui.SavedAudios(saved).as_dict())
