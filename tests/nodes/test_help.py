"""Help pages and translations cover exactly the nodes and sockets that exist."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from dev.environment import ROOT
from dev.server import ALIAS, ComfyServer

PAGES = ROOT / "web" / "docs"
# vue-i18n, which shows the texts, interprets these characters.
SYNTAX = re.compile(r"[{}@|]")
FOREIGN = {"zh": re.compile(r"[\u4e00-\u9fff]"), "ja": re.compile(r"[\u3040-\u30ff]")}

Node = dict[str, Any]


@pytest.fixture(scope="module")
def nodes(comfy: ComfyServer) -> dict[str, Node]:
    """The server's description of this pack's nodes, by id."""
    info = comfy.client.object_info()
    ours = {k: node for k, node in info.items() if node["python_module"].endswith(f".{ALIAS}")}
    assert ours, comfy.log_tail()
    return ours


@pytest.fixture(scope="module")
def served(comfy: ComfyServer) -> dict[str, Any]:
    """The translations that the page gets, by language."""
    return json.loads(fetch(comfy, "/i18n"))


def fetch(server: ComfyServer, path: str) -> str:
    try:
        with urllib.request.urlopen(f"{server.url}{path}", timeout=30) as answer:
            return answer.read().decode("utf-8")
    except urllib.error.HTTPError as error:
        pytest.fail(f"{path}: {error}")


def inputs(node: Node) -> dict[str, tuple[str, dict[str, Any]]]:
    """Type and options of every input, by name."""
    return {
        name: (spec[0], spec[1] if len(spec) > 1 else {})
        for group in ("required", "optional")
        for name, spec in node["input"].get(group, {}).items()
    }


def texts(value: Any) -> Iterator[str]:
    """All texts of a translation."""
    if isinstance(value, str):
        yield value
    else:
        for item in value.values():
            yield from texts(item)


def items(page: str, heading: str) -> dict[str, str]:
    """The lines of a page's list of inputs or outputs, by the names that they start with."""
    section = page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found: dict[str, str] = {}
    for line in section.splitlines():
        if line.startswith("- "):
            names = re.match(r"- ((?:`\w+`(?:, )?)+)", line)
            assert names, line
            found |= dict.fromkeys(re.findall(r"\w+", names[1]), line)
    return found


def test_every_node_has_a_page(nodes: dict[str, Node]) -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(nodes)


def test_pages_list_every_input_and_output(nodes: dict[str, Node]) -> None:
    for name, node in nodes.items():
        page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
        assert list(items(page, "Inputs")) == list(inputs(node)), name
        assert list(items(page, "Outputs")) == node["output_name"], name
        assert page.count("```") >= 2, f"{name} has no graph"
        assert not page.startswith("#"), f"{name}: the page shows the node's name itself"


def test_pages_give_ranges_and_defaults(nodes: dict[str, Node]) -> None:
    for name, node in nodes.items():
        lines = items((PAGES / f"{name}.md").read_text(encoding="utf-8"), "Inputs")
        for key, (kind, options) in inputs(node).items():
            if kind in ("INT", "FLOAT"):
                top = "2^64 - 1" if options["max"] == 2**64 - 1 else f"{options['max']:g}"
                assert f"{options['min']:g} to {top}, " in lines[key], (name, key)
                assert f"default {options['default']:g})" in lines[key], (name, key)
            elif "default" in options and kind in ("COMBO", "BOOLEAN"):
                default = options["default"]
                default = f"`{default}`" if kind == "COMBO" else {False: "off", True: "on"}[default]
                assert f"default {default})" in lines[key], (name, key)


def test_pages_name_every_choice(nodes: dict[str, Node]) -> None:
    """Of the combos whose choices the pack defines."""
    for name, key in (
        ("LoadMMAudioModel", "precision"),
        ("MMAudioFeatureExtract", "negative_preset"),
        ("MuxAudioVideo", "original_audio"),
        ("MuxAudioVideo", "loudness"),
        ("MuxAudioVideo", "container"),
        ("MuxAudioVideo", "audio_codec"),
        ("MuxAudioVideo", "pix_fmt"),
    ):
        line = items((PAGES / f"{name}.md").read_text(encoding="utf-8"), "Inputs")[key]
        kind, options = inputs(nodes[name])[key]
        choices = options["options"] if kind == "COMBO" else kind
        assert [choice for choice in choices if f"`{choice}`" not in line] == []


@pytest.mark.parametrize("language", FOREIGN)
def test_every_node_is_translated(
    language: str, nodes: dict[str, Node], served: dict[str, Any]
) -> None:
    path = ROOT / "locales" / language / "nodeDefs.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    assert set(written) == set(nodes)
    for name, node in nodes.items():
        entry = written[name]
        assert set(entry) == {"display_name", "description", "inputs", "outputs"}, name
        assert list(entry["inputs"]) == list(inputs(node)), name
        assert list(entry["outputs"]) == [str(k) for k in range(len(node["output"]))], name
        for key, told in entry["inputs"].items():
            assert set(told) == {"name", "tooltip"}, (name, key)
        for told in entry["outputs"].values():
            assert {"name"} <= set(told) <= {"name", "tooltip"}, name
        for text in texts(entry):
            assert text.strip() and not SYNTAX.search(text), (name, text)
        assert served[language]["nodeDefs"][name] == entry


def test_english_is_written_once(nodes: dict[str, Node], served: dict[str, Any]) -> None:
    """The page falls back to the schema, which explains every input."""
    assert "en" not in served
    for name, node in nodes.items():
        assert node["display_name"] and node["description"], name
        for key, (_, options) in inputs(node).items():
            assert options.get("tooltip"), (name, key)


@pytest.mark.parametrize("language", FOREIGN)
def test_translations_are_in_their_language(language: str, served: dict[str, Any]) -> None:
    for name, entry in served[language]["nodeDefs"].items():
        told = [*entry["inputs"].values(), *entry["outputs"].values()]
        for text in (entry["description"], *(t["tooltip"] for t in told if "tooltip" in t)):
            assert FOREIGN[language].search(text), (name, text)


@pytest.mark.parametrize("language", FOREIGN)
def test_categories_are_translated(
    language: str, nodes: dict[str, Node], served: dict[str, Any]
) -> None:
    """ComfyUI translates its own categories."""
    names = {part for node in nodes.values() for part in node["category"].split("/")} - {"audio"}
    assert set(served[language]["nodeCategories"]) == names


def test_the_server_has_the_pages(comfy: ComfyServer, nodes: dict[str, Node]) -> None:
    for name in nodes:
        page = fetch(comfy, f"/extensions/{ALIAS}/docs/{name}.md")
        assert page == (PAGES / f"{name}.md").read_text(encoding="utf-8")
