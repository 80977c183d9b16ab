"""Looking for weights in a thread before a request asks for them, so that no other one waits."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from aiohttp import web

from . import folders

_ASKING = ("/object_info", "/prompt")
"""Requests for which ComfyUI asks nodes for their inputs, in the event loop."""


@web.middleware
async def scan_ahead(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Read the headers of new weights files; then the node's own scan finds nothing new."""
    if request.path.removeprefix("/api").startswith(_ASKING):
        await asyncio.to_thread(folders.catalog)
    return await handler(request)


def start() -> None:
    """Let ComfyUI's server do so; a process without one has nobody who waits."""
    module = sys.modules.get("server")  # ComfyUI imports it before any pack
    server = module and getattr(module.PromptServer, "instance", None)
    if server:
        server.app.middlewares.append(scan_ahead)
