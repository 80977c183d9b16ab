"""What a running node tells: progress in the page, words on the node."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import comfy.model_management
import comfy.utils

log = logging.getLogger(__name__)

_RESOLUTION = 1000


class NodeProgress:
    """The core's progress callback: one bar for all stages of a node, and cancellation.

    Args:
        shares: stage -> its part of the whole bar, in any unit.
    """

    def __init__(self, shares: Mapping[str, float]) -> None:
        whole = sum(shares.values())
        self._shares = {stage: share / whole for stage, share in shares.items()}
        self._fractions = dict.fromkeys(shares, 0.0)
        self._bar = comfy.utils.ProgressBar(_RESOLUTION)
        self._shown = -1

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        if stage in self._fractions:
            self._fractions[stage] = done / total if total else 1.0
        value = int(
            _RESOLUTION * sum(self._shares[s] * fraction for s, fraction in self._fractions.items())
        )
        if value > self._shown:
            self._shown = value
            self._bar.update_absolute(value, _RESOLUTION)


def notify(node_id: str | None, notices: Iterable[str]) -> None:
    """Put words on the node and into the log: what the user should know, but no error."""
    text = "\n".join(notices)
    if not text:
        return
    log.warning("MMAudio: %s", text)
    from server import PromptServer  # not importable before ComfyUI has started

    server = getattr(PromptServer, "instance", None)
    if server is not None and node_id is not None and hasattr(server, "send_progress_text"):
        # a part of an expanded node speaks on the node the user sees
        server.send_progress_text(text, node_id.split(".")[0])
