"""The pack's own socket types."""

from __future__ import annotations

from comfy_api.latest import io

MMAudio = io.Custom("MMAUDIO")  # nodes.runtime.ComfyNetworks
MMAudioFeatures = io.Custom("MMAUDIO_FEATURES")  # mmaudio_core.features.Features

CATEGORY = "audio/MMAudio"
