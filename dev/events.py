"""What ComfyUI says over its websocket while a prompt runs."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

_TEXT = 3  # the binary message that carries words for a node


@dataclass(frozen=True, kw_only=True)
class Event:
    """One message.

    ``kind`` is ComfyUI's own name: executing, progress, progress_state, executed,
    execution_error, execution_interrupted, execution_success and so on; or ``progress_text``,
    whose data are ``node`` and ``text``.
    """

    kind: str
    data: dict[str, Any]


def read_event(message: str | bytes) -> Event | None:
    """The event in a websocket message; None for pictures and kinds unknown here."""
    if isinstance(message, str):
        decoded = json.loads(message)
        return Event(kind=decoded["type"], data=decoded.get("data") or {})
    kind, length = struct.unpack_from(">II", message)
    if kind != _TEXT:
        return None
    node, text = message[8 : 8 + length], message[8 + length :]
    return Event(kind="progress_text", data={"node": node.decode(), "text": text.decode()})
