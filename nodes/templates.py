"""Keeps the API prompts in ``workflows/`` out of ComfyUI's list of templates.

ComfyUI offers every ``workflows/*.json`` of a pack as a template. Those in the API's format open as
an empty graph.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

_LISTS = ("/workflow_templates", "/api/workflow_templates")
_API = ".api"
_PACK = Path(__file__).parent.parent.name


def hide_api_prompts() -> None:
    """Add ``templates_only`` to the server; without one (in tests) there is nothing to do."""
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    # a server that already runs takes no more: then the prompts are listed, which does no harm
    if server is not None and not server.app.frozen:
        server.app.middlewares.append(templates_only)


@web.middleware
async def templates_only(request: web.Request, handler: Any) -> web.StreamResponse:
    """The answer as it is, but for this pack's API prompts in a list of templates."""
    response = await handler(request)
    if request.path not in _LISTS or not isinstance(response, web.Response):
        return response
    listed = json.loads(response.text or "{}")
    if isinstance(listed, dict) and _PACK in listed:
        listed[_PACK] = [name for name in listed[_PACK] if not name.endswith(_API)]
        response.text = json.dumps(listed)
    return response
