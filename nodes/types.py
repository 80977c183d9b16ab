"""The pack's own socket types, and the menus its nodes stand in."""

from __future__ import annotations

from comfy_api.latest import io

MMAudio = io.Custom("MMAUDIO")  # nodes.model_manager.ComfyModels
MMAudioFeatures = io.Custom("MMAUDIO_FEATURES")  # mmaudio_core.features.types.Features
MMAudioVisual = io.Custom("MMAUDIO_VISUAL")  # mmaudio_core.features.types.VisualFeatures
MMAudioText = io.Custom("MMAUDIO_TEXT")  # mmaudio_core.features.types.TextFeatures
MMAudioTraining = io.Custom("MMAUDIO_TRAINING_SET")  # mmaudio_core.training.dataset.TrainingSet
LoraModel = io.Custom("LORA_MODEL")  # tensors by key, from ComfyUI's Train LoRA
VideoInfo = io.Custom("VHS_VIDEOINFO")  # VideoHelperSuite's dict, see footage.images_rate

CATEGORY = "audio/MMAudio"
PARTS = "audio/MMAudio/parts"
TRAINING = "audio/MMAudio/training"
