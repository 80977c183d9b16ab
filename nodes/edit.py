"""MMAudioRegion and MMAudioExtend: which part of a latent to make anew."""

from __future__ import annotations

from comfy_api.latest import io

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.sampling.inpaint import extend_latents, region_mask
from .latents import Latent, checked, latent
from .types import CATEGORY


class MMAudioRegion(io.ComfyNode):
    """Marks a part in time; sampling regenerates it and keeps the rest."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioRegion",
            display_name="MMAudio Region",
            category=CATEGORY,
            description=(
                "Marks the part from start to end to be made anew by the next sampler; the rest "
                "is kept."
            ),
            inputs=[
                io.Latent.Input("samples", tooltip="From MMAudio Encode or a sampler."),
                _seconds("start", 0.0, "Seconds where the part to make anew starts."),
                _seconds("end", 8.0, "Seconds where it ends; 0: at the end."),
                _seconds(
                    "feather", 0.1, "Seconds over which old and new are blended, outside the part."
                ),
            ],
            outputs=[io.Latent.Output(display_name="samples")],
        )

    @classmethod
    def execute(cls, samples: Latent, start: float, end: float, feather: float) -> io.NodeOutput:
        latents, fmt, duration = checked(samples)
        begin, until = exact_seconds(start), exact_seconds(end) or duration
        mask = region_mask(latents.shape[2], fmt, duration, begin, until, exact_seconds(feather))
        return io.NodeOutput({**samples, "noise_mask": mask[None, :, None]})


class MMAudioExtend(io.ComfyNode):
    """Makes room after the end of a latent, for sampling to fill."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioExtend",
            display_name="MMAudio Extend",
            category=CATEGORY,
            description=(
                "Continues a result past its end: room up to duration, for the next sampler to "
                "fill. Extract the features with the same duration."
            ),
            inputs=[
                io.Latent.Input("samples", tooltip="From MMAudio Encode or a sampler."),
                _seconds("duration", 10.0, "Seconds in all; that of the features."),
                _seconds(
                    "overlap", 0.5, "Seconds before the old end that are blended into the new part."
                ),
            ],
            outputs=[io.Latent.Output(display_name="samples")],
        )

    @classmethod
    def execute(cls, samples: Latent, duration: float, overlap: float) -> io.NodeOutput:
        latents, fmt, old = checked(samples)
        new = exact_seconds(duration)
        longer, mask = extend_latents(latents, fmt, old, new, exact_seconds(overlap))
        return io.NodeOutput(latent(longer, new, noise_mask=mask[None, :, None]))


def _seconds(name: str, default: float, tooltip: str) -> io.Float.Input:
    return io.Float.Input(name, default=default, min=0.0, max=600.0, step=0.01, tooltip=tooltip)
