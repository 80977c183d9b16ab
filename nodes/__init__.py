"""MMAudio's nodes: they translate between ComfyUI and the core, and hold no state."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import folders
from .decode import MMAudioDecode, MMAudioEncode
from .edit import MMAudioExtend, MMAudioRegion
from .feature_parts import MMAudioJoinFeatures, MMAudioTextFeatures, MMAudioVisualFeatures
from .features import MMAudioFeatureExtract
from .guider import MMAudioGuider, MMAudioScheduler
from .load import LoadMMAudioModel
from .long_form import MMAudioLongForm
from .lora import MMAudioLoraLoader
from .mux import MuxAudioVideo
from .prompt_schedule import MMAudioPromptSchedule
from .sample import MMAudioSampler
from .templates import hide_api_prompts


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
    """The extension; registers the folder of the weights, tidies the templates."""
    folders.register()
    hide_api_prompts()
    return MMAudioExtension()
