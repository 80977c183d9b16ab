"""How each problem that the core reports is solved in ComfyUI: which widget, which node.

The core's messages say what was got and what was expected, and know no nodes. ``with_cures`` adds
the sentence that tells the user what to do.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from comfy_api.latest import io

from ..mmaudio_core.errors import MMAudioError, Problem
from .links import check_values

P = ParamSpec("P")
R = TypeVar("R")

CURES: dict[Problem, str] = {
    Problem.NO_AUDIO: "Connect the audio of MMAudio Sampler, or of another node.",
    Problem.NOT_AUDIO: "Connect the audio of MMAudio Sampler, or of another node.",
    Problem.AUDIO_EMPTY: "Find the node that made it, such as a trim that leaves nothing.",
    Problem.AUDIO_SHAPE: "Connect an AUDIO as a node of ComfyUI makes it.",
    Problem.AUDIO_NOT_FINITE: (
        "The samples were broken before they reached this node: find the node that made them. For "
        "sound from MMAudio Sampler, choose precision fp32 in Load MMAudio Model, or other weights."
    ),
    Problem.AUDIO_RATE: "Find the node that made this AUDIO: its sample_rate is wrong.",
    Problem.AUDIO_PAST_END: "Lower start_offset.",
    Problem.AUDIO_LEFT_OUT: "Raise start_offset.",
    Problem.SOURCE_AUDIO: "Set original_audio to replace, or repair the video's own sound.",
    Problem.MIX_NOT_FINITE: (
        "Set gain_db to 0, loudness to off and original_audio to replace, one after the other, to "
        "see which of them causes it."
    ),
    Problem.OPTION: "Change that input of the node.",
    Problem.IMAGE_SHAPE: "Connect an IMAGE batch as a node of ComfyUI makes it.",
    Problem.IMAGE_NOT_FINITE: "Find the node that made these images.",
    Problem.FRAME_RATE: "Set frame_rate to the images' own rate, for instance 25.",
    Problem.MASK: "Connect a MASK as a node of ComfyUI makes it.",
    Problem.START_PAST_END: "Lower start_offset.",
    Problem.DURATION_TOO_SHORT: "Raise duration to that or more.",
    Problem.VIDEO_TOO_SHORT: "Lower start_offset, or use a longer video or more images.",
    Problem.NO_DURATION: "Set duration to the seconds of sound you want, or connect a video.",
    Problem.FEATURE_WIDTH: "Extract the features with the same model that samples.",
    Problem.SCHEDULED_TWICE: (
        "Connect the features of MMAudio Feature Extract, and write one schedule."
    ),
    Problem.SCHEDULE: "Change that entry of schedule.",
    Problem.WINDOWS: "Change window or overlap in MMAudio Long Form.",
    Problem.REGION: "Change start or end.",
    Problem.LATENT: "Connect a latent made by an MMAudio node.",
    Problem.LABELS: (
        "Change the file, or remove your labels.txt from models/mmaudio to use the pack's own."
    ),
    Problem.NUMERICS: (
        "Choose precision fp32 in Load MMAudio Model, or leave a patch of the model out. If it "
        "happens in fp32 without patches, report it together with the input."
    ),
    Problem.MISSING_WEIGHTS: (
        "Turn on download_missing, or put the files into models/mmaudio yourself."
    ),
    Problem.WRONG_WEIGHTS: "Download the file again, or choose another one.",
    Problem.WRONG_PART: "Download the file again, or choose another one, or auto.",
    Problem.WRONG_LORA: (
        "Choose the algorithm LoRA in Train LoRA, and connect the model that it was trained for."
    ),
    Problem.LORA_NOT_FINITE: (
        "Its training went astray: train again with a lower learning_rate, or use another LoRA."
    ),
}


class MMAudioNodeError(ValueError):
    """A problem with its cure, as ComfyUI shows it."""

    # ComfyUI shows "<module>.<name>", where the module holds the path of the pack; of a builtin it
    # shows only the name
    __module__ = "builtins"


def with_cures(function: Callable[P, R]) -> Callable[P, R]:
    """Raise ``MMAudioNodeError`` for every ``MMAudioError`` that leaves ``function``."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except MMAudioError as error:
            text = str(error)
            if error.problem is not None:
                text = f"{text.rstrip('.')}. {CURES[error.problem]}"
            raise MMAudioNodeError(text).with_traceback(error.__traceback__) from None

    return wrapper


def with_checked_values(execute: Callable[..., io.NodeOutput]) -> Callable[..., io.NodeOutput]:
    """Check what the links carry before ``execute`` gets it."""
    names = list(inspect.signature(execute).parameters)[1:]

    @functools.wraps(execute)
    def wrapper(cls: type[io.ComfyNode], *args: Any, **kwargs: Any) -> io.NodeOutput:
        given = dict(zip(names, args, strict=False)) | kwargs
        return execute(cls, **check_values(cls, given))

    return wrapper


class Node(io.ComfyNode):
    """Base of every node of the pack.

    Errors of the core leave ``execute`` with their cure. ``web/js/node_texts.js`` shows the text of
    any error on the node.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        execute = cls.__dict__["execute"].__func__
        # ComfyUI runs a subclass that it copies from the node, with ``execute`` wrapped already
        if not hasattr(execute, "__wrapped__"):
            cls.execute = classmethod(with_cures(with_checked_values(execute)))
