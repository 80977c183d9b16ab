"""MMAudioDecode: from a LATENT to AUDIO."""

from __future__ import annotations

from comfy_api.latest import io

from ..mmaudio_core.codec.decode import VAE_STAGE, VOCODER_STAGE, decode
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.features.types import Features
from . import compat
from .cures import Node
from .feedback import NodeProgress, with_notices
from .inputs import mmaudio
from .latents import Latent, read_latent
from .model_manager import ComfyModels
from .types import CATEGORY, MMAudioFeatures


class MMAudioDecode(Node):
    """Decodes latents at the model's own sample rate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioDecode",
            display_name="MMAudio Decode",
            category=CATEGORY,
            description="Decodes a latent, for instance KSampler's, to sound (VAE and vocoder).",
            inputs=[
                mmaudio("The model that sampled, from Load MMAudio Model."),
                io.Latent.Input("samples", tooltip="From KSampler or another sampler."),
                MMAudioFeatures.Input(
                    "features",
                    optional=True,
                    tooltip=(
                        "Those that it was sampled with; only needed if samples came through Load "
                        "Latent or Rebatch Latents, which drop the exact duration."
                    ),
                ),
            ],
            outputs=[io.Audio.Output(display_name="audio")],
            **compat.later_schema_fields(has_intermediate_output=True),
        )

    @classmethod
    def execute(
        cls, mmaudio: ComfyModels, samples: Latent, features: Features | None = None
    ) -> io.NodeOutput:
        latent = read_latent(samples, None if features is None else features.duration)
        fmt, own = latent.format, mmaudio.params.audio
        if fmt != own:
            raise MMAudioError(
                f"got a latent of a {fmt.sample_rate} Hz model, expected one of a "
                f"{own.sample_rate} Hz model. Decode with the model that sampled it."
            )
        progress = NodeProgress({VAE_STAGE: 1, VOCODER_STAGE: 4})
        waveform = decode(mmaudio, latent.samples[:, 0], latent.duration, progress)
        audio = {"waveform": waveform, "sample_rate": fmt.sample_rate}
        return with_notices(audio, notices=latent.notices)
