"""From the nodes of kijai/ComfyUI-MMAudio to ours, in an API prompt.

What becomes what stands in ``web/kijai.json``; ``web/js/kijai_convert.js`` reads it for workflows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

Node = dict[str, Any]
Prompt = dict[str, Node]
Files = Callable[[str], Collection[str]]

TABLE = json.loads((Path(__file__).parents[1] / "web" / "kijai.json").read_text("utf-8"))
SAMPLER = "MMAudioSampler"
_LOADER = "MMAudioModelLoader"
_AUTO = "auto"


class LeftAloneError(Exception):
    """A prompt of that pack that is not converted; the message says why."""


def convert(prompt: Prompt, files: Files, ours: Collection[str]) -> tuple[Prompt, list[str]]:
    """The same graph of our nodes, and what the user should know about it.

    Nodes keep their ids; a MMAudio Feature Extract joins each sampler.

    Args:
        prompt: has nodes of that pack. It is not changed.
        files: names of the files that an input of Load MMAudio Model offers.
        ours: ids of our nodes.

    Raises:
        LeftAloneError: it has nodes of ours too, or of others that take a model of that pack.
    """
    theirs = {key: node for key, node in prompt.items() if is_theirs(node)}
    others = {key: node for key, node in prompt.items() if key not in theirs}
    if any(isinstance(n, dict) and n.get("class_type") in ours for n in others.values()):
        raise LeftAloneError(say("mixed"))
    _check_links(theirs, others)
    notices = [say("done")]
    missing: dict[str, None] = {}  # in order
    converted: Prompt = {}
    for key, node in prompt.items():
        kind = node["class_type"] if key in theirs else None
        if kind == _LOADER:
            inputs = _model_inputs(key, theirs)
            converted[key] = _node(
                "LoadMMAudioModel", _loaded(inputs, files, missing, notices), node
            )
        elif kind == SAMPLER:
            extract = _free_key(key, {*prompt, *converted})
            converted[extract] = _extract(key, prompt, notices)
            converted[key] = _sample(node, extract, notices)
        elif kind is None:
            converted[key] = node
    if missing:
        notices.append(say("parts", files=", ".join(missing)))
    return converted, list(dict.fromkeys(notices))


def is_theirs(node: Any) -> bool:
    if not isinstance(node, dict) or not isinstance(node.get("inputs"), dict):
        return False
    kind = node.get("class_type")
    if kind == SAMPLER:
        return not {"mmaudio_model", "feature_utils"}.isdisjoint(node["inputs"])
    return isinstance(kind, str) and kind in TABLE["nodes"]


def _check_links(theirs: Prompt, others: Prompt) -> None:
    """Loaders feed nothing but the nodes of that pack; samplers get what they need from them."""
    for node in others.values():
        for source, _ in _links(node):
            if source in theirs and theirs[source]["class_type"] != SAMPLER:
                raise _left_alone("why_link", theirs[source])
    for node in theirs.values():
        spec = TABLE["nodes"][node["class_type"]]
        if not set(node["inputs"]) <= {*spec["links"], *spec["widgets"]}:
            raise _left_alone("why_values", node)
        for name, output in spec["links"].items():
            source = _source(node, name)
            if name == "images" or (name == "bigvgan_vocoder_model" and source is None):
                continue
            kind = theirs[source]["class_type"] if source in theirs else None
            if kind is None or TABLE["nodes"][kind]["output"] != output:
                raise _left_alone("why_model", node)


def _links(node: Any) -> Iterator[tuple[str, int]]:
    inputs = node.get("inputs") if isinstance(node, dict) else None
    for value in inputs.values() if isinstance(inputs, dict) else ():
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
            yield value[0], value[1]


def _source(node: Node, name: str) -> str | None:
    """Id of the node that an input is linked to."""
    value = node["inputs"].get(name)
    return value[0] if isinstance(value, list) and value and isinstance(value[0], str) else None


def _model_inputs(key: str, theirs: Prompt) -> dict[str, Any]:
    """What the loaders of one model say together, by the names of their inputs."""
    samplers = [n for n in theirs.values() if _source(n, "mmaudio_model") == key]
    found: list[dict[str, Any]] = []
    for sampler in samplers:
        utils = theirs[sampler["inputs"]["feature_utils"][0]]["inputs"]
        vocoder: Mapping[str, Any] = {}
        if utils.get("mode") == TABLE["mode_with_vocoder"] and "bigvgan_vocoder_model" in utils:
            vocoder = theirs[utils["bigvgan_vocoder_model"][0]]["inputs"]
        together = {**utils, **vocoder}
        together.pop("bigvgan_vocoder_model", None)
        if together not in found:
            found.append(together)
    if len(found) > 1:
        raise _left_alone("why_several", theirs[key])
    return {**theirs[key]["inputs"], **(found[0] if found else {})}


def _loaded(
    theirs: Mapping[str, Any], files: Files, missing: dict[str, None], notices: list[str]
) -> dict[str, Any]:
    """Inputs of Load MMAudio Model; ``missing`` gets the parts that are not in models/mmaudio."""
    inputs: dict[str, Any] = {}
    for name, ours in TABLE["becomes"]["LoadMMAudioModel"].items():
        value = theirs.get(name)
        if ours == "precision":
            inputs[ours] = _precision(value, theirs.get("precision"), notices)
        elif isinstance(value, str):
            file = _file(value, files(ours))
            if file is None and ours == "model":
                file = _variant(value, notices)
            elif file is None:
                missing[value] = None
            inputs[ours] = file or _AUTO
        elif value is not None:
            inputs[ours] = value
    return inputs


def _precision(value: Any, other: Any, notices: list[str]) -> Any:
    if not isinstance(value, str):
        return _AUTO if value is None else value
    precision = TABLE["precisions"].get(value, _AUTO)
    if isinstance(other, str) and TABLE["precisions"].get(other, _AUTO) != precision:
        notices.append(say("precisions", precision=precision, other=other))
    return precision


def _file(name: str, there: Collection[str]) -> str | None:
    """The file of that name, whichever slashes it is written with."""
    spelled = (name, name.replace("\\", "/"), name.replace("/", "\\"))
    return next((one for one in spelled if one in there), None)


def _variant(name: str, notices: list[str]) -> str:
    """The published variant that a file of a flow network is known as, else its own name."""
    stem = name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    for copy in TABLE["copies"]:
        stem = stem.removesuffix(copy)
    variant = TABLE["variants"].get(stem)
    notices.append(say("model" if variant else "no_model", file=name, value=variant))
    return variant or name


def _extract(key: str, prompt: Prompt, notices: list[str]) -> Node:
    """The MMAudio Feature Extract of a sampler."""
    sampler = prompt[key]
    inputs = _carried(sampler, "MMAudioFeatureExtract", notices)
    inputs["mmaudio"] = sampler["inputs"]["mmaudio_model"]
    if _source(sampler, "images") is not None:
        rate = _rate(key, prompt)
        if rate is None:
            rate = {"frame_rate": TABLE["assumed_rate"]}
            notices.append(say("rate"))
        inputs |= rate
    return _node("MMAudioFeatureExtract", inputs)


def _rate(key: str, prompt: Prompt) -> dict[str, Any] | None:
    """The input that says how many images there are in a second."""
    images = _frames(prompt[key], prompt)
    source = prompt.get(images[0], {}).get("class_type")
    if source in TABLE["rate_sources"]:
        slot, name = TABLE["rate_sources"][source]
        return {name: [images[0], slot]}
    for node in prompt.values():
        name = TABLE["rate_results"].get(node.get("class_type"))
        inputs = node.get("inputs", {})
        if name in inputs and _source(node, "audio") == key and _frames(node, prompt) == images:
            return {"frame_rate": inputs[name]}
    return None


def _frames(node: Node, prompt: Prompt) -> Any:
    """The link that a node's images come from, behind nodes that make one frame of each."""
    images = node["inputs"].get("images")
    for _ in prompt:  # no more than there are, should they be a circle
        node = prompt.get(images[0], {}) if isinstance(images, list) else {}
        name = TABLE["keep_frames"].get(node.get("class_type"))
        if name is None or _source(node, name) is None:
            break
        images = node["inputs"][name]
    return images


def _sample(node: Node, extract: str, notices: list[str]) -> Node:
    inputs = _carried(node, SAMPLER, notices)
    inputs |= {"mmaudio": node["inputs"]["mmaudio_model"], "features": [extract, 0]}
    return _node(SAMPLER, inputs, node)


def _carried(node: Node, kind: str, notices: list[str]) -> dict[str, Any]:
    """Inputs of a sampler of theirs that a node of ours of that kind has."""
    theirs = node["inputs"]
    inputs = {o: theirs[t] for t, o in TABLE["becomes"][kind].items() if t in theirs}
    for name, (low, high) in TABLE["bounds"].items():
        value = inputs.get(name)
        if isinstance(value, (int, float)) and not low <= value <= high:
            inputs[name] = low if value < low else high
            notices.append(say("bounds", input=name, value=value, bound=inputs[name]))
    return inputs


def _node(kind: str, inputs: Mapping[str, Any], was: Node | None = None) -> Node:
    node: Node = {"class_type": kind, "inputs": {**TABLE["adds"][kind], **inputs}}
    meta = was.get("_meta") if was else None
    if was and isinstance(meta, dict):
        default = TABLE["nodes"][was["class_type"]]["title"]
        node["_meta"] = {k: v for k, v in meta.items() if (k, v) != ("title", default)}
    return node


def _free_key(sampler: str, taken: Collection[str]) -> str:
    """An id for the MMAudio Feature Extract of a sampler: a number where all ids are."""
    if all(key.isdecimal() for key in taken):
        return str(max(map(int, taken)) + 1)
    key = f"{sampler}-features"
    while key in taken:
        key += "_"
    return key


def _left_alone(why: str, node: Node) -> LeftAloneError:
    title = TABLE["nodes"][node["class_type"]]["title"]
    return LeftAloneError(say("unknown", why=say(why, node=title)))


def say(what: str, **words: Any) -> str:
    return TABLE["says"][what].format(**words)
