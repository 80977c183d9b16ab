"""MMAudioExtend: makes room after the end of a latent for sampling to fill."""

from __future__ import annotations

from comfy_api.latest import io

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.sampling.inpaint import extend_latents
from . import compat
from .cures import Node
from .feedback import with_notices
from .inputs import seconds
from .latents import Latent, make_latent, read_latent
from .types import CATEGORY


class MMAudioExtend(Node):
    """Lengthens a latent and masks the new part."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioExtend",
            display_name="MMAudio Extend",
            category=CATEGORY,
            description=(
                "Lengthens a latent to duration; the next sampler fills the new part. Extract the "
                "features with the same duration."
            ),
            inputs=[
                io.Latent.Input("samples", tooltip="From MMAudio Encode or a sampler."),
                seconds("duration", 10.0, "New total length in seconds; that of the features."),
                seconds(
                    "overlap",
                    0.5,
                    "Seconds before the old end over which old and new sound are blended.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="samples")],
            **compat.later_schema_fields(has_intermediate_output=True),
        )

    @classmethod
    def execute(cls, samples: Latent, duration: float, overlap: float) -> io.NodeOutput:
        old, new = read_latent(samples), exact_seconds(duration)
        extended, mask = extend_latents(
            old.samples, old.format, old.duration, new, exact_seconds(overlap)
        )
        longer = make_latent(extended, new, noise_mask=mask[None, :, None])
        return with_notices(longer, notices=old.notices)
