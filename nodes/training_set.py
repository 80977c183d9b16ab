"""MMAudioTrainingSet: from recordings to what ComfyUI's Train LoRA learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comfy_api.latest import Input, io

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.errors import MediaError
from ..mmaudio_core.features.types import Features
from ..mmaudio_core.training.dataset import (
    DROP,
    Example,
    draw_examples,
    split_recordings,
)
from ..mmaudio_core.training.pieces import PieceOptions
from . import inputs, wiring
from .comfy_model import flow_network
from .conditioning import Conditioning, to_conditioning, without_picture
from .cures import Node
from .feature_cache import with_cache_on_disk
from .feedback import with_notices
from .latents import make_latent
from .model_manager import ComfyModels
from .training_report import check_any, describe, draw_pieces, notices_of
from .training_sources import (
    NO_FOLDER,
    folder_fingerprint,
    folder_names,
    list_folder,
    list_sources,
    prepare_recordings,
)
from .types import TRAINING, MMAudioTraining

_LOUDNESS = {"off": None, "-16 LUFS": -16.0, "-23 LUFS": -23.0}


class MMAudioTrainingSet(Node):
    """Cuts recordings into pieces, encodes them, and holds some recordings out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioTrainingSet",
            display_name="MMAudio Training Set",
            category=TRAINING,
            description=(
                "Prepares recordings for ComfyUI's Train LoRA: cut into pieces, encoded, with "
                "captions. Whole recordings are held out, for MMAudio Evaluate LoRA."
            ),
            is_input_list=True,
            inputs=[
                inputs.mmaudio("The model to train, from Load MMAudio Model."),
                io.Combo.Input(
                    "folder",
                    options=[NO_FOLDER, *folder_names()],
                    default=NO_FOLDER,
                    tooltip=(
                        "A folder in ComfyUI's input folder with videos that have sound, or sounds."
                        " Captions: name.txt beside name.mp4, a .jsonl file, or the file's name."
                    ),
                ),
                io.Float.Input(
                    "piece_seconds",
                    default=8.0,
                    min=1.0,
                    max=10.0,
                    step=0.01,
                    tooltip="Seconds of a piece. The model was trained on 8.",
                ),
                io.Float.Input(
                    "overlap",
                    default=0.0,
                    min=0.0,
                    max=9.0,
                    step=0.01,
                    tooltip="Seconds that consecutive pieces of a recording share.",
                ),
                io.Float.Input(
                    "held_out",
                    default=0.1,
                    min=0.0,
                    max=0.9,
                    step=0.01,
                    tooltip=(
                        "Share of the recordings that is not trained on, at least one of several: "
                        "MMAudio Evaluate LoRA measures on them whether too much was learned."
                    ),
                ),
                io.Int.Input(
                    "copies",
                    default=8,
                    min=1,
                    max=100,
                    tooltip=(
                        "How often a piece is in the list, each time with conditions dropped and "
                        "latents drawn anew."
                    ),
                ),
                io.Float.Input(
                    "drop_picture",
                    default=DROP,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How often the picture is left out. MMAudio was trained with 0.1.",
                ),
                io.Float.Input(
                    "drop_text",
                    default=DROP,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How often the caption is left out. MMAudio was trained with 0.1.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    tooltip="Seed of what is dropped and of the latents.",
                ),
                io.Video.Input("videos", optional=True, tooltip="Videos with sound, or a list."),
                io.Audio.Input("sounds", optional=True, tooltip="Sounds, or a list."),
                io.String.Input(
                    "captions",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip=(
                        "Captions of videos and sounds, one a line in their order, or one for all. "
                        "Not for the folder."
                    ),
                ),
                io.Combo.Input(
                    "loudness",
                    options=list(_LOUDNESS),
                    default="off",
                    optional=True,
                    tooltip="Bring every recording to this loudness.",
                ),
                io.Boolean.Input(
                    "split_at_cuts",
                    default=True,
                    optional=True,
                    tooltip="Let no piece cross a scene change, where scenes are long enough.",
                ),
                io.Boolean.Input(
                    "skip_voices",
                    default=False,
                    optional=True,
                    tooltip=(
                        "Leave out pieces in which somebody speaks. Needs the Python package "
                        "silero-vad."
                    ),
                ),
                io.Boolean.Input(
                    "keep_features",
                    default=True,
                    optional=True,
                    tooltip=(
                        "Keep the encoded pieces on disk, about 1 MB each: the next run neither "
                        "decodes nor encodes them again."
                    ),
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latents", is_output_list=True, tooltip="For Train LoRA."
                ),
                io.Conditioning.Output(
                    display_name="positive", is_output_list=True, tooltip="For Train LoRA."
                ),
                io.String.Output(
                    display_name="report", tooltip="What is learned, held out and left out."
                ),
                io.Image.Output(
                    display_name="preview", tooltip="The pieces' frames and mel spectrograms."
                ),
                MMAudioTraining.Output(
                    display_name="training_set",
                    tooltip="For MMAudio Evaluate LoRA and MMAudio Save LoRA.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, input_types: Sequence[Mapping[str, Any]], folder: Sequence[str | None] = (None,)
    ) -> bool:
        """Refuse a node without recordings before anything runs; a linked ``folder`` is None here.

        Naming ``folder`` turns off ComfyUI's own check of it: ``execute`` says more.

        Raises:
            MediaError: raised, not returned, which would show it once for each argument.
        """
        (linked,) = input_types
        problem = wiring.wrong_type(cls, linked)
        if problem is None and folder[0] == NO_FOLDER and not {"videos", "sounds"} & set(linked):
            problem = "got no recordings. Choose a folder, or connect videos or sounds."
        if problem is not None:
            raise MediaError(problem)
        return True

    @classmethod
    def fingerprint_inputs(cls, folder: Sequence[str] = (NO_FOLDER,), **_: object) -> str:
        return folder_fingerprint(folder[0])

    @classmethod
    def execute(
        cls,
        mmaudio: list[ComfyModels],
        folder: list[str],
        piece_seconds: list[float],
        overlap: list[float],
        held_out: list[float],
        copies: list[int],
        drop_picture: list[float],
        drop_text: list[float],
        seed: list[int],
        videos: Sequence[Input.Video] = (),
        sounds: Sequence[Input.Audio] = (),
        captions: Sequence[str] = (),
        loudness: Sequence[str] = ("off",),
        split_at_cuts: Sequence[bool] = (True,),
        skip_voices: Sequence[bool] = (False,),
        keep_features: Sequence[bool] = (True,),
    ) -> io.NodeOutput:
        options = PieceOptions(
            length=exact_seconds(piece_seconds[0]),
            overlap=exact_seconds(overlap[0]),
            at_cuts=split_at_cuts[0],
            loudness=_LOUDNESS[loudness[0]],
            skip_voices=skip_voices[0],
        )
        listing = list_folder(folder[0])
        sources = list_sources(listing, videos, sounds, captions)
        networks = with_cache_on_disk(mmaudio[0]) if keep_features[0] else mmaudio[0]
        recordings, left_out = prepare_recordings(networks, sources, options)
        left_out = [*listing.left_out, *left_out]
        notes = [note for recording in recordings for note in recording.notes]
        chosen = split_recordings(recordings, held_out[0])
        check_any(chosen, left_out)
        examples = draw_examples(
            chosen.training,
            copies=copies[0],
            drop_picture=drop_picture[0],
            drop_text=drop_text[0],
            seed=seed[0],
        )
        empty_text = flow_network(mmaudio[0].model).empty_text(1).detach().float().cpu()
        return with_notices(
            [make_latent(e.latents[None, None], e.piece.features.duration) for e in examples],
            [_condition(example, empty_text) for example in examples],
            describe(chosen, examples, left_out, notes),
            draw_pieces(chosen),
            chosen,
            notices=[*notices_of(chosen, left_out, options), *notes[:1]],
        )


def _condition(example: Example, empty_text: Any) -> Conditioning:
    """The positive branch with what was dropped left out."""
    features: Features = example.piece.features
    positive, _ = to_conditioning(features)
    if not example.picture:
        positive = without_picture(positive)
    if not example.text:
        positive = [[empty_text, entries] for _, entries in positive]
    return positive
