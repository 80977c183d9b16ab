"""The nodes as the server describes them, and texts that it serves."""

from __future__ import annotations

import urllib.request
from typing import Any

from dev.server import ALIAS, ComfyServer

Node = dict[str, Any]

# Languages of help and labels besides English, and the characters that only they have.
LANGUAGES = {"zh": "[\u4e00-\u9fff]", "ja": "[\u3040-\u30ff]"}


def our_nodes(server: ComfyServer) -> dict[str, Node]:
    """This pack's nodes by id."""
    info = server.client.object_info()
    ours = {k: node for k, node in info.items() if node["python_module"].endswith(f".{ALIAS}")}
    assert ours, server.log_tail()
    return ours


def inputs(node: Node) -> dict[str, tuple[str, dict[str, Any]]]:
    """Type and options of every input, by name."""
    return {
        name: (spec[0], spec[1] if len(spec) > 1 else {})
        for group in ("required", "optional")
        for name, spec in node["input"].get(group, {}).items()
    }


def fetch(server: ComfyServer, path: str) -> str:
    """What the page gets from ``path``.

    Raises:
        HTTPError: the server has nothing there.
    """
    with urllib.request.urlopen(f"{server.url}{path}", timeout=30) as answer:
        return answer.read().decode("utf-8")
