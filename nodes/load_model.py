"""LoadMMAudioModel: a complete model from the name of a variant or of a file."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from comfy_api.latest import io

from ..mmaudio_core.checkpoint import VARIANTS, Bundle, MissingPartsError, PartKind, verify_part
from ..mmaudio_core.checkpoint.published import DEFAULT_VARIANT
from ..mmaudio_core.errors import MMAudioError
from . import compat, folders, inputs
from .cures import Node
from .download import download
from .feedback import NodeProgress, with_notices
from .model_manager import AUTO, PRECISIONS, ComfyModels, precision_dtype
from .types import CATEGORY, MMAudio

_SYNTHETIC = "these are synthetic weights, made up for trying things out: the sound is noise"
_OPTIONAL = (PartKind.VAE, PartKind.VOCODER, PartKind.CLIP, PartKind.SYNCHFORMER)


class LoadMMAudioModel(Node):
    """Find the five files of a model by their content; load each at its first use."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        catalog = folders.catalog()
        return io.Schema(
            node_id="LoadMMAudioModel",
            display_name="Load MMAudio Model",
            category=CATEGORY,
            description=(
                "Loads an MMAudio model: its flow network and the VAE, vocoder, CLIP and "
                "Synchformer that go with it, found by content in models/mmaudio."
            ),
            inputs=[
                io.Combo.Input(
                    "model",
                    options=_unique([*VARIANTS, *catalog.names(PartKind.FLOW)]),
                    default=DEFAULT_VARIANT,
                    tooltip=(
                        "A published variant (its files may have any name), or one flow network "
                        "found in models/mmaudio. large_44k_v2 is the best, small_16k the smallest."
                    ),
                ),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    default=AUTO,
                    tooltip=(
                        "Arithmetic of the networks. auto: half precision where the GPU or CPU is "
                        "fast at it, with VAE and vocoder in fp32; fp32 elsewhere. fp8_e4m3fn "
                        "halves the memory of the weights once more, and is the least exact."
                    ),
                ),
                io.Boolean.Input(
                    "download_missing",
                    default=False,
                    tooltip=(
                        "Fetch missing files from Hugging Face into models/mmaudio (several GB). "
                        "MMAudio's weights are CC-BY-NC 4.0: not for commercial use."
                    ),
                ),
                *(
                    io.Combo.Input(
                        kind.value,
                        options=_unique([AUTO, *catalog.names(kind)]),
                        default=AUTO,
                        optional=True,
                        tooltip=f"The {kind.title}; auto finds the one that fits.",
                        extra_dict=inputs.ADVANCED,
                    )
                    for kind in _OPTIONAL
                ),
            ],
            outputs=[
                MMAudio.Output(display_name="mmaudio"),
                io.Model.Output(
                    display_name="model",
                    tooltip="The flow network, for KSampler, LoRA and other nodes of ComfyUI.",
                ),
            ],
            **compat.later_schema_fields(has_intermediate_output=True),
        )

    @classmethod
    def validate_inputs(
        cls,
        model: str = DEFAULT_VARIANT,
        vae: str = AUTO,
        vocoder: str = AUTO,
        clip: str = AUTO,
        synchformer: str = AUTO,
    ) -> bool:
        """Accept names that are in no list: ``execute`` explains what such a file is instead.

        An error raised here would be shown once for each of these inputs.
        """
        return True

    @classmethod
    def fingerprint_inputs(cls, **_inputs: object) -> str:
        return folders.fingerprint()

    @classmethod
    def execute(
        cls,
        model: str,
        precision: str,
        download_missing: bool,
        vae: str = AUTO,
        vocoder: str = AUTO,
        clip: str = AUTO,
        synchformer: str = AUTO,
    ) -> io.NodeOutput:
        names = (vae, vocoder, clip, synchformer)
        chosen = {kind: n for kind, n in zip(_OPTIONAL, names, strict=True) if n != AUTO}
        bundle = _find_bundle(model, precision_dtype(precision), chosen, download_missing)
        for part in bundle.parts.values():
            verify_part(part)
        models = ComfyModels(bundle, precision)
        return with_notices(models, models.model, notices=[_SYNTHETIC] if bundle.synthetic else [])


def _find_bundle(
    model: str, dtype: torch.dtype, chosen: Mapping[PartKind, str], download_missing: bool
) -> Bundle:
    folder = folders.default_folder()
    try:
        return folders.catalog().bundle(model, dtype=dtype, chosen=chosen)
    except MissingPartsError as missing:
        if not missing.files:
            cure = f"Put the missing files into {folder}, or choose them in the node."
            raise MMAudioError(f"{missing}\n{cure}") from None
        if not download_missing:
            cure = (
                f"Turn on download_missing to fetch them into {folder}, or put them there "
                "yourself (any name, any subfolder)."
            )
            raise MMAudioError(f"{missing}\n{cure}") from None
        download(missing.files, folder, NodeProgress({"download": 1}))
    return folders.catalog().bundle(model, dtype=dtype, chosen=chosen)


def _unique(options: list[str]) -> list[str]:
    return list(dict.fromkeys(options))
