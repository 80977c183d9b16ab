"""MMAudioSaveLoRA: a trained LoRA as a file that says what it is for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from safetensors.torch import save_file
from torch import Tensor

from ..mmaudio_core.checkpoint.lora.origin import training_metadata
from ..mmaudio_core.partial_files import partial_file
from ..mmaudio_core.training.dataset import TrainingSet
from .comfy_model import flow_network
from .cures import Node
from .feedback import with_notices
from .lora import match_trained
from .results import result_name
from .types import TRAINING, LoraModel, MMAudioTraining


class MMAudioSaveLoRA(Node):
    """Save in ComfyUI's format, with metadata."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioSaveLoRA",
            display_name="MMAudio Save LoRA",
            category=TRAINING,
            description=(
                "Saves what Train LoRA made, in ComfyUI's format, with the variant, rank, steps "
                "and data that it was trained with."
            ),
            is_output_node=True,
            inputs=[
                LoraModel.Input("lora", tooltip="From Train LoRA."),
                io.Model.Input("model", tooltip="The model that it was trained for."),
                io.String.Input(
                    "filename_prefix",
                    default="loras/mmaudio",
                    tooltip=(
                        "Folder and start of the file name, under ComfyUI's output folder. LoRA "
                        "loaders list what is in loras there."
                    ),
                ),
                io.Int.Input(
                    "steps",
                    default=0,
                    min=0,
                    max=999_999,
                    tooltip=(
                        "From Train LoRA: part of the file name, where existing_lora of Train LoRA "
                        "looks for it."
                    ),
                ),
                MMAudioTraining.Input(
                    "training_set",
                    optional=True,
                    tooltip="From MMAudio Training Set: its digest is saved.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="path", tooltip="The file, under the output folder.")
            ],
        )

    @classmethod
    def execute(
        cls,
        lora: Mapping[str, Tensor],
        model: ModelPatcher,
        filename_prefix: str,
        steps: int,
        training_set: TrainingSet | None = None,
    ) -> io.NodeOutput:
        match_trained(lora, model)
        data = "" if training_set is None else training_set.digest
        metadata = training_metadata(flow_network(model).params, lora, steps, data)
        # ComfyUI's trainer reads the steps in front of "_steps_"
        name, subfolder = result_name(f"{filename_prefix}_{steps}_steps")
        path = name.folder / f"{name.prefix}_{name.first:05}_.safetensors"
        tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in lora.items()}
        with partial_file(path.parent) as partial:
            save_file(tensors, partial, metadata)
            os.replace(partial, path)
        saved = Path(subfolder, path.name).as_posix()
        return with_notices(saved, notices=[f"saved to {saved} in the output folder"])
