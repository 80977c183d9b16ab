"""MMAudio's nodes: they translate between ComfyUI and the core and hold no state."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import cleanup, folders, kijai_prompts, scan_ahead, take_spectrograms
from .auto_prompt import MMAudioAutoPrompt
from .decode import MMAudioDecode
from .encode import MMAudioEncode
from .evaluate_lora import MMAudioEvaluateLoRA
from .extend import MMAudioExtend
from .feature_extract import MMAudioFeatureExtract
from .guider import MMAudioGuider
from .join_features import MMAudioJoinFeatures
from .load_model import LoadMMAudioModel
from .long_form import MMAudioLongForm
from .lora import MMAudioLoraLoader
from .mux import MuxAudioVideo
from .plot import MMAudioPlot
from .prompt_schedule import MMAudioPromptSchedule
from .region import MMAudioRegion
from .sampler import MMAudioSampler
from .save_audio import MMAudioSaveAudio
from .save_lora import MMAudioSaveLoRA
from .scheduler import MMAudioScheduler
from .score_takes import MMAudioScoreTakes
from .takes import MMAudioTakes
from .text_features import MMAudioTextFeatures
from .training_objective import MMAudioTrainingObjective
from .training_set import MMAudioTrainingSet
from .visual_features import MMAudioVisualFeatures


class MMAudioExtension(ComfyExtension):
    """ComfyUI gets the list of nodes from it."""

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
            MMAudioSaveAudio,
            MMAudioAutoPrompt,
            MMAudioTakes,
            MMAudioScoreTakes,
            MMAudioPlot,
            MMAudioTrainingSet,
            MMAudioTrainingObjective,
            MMAudioEvaluateLoRA,
            MMAudioSaveLoRA,
        ]


def extension() -> MMAudioExtension:
    """The extension; registers the weights folder, and clears away what killed runs left."""
    folders.register()
    cleanup.start()
    scan_ahead.start()
    take_spectrograms.register()
    kijai_prompts.start()
    return MMAudioExtension()
