"""MMAudioEncode: from AUDIO to a LATENT."""

from __future__ import annotations

from comfy_api.latest import Input, io

from ..mmaudio_core.audio.waveform import read_audio
from ..mmaudio_core.codec.encode import ENCODER_STAGE, encode
from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.features.types import Features
from .cures import Node
from .feedback import NodeProgress
from .inputs import mmaudio, seconds
from .latents import make_latent
from .model_manager import ComfyModels
from .types import CATEGORY, MMAudioFeatures


class MMAudioEncode(Node):
    """Encodes sound, as a start for sampling."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioEncode",
            display_name="MMAudio Encode",
            category=CATEGORY,
            description=(
                "Encodes sound to a latent: for audio to audio (denoise below 1), MMAudio Region "
                "and MMAudio Extend."
            ),
            inputs=[
                mmaudio("The model that will sample, from Load MMAudio Model."),
                io.Audio.Input("audio", tooltip="Any sample rate; mixed to mono."),
                seconds(
                    "duration",
                    0.0,
                    "Seconds. Longer than the sound: padded with silence; shorter: cut; 0: as long "
                    "as the sound.",
                    optional=True,
                ),
                MMAudioFeatures.Input(
                    "features",
                    optional=True,
                    tooltip=(
                        "The features that the sampler gets: as long as these, whatever duration "
                        "says."
                    ),
                ),
            ],
            outputs=[io.Latent.Output(display_name="samples")],
        )

    @classmethod
    def execute(
        cls,
        mmaudio: ComfyModels,
        audio: Input.Audio | None,
        duration: float = 0.0,
        features: Features | None = None,
    ) -> io.NodeOutput:
        sound = read_audio(audio)
        if features is None:
            length = exact_seconds(duration) or sound.duration
        else:
            length = features.duration
        progress = NodeProgress({ENCODER_STAGE: 1})
        latents = encode(mmaudio, sound, length, progress)
        return io.NodeOutput(make_latent(latents[:, None], length))
