"""API prompts of kijai/ComfyUI-MMAudio become ours before ComfyUI checks them.

That pack has loaders of its own, and a sampler under the id of ours with other inputs.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

from aiohttp import web

from .kijai_convert import SAMPLER, Files, LeftAloneError, Prompt, convert, is_theirs, say

log = logging.getLogger(__name__)


def start() -> None:
    """Listen to the prompts that ComfyUI gets, unless it has no server and only lists nodes."""
    server = getattr(sys.modules.get("server"), "PromptServer", None)
    instance = getattr(server, "instance", None)
    if instance is not None:
        instance.add_on_prompt_handler(on_prompt)
        instance.routes.post("/mmaudio_kijai")(_answer)


def on_prompt(body: Any) -> Any:
    """The body of POST /prompt, with a prompt of ours instead of one of theirs; raises nothing."""
    if not isinstance(body, dict):
        return body
    prompt, notices = to_ours(body.get("prompt"))
    for notice in notices:
        log.warning("MMAudio: %s", notice)
    return body if prompt is None else {**body, "prompt": prompt}


async def _answer(request: web.Request) -> web.Response:
    """For a prompt that is opened in the page: what ``to_ours`` makes of it."""
    prompt, notices = to_ours(await request.json())
    return web.json_response({"prompt": prompt, "notices": notices})


def to_ours(prompt: Any) -> tuple[Prompt | None, list[str]]:
    """The prompt in our nodes, None if it stays as it is, and what to tell; raises nothing."""
    try:
        if not isinstance(prompt, dict) or not any(map(is_theirs, prompt.values())):
            return None, []
        ours = _our_ids()
        if SAMPLER not in ours:  # theirs is installed too, and was loaded last
            return None, []
        return convert(prompt, _files(), ours)
    except LeftAloneError as error:
        return None, [str(error)]
    except Exception as error:  # whatever others put into a prompt is theirs to explain
        log.exception("MMAudio: a prompt could not be read.")
        return None, [say("failed", why=error)]


def _our_ids() -> set[str]:
    """Ids of the nodes that ComfyUI has from this pack."""
    from .sampler import MMAudioSampler

    nodes = importlib.import_module("nodes").NODE_CLASS_MAPPINGS
    pack = _module(MMAudioSampler)
    return {id for id, node in nodes.items() if _module(node) == pack}


def _module(node: Any) -> str | None:
    return getattr(node, "RELATIVE_PYTHON_MODULE", None)


def _files() -> Files:
    from ..mmaudio_core.checkpoint import PartKind
    from . import folders

    catalog = folders.catalog()
    return lambda ours: catalog.names(PartKind.FLOW if ours == "model" else PartKind(ours))
