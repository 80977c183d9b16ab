"""File-name tokens, replaced as ComfyUI's page does it for its own nodes."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.pack import load_pack_module

tokens = load_pack_module("nodes.filename_tokens")
NOW = datetime(2026, 3, 4, 15, 6, 7)
PROMPT = {
    "1": {"class_type": "KSampler", "inputs": {"seed": 7, "cfg": 25.0, "model": ["2", 0]}},
    "2": {
        "class_type": "Loader",
        "inputs": {"name": "a/b:c", "on": True},
        "_meta": {"title": "My model"},
    },
    "3": {"class_type": "KSampler", "inputs": {"seed": 9}, "_meta": {"title": "v1.5"}},
}
DRAWN = {
    "workflow": {
        "nodes": [
            {"id": 1, "title": "First", "properties": {"Node name for S&R": "Sampler one"}},
            {"id": 2},
        ]
    }
}


def expand(text: str) -> tuple[str, list[str]]:
    nodes = tokens.named_nodes(PROMPT, DRAWN)
    return tokens.expand_tokens(text, NOW, (640, 360), nodes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/%date:yyyy-MM-dd%_x", "a/2026-03-04_x"),
        ("%date:yy-M-d hh-mm-ss%", "26-3-4 15-06-07"),
        ("%date:yyyy/MM%/x", "2026/03/x"),
        ("%date:h:m:s%", "15_6_7"),
        ("%width%x%height%", "640x360"),
        ("%My model.name%", "a_b_c"),
        ("%My model.on%", "true"),
        ("%KSampler.seed% %KSampler.cfg%", "7 25"),
        ("%First.seed% %Sampler one.seed%", "7 7"),
        ("%v1.5.seed%", "9"),
        ("100% and 5", "100% and 5"),
        ("%year%-%day%", "%year%-%day%"),  # ComfyUI's own
    ],
)
def test_known_tokens(text: str, expected: str) -> None:
    assert expand(text) == (expected, [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("%Gone.seed%", "no node has the title Gone"),
        ("%KSampler.steps%", "KSampler has no widget steps"),
        ("%KSampler.model%", "KSampler has no widget model"),  # linked
        ("%nonsense%", "expected a date, width, height or the name of a node"),
    ],
)
def test_unknown_tokens_stay_with_a_notice(text: str, reason: str) -> None:
    expanded, notices = expand(f"a_{text}_%width%")
    assert expanded == f"a_{text}_640"
    (notice,) = notices
    assert text in notice and reason in notice


def test_there_is_no_size_without_a_picture() -> None:
    """ComfyUI itself takes 0 for it."""
    expanded, notices = tokens.expand_tokens("%width%_%height%", NOW, None, [])
    assert expanded == "0_0"
    assert notices == [
        f"filename_prefix: %{name}% becomes 0: there is no picture" for name in ("width", "height")
    ]


def test_a_title_goes_before_a_class() -> None:
    prompt = {
        "1": {"class_type": "KSampler", "inputs": {"seed": 1}},
        "2": {"class_type": "Other", "inputs": {"seed": 2}, "_meta": {"title": "KSampler"}},
    }
    nodes = tokens.named_nodes(prompt, None)
    assert tokens.expand_tokens("%KSampler.seed%", NOW, (1, 1), nodes) == ("2", [])


def test_without_a_graph() -> None:
    assert tokens.named_nodes(None, None) == []
