"""Progress bar, cancellation, notices and the text on a running node."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import comfy.model_management
import comfy.utils
from comfy_api.latest import io
from comfy_execution.utils import get_executing_context

log = logging.getLogger(__name__)

_RESOLUTION = 1000
NOTICES = "text"  # the key of a node's UI output that ComfyUI's own text previews use


class NodeProgress:
    """The core's progress callback: one bar for all stages of a node.

    Raises ComfyUI's ``InterruptProcessingException`` when the user cancels.

    Args:
        weights: stage -> its part of the bar, relative to the others'.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        total = sum(weights.values())
        self._weights = {stage: weight / total for stage, weight in weights.items()}
        self._fractions = dict.fromkeys(weights, 0.0)
        self._bar = comfy.utils.ProgressBar(_RESOLUTION)
        self._shown = -1

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        if stage in self._fractions:
            self._fractions[stage] = done / total if total else 1.0
        value = int(_RESOLUTION * sum(w * self._fractions[s] for s, w in self._weights.items()))
        if value > self._shown:
            self._shown = value
            self._bar.update_absolute(value, _RESOLUTION)


def with_notices(
    *values: Any, notices: Iterable[str], ui: Mapping[str, Any] | None = None
) -> io.NodeOutput:
    """A node's output with things worth knowing that are no errors.

    They are part of the UI output, so that ComfyUI keeps them in the history and sends them again
    for a cached node. ``Node`` shows them on the node and logs them.
    """
    # always a list: ComfyUI joins those of a node that runs several times for a list of inputs
    return io.NodeOutput(*values, ui={**(ui or {}), NOTICES: list(notices)})


def show_notices(output: io.NodeOutput) -> None:
    """Put an output's notices on the running node."""
    ui = output.ui if isinstance(output.ui, Mapping) else {}
    text = "\n".join(ui.get(NOTICES, ()))
    if text:
        log.warning("MMAudio: %s", text)
        show_text(text)


def show_text(text: str) -> None:
    """Put ``text``, which must not be empty, on the running node.

    ``web/js/node_texts.js`` removes it when it no longer holds: only the page knows what stands
    there, and a node whose result is in the cache does not run.
    """
    context = get_executing_context()
    if context is None:
        return
    from server import PromptServer  # not importable before ComfyUI has started

    server = getattr(PromptServer, "instance", None)
    if server is None:
        return
    # the id of a node made by expansion is "<node on the page>.<number>"
    node = context.node_id.split(".")[0]
    # the names of files may hold what is no Unicode
    text = text.encode("utf-8", "replace").decode()
    server.send_progress_text(text, node, server.client_id)
