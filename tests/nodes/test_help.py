"""Help pages cover exactly the nodes and sockets that exist."""

from __future__ import annotations

import re

import pytest

from dev.environment import ROOT
from dev.server import ALIAS, ComfyServer
from tests.nodes.described import Node, fetch, inputs, our_nodes

PAGES = ROOT / "web" / "docs"


@pytest.fixture(scope="module")
def nodes(comfy: ComfyServer) -> dict[str, Node]:
    return our_nodes(comfy)


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


def test_the_server_has_the_pages(comfy: ComfyServer, nodes: dict[str, Node]) -> None:
    for name in nodes:
        page = fetch(comfy, f"/extensions/{ALIAS}/docs/{name}.md")
        assert page == (PAGES / f"{name}.md").read_text(encoding="utf-8")
