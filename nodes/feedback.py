"""Progress bar, cancellation and notices."""

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
    for a cached node. ``web/js/node_texts.js`` shows them on the node, those of several items of a
    list that are alike as one.
    """
    # always a list: ComfyUI joins those of a node that runs several times for a list of inputs
    context = get_executing_context()
    item = (context.list_index or 0) if context else 0
    # only later items are known to be of a list
    told = [f"Item {item + 1}: {notice}" if item else notice for notice in notices]
    for notice in told:
        log.warning("MMAudio: %s", notice)
    return io.NodeOutput(*values, ui={**(ui or {}), NOTICES: told})
