"""What people type finds the node of the pack that they want first."""

from __future__ import annotations

import pytest

from .page import ComfyPage

OURS = ("MMAudio Feature Extract", "MMAudio Sampler", "Mux Audio and Video", "MMAudio Encode")


@pytest.mark.parametrize(
    ("words", "node"),
    [
        ("foley", "MMAudio Feature Extract"),
        ("sfx", "MMAudio Feature Extract"),
        ("sound effects", "MMAudio Feature Extract"),
        ("video to audio", "MMAudio Feature Extract"),
        ("add sound to video", "MMAudio Feature Extract"),
        ("soundtrack", "MMAudio Feature Extract"),
        ("add audio to video", "Mux Audio and Video"),
    ],
)
def test_search(page: ComfyPage, words: str, node: str) -> None:
    """First of the pack's nodes; some words stand in the names of ComfyUI's own nodes, too."""
    found = page.search_nodes(words)
    assert next(name for name in found if name in OURS) == node, found
