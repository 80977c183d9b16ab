"""CLIP and Synchformer as kijai's nodes run them, inside the ComfyUI they are written for."""

# pyright: reportMissingImports=false

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from mmaudio_core.checkpoint import VARIANTS, PartKind

from ..clock import Clock
from ..inputs import Inputs
from ..job import Job
from ..stages import Stage
from ..weights import TINY, file_of
from .side import CannotRunError, Run

_PACKAGE = "kijai_mmaudio"
_ONE_PROMPT = 1  # its generate() gives encoders the number of prompts as the size of a batch


class Kijai:
    """Two stages, each on the job's inputs; the nodes' own loader loads the networks."""

    def __init__(self, job: Job) -> None:
        if job.kijai is None or not (Path(job.kijai) / "nodes.py").is_file():
            raise CannotRunError(f"{job.kijai} holds no nodes.py: name a checkout of the nodes")
        if job.comfyui is None:
            raise CannotRunError("no ComfyUI to run the nodes in: set COMFYUI_PATH to its folder")
        if job.variant == TINY or job.variant == "small_16k":
            raise CannotRunError(
                "its loader loads a 44.1 kHz vocoder with the encoders: choose a 44.1 kHz variant"
            )
        self._job = job
        self._device = torch.device(job.device)
        self._dtype = torch.bfloat16 if job.compared_precision == "bf16" else torch.float32
        self._inputs = Inputs(job=job, flow=VARIANTS[job.variant].params)
        self._utils: Any = None

    def load(self, stages: Sequence[Stage]) -> None:
        nodes = _import(Path(str(self._job.kijai)), Path(str(self._job.comfyui)), self._device)
        import folder_paths

        folder_paths.folder_names_and_paths["mmaudio"] = ([self._job.weights], set())
        names = {kind: str(file_of(kind, self._job.variant)) for kind in PartKind}
        loader = nodes.NODE_CLASS_MAPPINGS["MMAudioFeatureUtilsLoader"]()
        with _without_cuda() if self._device.type == "cpu" else nullcontext():
            (self._utils,) = loader.loadmodel(
                vae_model=names[PartKind.VAE],
                precision=self._job.compared_precision,
                synchformer_model=names[PartKind.SYNCHFORMER],
                clip_model=names[PartKind.CLIP],
                mode="44k",
            )
        self._utils.to(self._device)

    def prepare(self, stage: Stage) -> Run:
        if stage is Stage.CLIP:
            frames = self._inputs.clip_frames[None].float() / 255
            encode = self._utils.encode_video_with_clip
        elif stage is Stage.SYNCHFORMER:
            frames = self._inputs.sync_frames[None].float() / 127.5 - 1
            encode = self._utils.encode_video_with_sync
        else:
            raise CannotRunError("only CLIP and Synchformer are compared with these nodes")

        def run(_clock: Clock) -> Tensor:
            with torch.inference_mode():
                return encode(frames.to(self._device, self._dtype), batch_size=_ONE_PROMPT)

        return run


@contextmanager
def _without_cuda() -> Iterator[None]:
    """Its VAE, loaded with the encoders, calls ``.cuda()``: on a CPU that then does nothing."""
    with patch.object(Tensor, "cuda", lambda tensor: tensor):
        yield


def _import(checkout: Path, comfyui: Path, device: torch.device) -> Any:
    """The nodes as a package, the way ComfyUI imports a custom node."""
    sys.path.insert(0, str(comfyui))
    from comfy.cli_args import args

    args.cpu = device.type == "cpu"  # before the devices are looked at
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, checkout / "__init__.py", submodule_search_locations=[str(checkout)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = module
    spec.loader.exec_module(module)
    logging.getLogger().setLevel(logging.ERROR)
    return module
