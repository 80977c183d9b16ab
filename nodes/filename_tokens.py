"""File-name tokens, as ComfyUI's page replaces them for Save Image and Save Video.

The page does so only for nodes of ComfyUI itself. Done here, they work in API prompts too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_TOKEN = re.compile(r"%([^%]+)%")
_DATE_PART = re.compile(r"dd?|MM?|hh?|mm?|ss?|yyyy|yy")
# characters that a file name cannot hold on every system
_NOT_IN_VALUES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
_NOT_IN_DATES = re.compile(r'[?<>\\:*|"\x00-\x1f\x7f]')  # "/" makes a folder
# replaced by folder_paths.get_save_image_path
_BY_COMFYUI = frozenset({"year", "month", "day", "hour", "minute", "second"})


@dataclass(frozen=True, kw_only=True)
class NamedNode:
    """A node of the graph.

    Attributes:
        titles: what ``%title.widget%`` may call it, best first.
        class_type: its class, which it may be called by where no title fits.
        widgets: the values of its inputs that are not linked.
    """

    titles: tuple[str, ...]
    class_type: str
    widgets: Mapping[str, Any]


def named_nodes(
    prompt: Mapping[str, Any] | None, extra_pnginfo: Mapping[str, Any] | None
) -> list[NamedNode]:
    """The nodes of an API prompt, with the titles of the prompt and of the saved workflow."""
    workflow = (extra_pnginfo or {}).get("workflow") or {}
    drawn = {str(node.get("id")): node for node in workflow.get("nodes") or ()}
    nodes: list[NamedNode] = []
    for node_id, node in (prompt or {}).items():
        on_page = drawn.get(node_id, {})
        titles = (
            (node.get("_meta") or {}).get("title"),
            on_page.get("title"),
            (on_page.get("properties") or {}).get("Node name for S&R"),
        )
        widgets = {k: v for k, v in node["inputs"].items() if not isinstance(v, (list, dict))}
        nodes.append(
            NamedNode(
                titles=tuple(title for title in titles if title),
                class_type=node["class_type"],
                widgets=widgets,
            )
        )
    return nodes


def expand_prefix(
    prefix: str, hidden: Any, size: Callable[[], tuple[int, int]] | None
) -> tuple[str, list[str]]:
    """A name with its tokens replaced, and a notice for each that is not known.

    Args:
        prefix: see ``expand_tokens``.
        hidden: the node's hidden inputs; only looked at if there may be a token.
        size: likewise; gives width and height of the picture. None without one.
    """
    if "%" not in prefix:
        return prefix, []
    nodes = named_nodes(hidden.prompt, hidden.extra_pnginfo)
    return expand_tokens(prefix, datetime.now(), None if size is None else size(), nodes)


def expand_tokens(
    text: str, now: datetime, size: tuple[int, int] | None, nodes: Sequence[NamedNode]
) -> tuple[str, list[str]]:
    """``text`` with its tokens replaced, and what is wrong with those that are not.

    Args:
        text: may hold ``%date:yyyy-MM-dd hh-mm-ss%``, ``%width%``, ``%height%`` and
            ``%node.widget%``.
        now: the time for dates.
        size: width and height of the picture; None without one.
        nodes: where widgets are looked up: by title, then by class; the first that fits.
    """
    notices: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        token = match[1]
        if token in _BY_COMFYUI:
            return match[0]
        if token in ("width", "height") and size is None:
            notices.append(f"filename_prefix: {match[0]} becomes 0: there is no picture")
            return "0"  # as ComfyUI has it
        if size is not None and token in ("width", "height"):
            return str(size[token == "height"])
        if token.startswith("date:"):
            return _NOT_IN_DATES.sub("_", _format_date(token.removeprefix("date:"), now))
        try:
            return _NOT_IN_VALUES.sub("_", _widget(token, nodes))
        except LookupError as error:
            notices.append(f"filename_prefix: {match[0]} stays as it is: {error.args[0]}")
            return match[0]

    return _TOKEN.sub(replaced, text), notices


def _widget(token: str, nodes: Sequence[NamedNode]) -> str:
    name, dot, widget = token.rpartition(".")
    if not dot:
        raise LookupError("expected a date, width, height or the name of a node and a widget")
    found = [node for node in nodes if name in node.titles]
    found = found or [node for node in nodes if name == node.class_type]
    if not found:
        raise LookupError(f"no node has the title {name}")
    if widget not in found[0].widgets:
        raise LookupError(f"{name} has no widget {widget} with a value of its own")
    return _as_text(found[0].widgets[widget])


def _as_text(value: Any) -> str:
    """As the page writes it: true, 25 and not 25.0."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _format_date(pattern: str, now: datetime) -> str:
    numbers = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def part(match: re.Match[str]) -> str:
        letters = match[0]
        if letters[0] == "y":
            return f"{now.year:04}"[-len(letters) :]
        return str(numbers[letters[0]]).zfill(len(letters))

    return _DATE_PART.sub(part, pattern)
