"""Labels, tooltips, descriptions and categories are translated, and nothing else is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from dev.environment import ROOT
from dev.server import ALIAS, ComfyServer
from tests.nodes.described import LANGUAGES, Node, fetch, inputs, our_nodes

# vue-i18n, which shows the texts, interprets these characters.
SYNTAX = re.compile(r"[{}@|]")


@pytest.fixture(scope="module")
def nodes(comfy: ComfyServer) -> dict[str, Node]:
    return our_nodes(comfy)


@pytest.fixture(scope="module")
def served(comfy: ComfyServer) -> dict[str, Any]:
    """The translations that the page gets, by language."""
    return json.loads(fetch(comfy, "/i18n"))


def texts(value: Any) -> Iterator[str]:
    """All texts of a translation."""
    if isinstance(value, str):
        yield value
    else:
        for item in value.values():
            yield from texts(item)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_a_node_is_translated(
    language: str, nodes: dict[str, Node], served: dict[str, Any]
) -> None:
    """ComfyUI's page translates these texts; the choices of a combo it does not."""
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
        for told, tooltip in zip(entry["outputs"].values(), node["output_tooltips"], strict=True):
            assert set(told) == ({"name", "tooltip"} if tooltip else {"name"}), name
        for text in texts(entry):
            assert text.strip() and not SYNTAX.search(text), (name, text)
        assert served[language]["nodeDefs"][name] == entry


def test_english_is_written_once(nodes: dict[str, Node], served: dict[str, Any]) -> None:
    """The page falls back to the schema, which explains every input."""
    assert set(served["en"]) == {"templateWorkflows"}
    for name, node in nodes.items():
        assert node["display_name"] and node["description"], name
        for key, (_, options) in inputs(node).items():
            assert options.get("tooltip"), (name, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_are_in_their_language(language: str, served: dict[str, Any]) -> None:
    for name, entry in served[language]["nodeDefs"].items():
        told = [*entry["inputs"].values(), *entry["outputs"].values()]
        for text in (entry["description"], *(t["tooltip"] for t in told if "tooltip" in t)):
            assert re.search(LANGUAGES[language], text), (name, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_and_choices_are_those_of_the_english(
    language: str, nodes: dict[str, Node], served: dict[str, Any]
) -> None:
    """A tooltip that was changed in one language only says another number or choice."""
    words = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*[a-z])|%[\w.:-]+%|--\w+|\b[a-z]+_\w+\b")
    for name, node in nodes.items():
        entry = served[language]["nodeDefs"][name]
        for key, (_, options) in inputs(node).items():
            english = set(words.findall(options["tooltip"])) - set(inputs(node))
            told = entry["inputs"][key]["tooltip"]
            missing = {word for word in english if word not in told and word != "%Node.widget%"}
            assert not missing, (name, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_categories_are_translated(
    language: str, nodes: dict[str, Node], served: dict[str, Any]
) -> None:
    """ComfyUI translates its own categories."""
    names = {part for node in nodes.values() for part in node["category"].split("/")} - {"audio"}
    assert set(served[language]["nodeCategories"]) == names


def test_the_heading_of_the_templates_is_translated(
    comfy: ComfyServer, served: dict[str, Any]
) -> None:
    """The page shows the folder's name otherwise."""
    assert ALIAS in comfy.client.templates()
    headings = {
        language: told["templateWorkflows"]["category"] for language, told in served.items()
    }
    assert set(headings) == {"en", *LANGUAGES}
    assert all(set(told) == {ALIAS} for told in headings.values())
    for language, letters in LANGUAGES.items():
        assert re.search(letters, headings[language][ALIAS])
