"""API prompts of kijai/ComfyUI-MMAudio become ours before ComfyUI checks them.

That pack has loaders of its own, and a sampler under the id of ours with other inputs.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

from .kijai_convert import SAMPLER, Files, LeftAloneError, convert, is_theirs, say

log = logging.getLogger(__name__)


def start() -> None:
    """Listen to the prompts that ComfyUI gets, unless it has no server and only lists nodes."""
    server = getattr(sys.modules.get("server"), "PromptServer", None)
    instance = getattr(server, "instance", None)
    if instance is not None:
        instance.add_on_prompt_handler(on_prompt)


def on_prompt(body: Any) -> Any:
    """The body of POST /prompt, with a prompt of ours instead of one of theirs; raises nothing."""
    try:
        prompt = body.get("prompt") if isinstance(body, dict) else None
        if not isinstance(prompt, dict) or not any(map(is_theirs, prompt.values())):
            return body
        ours = _our_ids()
        if SAMPLER not in ours:  # theirs is installed too, and was loaded last
            return body
        converted, notices = convert(prompt, _files(), ours)
    except LeftAloneError as error:
        log.warning("MMAudio: %s", error)
    except Exception as error:  # whatever others put into a prompt is theirs to explain
        log.exception("MMAudio: %s", say("failed", why=error))
    else:
        for notice in notices:
            log.warning("MMAudio: %s", notice)
        return {**body, "prompt": converted}
    return body


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
