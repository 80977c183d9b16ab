"""LoadMMAudioModel: from a variant's name, or a file, to a complete set of networks."""

from __future__ import annotations

from comfy_api.latest import io

from ..mmaudio_core.checkpoint import (
    VARIANTS,
    Bundle,
    Catalog,
    MissingPartsError,
    PartKind,
    verify_part,
)
from ..mmaudio_core.checkpoint.published import DEFAULT_VARIANT
from . import folders
from .download import download
from .feedback import NodeProgress, notify
from .model_manager import AUTO, PRECISIONS, ComfyModels, precision_dtype
from .types import CATEGORY, MMAudio

_CHOSEN = (PartKind.VAE, PartKind.VOCODER, PartKind.CLIP, PartKind.SYNCHFORMER)


class LoadMMAudioModel(io.ComfyNode):
    """Finds the five files of a model by their content and loads them when they are used."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        found = folders.catalog()
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
                    options=_unique([*VARIANTS, *found.names(PartKind.FLOW)]),
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
                        "What the networks compute in. auto: half precision where the GPU or CPU "
                        "does it well, with VAE and vocoder in fp32; fp32 elsewhere. fp8_e4m3fn "
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
                        options=_unique([AUTO, *found.names(kind)]),
                        default=AUTO,
                        optional=True,
                        tooltip=f"The {kind.title}; auto finds the one that fits.",
                    )
                    for kind in _CHOSEN
                ),
            ],
            outputs=[
                MMAudio.Output(display_name="mmaudio"),
                io.Model.Output(
                    display_name="model",
                    tooltip="The flow network, for KSampler, LoRA and other nodes of ComfyUI.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
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
        """Let names pass that are in no list: ``execute`` says what such a file is instead.

        An error from here would be shown once for each of these inputs.
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
        chosen = {kind: n for kind, n in zip(_CHOSEN, names, strict=True) if n != AUTO}
        try:
            bundle = _bundle(folders.catalog(), model, precision, chosen)
        except MissingPartsError as missing:
            if not (download_missing and missing.files):
                raise
            download(missing.files, folders.default_folder(), NodeProgress({"download": 1}))
            bundle = _bundle(folders.catalog(), model, precision, chosen)
        for part in bundle.parts.values():
            verify_part(part)
        if bundle.synthetic:
            notify(
                cls.hidden.unique_id,
                ["these are stand-in weights, made up for trying things out: the sound is noise"],
            )
        networks = ComfyModels(bundle, precision)
        return io.NodeOutput(networks, networks.model)


def _bundle(found: Catalog, model: str, precision: str, chosen: dict[PartKind, str]) -> Bundle:
    return found.bundle(
        model,
        dtype=precision_dtype(precision),
        chosen=chosen,
        folder=str(folders.default_folder()),
    )


def _unique(options: list[str]) -> list[str]:
    return list(dict.fromkeys(options))
