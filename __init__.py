"""MMAudio for ComfyUI: sound for silent video, from text, or from images."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> ComfyExtension:
    """Called by ComfyUI at startup; only then are the modules of the pack imported."""
    try:
        from . import gateway, nodes

        extension = nodes.extension()
        gateway.start()
        return extension
    except Exception:
        # ComfyUI logs a failed entry point in one line, without the traceback.
        logging.getLogger(__name__).exception("The MMAudio nodes could not be loaded.")
        raise
