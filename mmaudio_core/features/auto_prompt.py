"""A prompt for a video, made of what CLIP sees in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .zero_shot import ScoredLabel

LABELS, PACE = "{labels}", "{pace}"
"""What a template may hold."""


@dataclass(frozen=True, kw_only=True)
class AutoPrompt:
    """A prompt, and what it was made of.

    Attributes:
        prompt: may be empty.
        labels: the best ones, also those below the threshold.
        notices: what the user should know.
    """

    prompt: str
    labels: tuple[ScoredLabel, ...]
    notices: tuple[str, ...] = ()


def write_prompt(
    ranked: Sequence[ScoredLabel], pace: str, *, top_k: int, threshold: float, template: str
) -> AutoPrompt:
    """Put the best labels into a template.

    Args:
        ranked: labels, the best first.
        pace: words such as "slow, few cuts".
        top_k: how many labels at most.
        threshold: the score that a label needs.
        template: text with ``{labels}`` and ``{pace}``; all else in it stays.
    """
    best = tuple(ranked[:top_k])
    used = [label.said for label in best if label.score >= threshold]
    notices: tuple[str, ...] = ()
    if not used and LABELS in template:
        notices = (
            f'no label reaches the threshold of {threshold:g}; the best is "{best[0].said}" with '
            f"{best[0].score:.2f}",
        )
    prompt = template.replace(PACE, pace).replace(LABELS, ", ".join(used))
    return AutoPrompt(prompt=prompt.strip(), labels=best, notices=notices)
