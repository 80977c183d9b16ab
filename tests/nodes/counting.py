"""What a prompt made ComfyUI do: which nodes ran, and how much was encoded."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from dev.client import Result
from dev.server import ComfyServer
from tests.nodes.graphs import Graph, node, run

_ENCODED = re.compile(
    r"(CLIP image encoder|Synchformer|text encoder|label encoder): encoded (\d+) of \d+ inputs"
)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one prompt took.

    Attributes:
        result: how it ended.
        runs: how often each node was executed, by node id; cached nodes are not in it.
        frames: frames that CLIP encoded.
        segments: segments that Synchformer encoded.
        prompts: prompts that CLIP encoded.
        labels: labels that CLIP encoded.
    """

    result: Result
    runs: Counter[str]
    frames: int
    segments: int
    prompts: int
    labels: int

    @property
    def encoded(self) -> tuple[int, int, int]:
        """Frames, segments and prompts that were encoded."""
        return self.frames, self.segments, self.prompts


def work(server: ComfyServer, graph: Graph) -> Work:
    """Run ``graph``, which must succeed, and count."""
    before = len(server.log_text())
    result = run(server, graph)
    encoded: Counter[str] = Counter()
    for encoder, count in _ENCODED.findall(server.log_text()[before:]):
        encoded[encoder] += int(count)
    return Work(
        result=result,
        runs=Counter(
            str(event.data["node"])
            for event in result.events
            if event.kind == "executing" and event.data["node"] is not None
        ),
        frames=encoded["CLIP image encoder"],
        segments=encoded["Synchformer"],
        prompts=encoded["text encoder"],
        labels=encoded["label encoder"],
    )


def free_memory(server: ComfyServer) -> None:
    """Unload models and drop cached outputs.

    ComfyUI may begin a prompt first that is queued right after the request, so a small one is.
    """
    server.client.free()
    text = {
        "text": node("PrimitiveString", value=""),
        "out": node("PreviewAny", source=["text", 0]),
    }
    run(server, text)
