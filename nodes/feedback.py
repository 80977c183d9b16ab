"""Progress bar, cancellation and notices of a running node."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import comfy.model_management
import comfy.utils

log = logging.getLogger(__name__)

_RESOLUTION = 1000


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


def notify(node_id: str | None, notices: Iterable[str]) -> None:
    """Show notices on the node and log them: worth knowing, but no error."""
    text = "\n".join(notices)
    if not text:
        return
    log.warning("MMAudio: %s", text)
    from server import PromptServer  # not importable before ComfyUI has started

    server = getattr(PromptServer, "instance", None)
    if server is not None and node_id is not None:
        # the id of a node made by expansion is "<node on the page>.<number>"
        server.send_progress_text(text, node_id.split(".")[0])
