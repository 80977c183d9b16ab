"""The pack's own socket types."""

from __future__ import annotations

from comfy_api.latest import io

MMAudio = io.Custom("MMAUDIO")  # nodes.runtime.ComfyNetworks
MMAudioFeatures = io.Custom("MMAUDIO_FEATURES")  # mmaudio_core.features.Features
MMAudioVisual = io.Custom("MMAUDIO_VISUAL")  # mmaudio_core.features.VisualFeatures
MMAudioText = io.Custom("MMAUDIO_TEXT")  # mmaudio_core.features.TextFeatures
VideoInfo = io.Custom("VHS_VIDEOINFO")  # of VideoHelperSuite: a dict, see nodes.footage.image_rate

CATEGORY = "audio/MMAudio"
PARTS = "audio/MMAudio/parts"
