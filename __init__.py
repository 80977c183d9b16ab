"""MMAudio for ComfyUI: sound for silent video, from text, or from pictures."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> ComfyExtension:
    """Called by ComfyUI at start; nothing of the pack is imported before."""
    try:
        from . import nodes

        return nodes.extension()
    except Exception:
        # ComfyUI reports a failed entry point in one line that does not say where it failed.
        logging.getLogger(__name__).exception("The MMAudio nodes could not be loaded.")
        raise
