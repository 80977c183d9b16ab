"""MMAudioDecode and MMAudioEncode: between LATENT and AUDIO."""

from __future__ import annotations

from fractions import Fraction

from comfy_api.latest import Input, io

from ..mmaudio_core.codec.decode import VAE_STAGE, VOCODER_STAGE, decode
from ..mmaudio_core.codec.encode import ENCODER_STAGE, encode
from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.errors import MediaError, MMAudioError
from .feedback import NodeProgress
from .latents import Latent, checked, latent
from .model_manager import ComfyModels
from .types import CATEGORY, MMAudio


class MMAudioDecode(io.ComfyNode):
    """Latents to sound, at the model's own rate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioDecode",
            display_name="MMAudio Decode",
            category=CATEGORY,
            description="Turns what KSampler made into sound (VAE and vocoder).",
            inputs=[MMAudio.Input("mmaudio"), io.Latent.Input("samples")],
            outputs=[io.Audio.Output(display_name="audio")],
        )

    @classmethod
    def execute(cls, mmaudio: ComfyModels, samples: Latent) -> io.NodeOutput:
        latents, fmt, duration = checked(samples)
        if fmt != mmaudio.params.audio:
            raise MMAudioError(
                f"a latent of a {fmt.sample_rate} Hz model was got, one of a "
                f"{mmaudio.params.audio.sample_rate} Hz model was expected: decode with the "
                "model that sampled it"
            )
        progress = NodeProgress({VAE_STAGE: 1, VOCODER_STAGE: 4})
        waveform = decode(mmaudio, latents[:, 0], duration, progress)
        return io.NodeOutput({"waveform": waveform, "sample_rate": fmt.sample_rate})


class MMAudioEncode(io.ComfyNode):
    """Sound to latents, to start from."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioEncode",
            display_name="MMAudio Encode",
            category=CATEGORY,
            description=(
                "Turns sound into a latent: for audio to audio (denoise below 1), for MMAudio "
                "Region and MMAudio Extend."
            ),
            inputs=[
                MMAudio.Input("mmaudio"),
                io.Audio.Input("audio", tooltip="Any rate; channels are mixed to one."),
                io.Float.Input(
                    "duration",
                    default=0.0,
                    min=0.0,
                    max=600.0,
                    step=0.01,
                    optional=True,
                    tooltip=(
                        "Seconds of latent: longer than the sound is filled with silence, shorter "
                        "cuts it; 0: as long as the sound. Use that of the features."
                    ),
                ),
            ],
            outputs=[io.Latent.Output(display_name="samples")],
        )

    @classmethod
    def execute(
        cls, mmaudio: ComfyModels, audio: Input.Audio | None, duration: float = 0.0
    ) -> io.NodeOutput:
        if audio is None:
            raise MediaError("no sound was got (a video without a sound track?): connect one")
        waveform, rate = audio["waveform"], int(audio["sample_rate"])
        seconds = exact_seconds(duration) or Fraction(waveform.shape[-1], rate)
        progress = NodeProgress({ENCODER_STAGE: 1})
        latents = encode(mmaudio, waveform, rate, seconds, progress)
        return io.NodeOutput(latent(latents[:, None], seconds))
