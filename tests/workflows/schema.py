"""Checks of saved graphs and API prompts against the nodes of a running ComfyUI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
_PYTHON: dict[str, tuple[type, ...]] = {
    "INT": (int,),
    "FLOAT": (int, float),
    "STRING": (str,),
    "BOOLEAN": (bool,),
}
# The user who opens the template chooses one of their own files.
_FILES = ("video_upload", "image_upload", "audio_upload")
# Widgets that the page adds: the button beside a file, the player of a sound.
_OF_THE_PAGE = ("IMAGEUPLOAD", "AUDIO_UI")
_SEEDS = ("seed", "noise_seed")
# What the user made or put there: the page lists it, and the template names none.
_OWN_FILES = ("lora_name",)
_ANY = "*"  # the type of an input that takes every type
CONTROLS = ("fixed", "increment", "decrement", "randomize")


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input of a node."""

    name: str
    type: str
    required: bool
    settings: Mapping[str, Any]
    options: tuple[Any, ...]

    @property
    def is_widget(self) -> bool:
        return self.type in _WIDGETS and not self.settings.get("forceInput")

    @property
    def is_file(self) -> bool:
        return any(self.settings.get(key) for key in _FILES)

    @property
    def is_chosen(self) -> bool:
        """Whether its value is a file of the user's."""
        return self.is_file or self.name in _OWN_FILES

    @property
    def widgets(self) -> int:
        """How many values a saved graph holds for it: seeds and files have a second widget."""
        return 0 if not self.is_widget else 1 + (self.has_control or self.is_file)

    @property
    def has_control(self) -> bool:
        """Whether the page adds what becomes of it after a run; to seeds it does so unasked."""
        asked = self.settings.get("control_after_generate")
        return bool(self.name in _SEEDS if asked is None else asked)

    def fault(self, value: Any) -> str | None:
        """Why ``value`` does not fit, or None."""
        if not self.is_widget:
            return f"{self.name} is a {self.type}, no value"
        if self.type == "COMBO":
            known = value in self.options or (self.is_chosen and isinstance(value, str))
            return None if known else f"{self.name}: {value!r} is none of {self.options}"
        expected = _PYTHON[self.type]
        if not isinstance(value, expected) or (isinstance(value, bool) and self.type != "BOOLEAN"):
            return f"{self.name}: {value!r} is no {self.type}"
        low, high = self.settings.get("min", value), self.settings.get("max", value)
        return None if low <= value <= high else f"{self.name}: {value} is not in {low} to {high}"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node's interface, inputs in the order of its widgets."""

    inputs: tuple[Input, ...]
    outputs: tuple[tuple[str, str], ...]  # name, type

    def input(self, name: str) -> Input | None:
        return next((one for one in self.inputs if one.name == name), None)


def read(entry: Mapping[str, Any]) -> Node:
    """An entry of ``/object_info``."""
    return Node(
        inputs=tuple(_inputs(entry["input"])),
        outputs=tuple(zip(entry["output_name"], entry["output"], strict=True)),
    )


def _inputs(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[Input]:
    for part in ("required", "optional"):
        for name, (kind, *rest) in parts.get(part, {}).items():
            settings = rest[0] if rest else {}
            listed = isinstance(kind, list)
            yield Input(
                name=name,
                type="COMBO" if listed else kind,
                required=part == "required",
                settings=settings,
                options=tuple(kind if listed else settings.get("options", ())),
            )


def prompt_faults(graph: Mapping[str, Any], info: Mapping[str, Any]) -> list[str]:
    """Faults of an API prompt."""
    faults: list[str] = []
    for key, entry in graph.items():
        if entry["class_type"] not in info:
            faults.append(f"{key}: there is no node {entry['class_type']}")
            continue
        node = read(info[entry["class_type"]])
        missing = [
            one.name for one in node.inputs if one.required and one.name not in entry["inputs"]
        ]
        faults += [f"{key}: {name} is missing" for name in missing]
        for name, value in entry["inputs"].items():
            one = node.input(name)
            if one is None:
                fault = f"there is no input {name}"
            elif isinstance(value, list):
                fault = _link_fault(one, value, graph, info)
            else:
                fault = one.fault(value)
            faults += [f"{key} ({entry['class_type']}): {fault}"] if fault else []
    return faults


def _link_fault(
    one: Input, link: list[Any], graph: Mapping[str, Any], info: Mapping[str, Any]
) -> str | None:
    source, slot = link
    if source not in graph:
        return f"{one.name}: there is no node {source}"
    outputs = read(info[graph[source]["class_type"]]).outputs
    if slot >= len(outputs):
        return f"{one.name}: node {source} has no output {slot}"
    kind = outputs[slot][1]
    fits = one.type in (kind, _ANY)
    return None if fits else f"{one.name} is a {one.type}, {source} gives a {kind}"


def template_faults(template: Mapping[str, Any], info: Mapping[str, Any]) -> list[str]:
    """Faults of a saved graph that its API prompt does not show.

    Only linked outputs count: newer versions of ComfyUI add outputs to their nodes.
    """
    faults: list[str] = []
    nodes = {entry["id"]: entry for entry in template["nodes"]}
    for entry in nodes.values():
        if is_note(entry):
            continue
        node, where = read(info[entry["type"]]), f"{entry['id']} ({entry['type']})"
        # the page puts sockets before widgets
        saved = {
            (i["name"], i["type"], "widget" in i)
            for i in entry["inputs"]
            if i["type"] not in _OF_THE_PAGE
        }
        expected = {(i.name, i.type, i.is_widget) for i in node.inputs}
        if saved != expected:
            faults.append(f"{where}: inputs are {saved}, expected {expected}")
        for slot, output in enumerate(entry["outputs"]):
            linked = (output["name"], output["type"])
            if output["links"] and node.outputs[slot : slot + 1] != (linked,):
                faults.append(f"{where}: output {slot} is {linked}")
        values = entry.get("widgets_values", [])
        if len(values) != sum(i.widgets for i in node.inputs):
            faults.append(f"{where}: widgets_values are {values}")
    for number, source, slot, target, place, kind in template["links"]:
        out, into = nodes[source]["outputs"][slot], nodes[target]["inputs"][place]
        if number not in (out["links"] or []) or into["link"] != number:
            faults.append(f"link {number} is not on both its nodes")
        if kind != out["type"] or into["type"] not in (kind, _ANY):
            faults.append(f"link {number}: {out['type']}, {kind}, {into['type']}")
    ends = {i["link"] for n in nodes.values() for i in n["inputs"]} - {None}
    if ends != {link[0] for link in template["links"]}:
        faults.append("links of nodes that are in no list")
    return faults


def to_prompt(template: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """The API prompt that the page makes from a saved graph."""
    links = {number: [str(source), slot] for number, source, slot, *_ in template["links"]}
    prompt: dict[str, Any] = {}
    for entry in template["nodes"]:
        if is_note(entry):
            continue
        inputs: dict[str, Any] = {}
        values = list(entry.get("widgets_values", []))
        linked = {i["name"]: i["link"] for i in entry["inputs"] if i["link"] is not None}
        for one in read(info[entry["type"]]).inputs:
            if one.is_widget:
                value, *second = (values.pop(0) for _ in range(one.widgets))
                if one.has_control:
                    assert second[0] in CONTROLS
                inputs[one.name] = value
            if one.name in linked:
                inputs[one.name] = links[linked[one.name]]
        title = entry.get("title") or info[entry["type"]]["display_name"]
        prompt[str(entry["id"])] = {
            "class_type": entry["type"],
            "inputs": inputs,
            "_meta": {"title": title},
        }
    return prompt


def is_note(entry: Mapping[str, Any]) -> bool:
    """Whether the node exists in the page only."""
    return entry["type"] in ("MarkdownNote", "Note")


def overlaps(template: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Ids of nodes that overlap, or may when one grows; title bars included.

    Texts, players and rows that one of the two renderers draws taller make nodes grow downwards.
    """
    title, growth = 30, 100
    boxes = [
        (
            n["id"],
            n["pos"][0],
            n["pos"][1] - title,
            n["size"][0],
            n["size"][1] + title + (0 if is_note(n) else growth),
        )
        for n in template["nodes"]
    ]
    return [
        (a[0], b[0])
        for number, a in enumerate(boxes)
        for b in boxes[:number]
        if a[1] < b[1] + b[3] and b[1] < a[1] + a[3] and a[2] < b[2] + b[4] and b[2] < a[2] + a[4]
    ]
