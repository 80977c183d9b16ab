"""MMAudio's nodes: they translate between ComfyUI and the core, and hold no state."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import folders
from .decode import MMAudioDecode, MMAudioEncode
from .edit import MMAudioExtend, MMAudioRegion
from .feature_extract import MMAudioFeatureExtract
from .feature_parts import MMAudioJoinFeatures, MMAudioTextFeatures, MMAudioVisualFeatures
from .guider import MMAudioGuider, MMAudioScheduler
from .load_model import LoadMMAudioModel
from .long_form import MMAudioLongForm
from .lora import MMAudioLoraLoader
from .mux import MuxAudioVideo
from .prompt_schedule import MMAudioPromptSchedule
from .sampler import MMAudioSampler


class MMAudioExtension(ComfyExtension):
    """What ComfyUI asks for the list of nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            LoadMMAudioModel,
            MMAudioFeatureExtract,
            MMAudioSampler,
            MuxAudioVideo,
            MMAudioDecode,
            MMAudioEncode,
            MMAudioRegion,
            MMAudioExtend,
            MMAudioVisualFeatures,
            MMAudioTextFeatures,
            MMAudioJoinFeatures,
            MMAudioLoraLoader,
            MMAudioGuider,
            MMAudioScheduler,
            MMAudioLongForm,
            MMAudioPromptSchedule,
        ]


def extension() -> MMAudioExtension:
    """The extension; registers the folder of the weights."""
    folders.register()
    return MMAudioExtension()
