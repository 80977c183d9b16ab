"""MMAudioRegion: marks a region of a latent that sampling generates anew."""

from __future__ import annotations

from comfy_api.latest import io

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.sampling.inpaint import region_mask
from . import compat
from .cures import Node
from .feedback import with_notices
from .inputs import seconds
from .latents import Latent, read_latent
from .types import CATEGORY


class MMAudioRegion(Node):
    """Adds a noise mask over a time range."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioRegion",
            display_name="MMAudio Region",
            category=CATEGORY,
            description=(
                "Marks the region from start to end for the next sampler to generate anew; the "
                "rest is kept."
            ),
            inputs=[
                io.Latent.Input("samples", tooltip="From MMAudio Encode or a sampler."),
                seconds("start", 0.0, "Start of the region in seconds."),
                seconds("end", 8.0, "End of the region in seconds. 0: the end of the sound."),
                seconds(
                    "feather", 0.1, "Seconds outside the region over which old and new are blended."
                ),
            ],
            outputs=[io.Latent.Output(display_name="samples")],
            **compat.later_schema_fields(has_intermediate_output=True),
        )

    @classmethod
    def execute(cls, samples: Latent, start: float, end: float, feather: float) -> io.NodeOutput:
        sound = read_latent(samples)
        region = exact_seconds(start), exact_seconds(end) or sound.duration
        length = sound.samples.shape[2]
        mask = region_mask(length, sound.format, sound.duration, *region, exact_seconds(feather))
        marked = {**samples, "noise_mask": mask[None, :, None]}
        return with_notices(marked, notices=sound.notices)
