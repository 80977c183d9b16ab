"""ComfyUI's ``transformer_options`` as interventions in the flow network's blocks.

Joint blocks are what ComfyUI calls double blocks: ``img`` is the latent, ``txt`` the text, and
``clip`` the picture, which has no counterpart. Fused blocks are its single blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..mmaudio_core.models.flow.hooks import BlockHooks, Streams
from .attention import optimized_attention


class TransformerOptionsHooks(BlockHooks):
    """Attention kernels and overrides, ``patches_replace["dit"]`` and ``attn1_output_patch``.

    Args:
        options: ``transformer_options`` of this call; the block at work is noted in it, as
            ComfyUI's own models do.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._replacements = options.get("patches_replace", {}).get("dit", {})
        self._output_patches = options.get("patches", {}).get("attn1_output_patch", ())

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return optimized_attention(q, k, v, self._options)

    def attention_output(self, output: Tensor, latents: int) -> Tensor:
        if not self._output_patches:
            return output
        options = {**self._options, "img_slice": [0, latents]}
        for patch in self._output_patches:
            output = patch(output, options)
        return output

    def joint_block(
        self, index: int, streams: Streams, block: Callable[[Streams], Streams]
    ) -> Streams:
        replacement = self._enter("double", index)
        if replacement is None:
            return block(streams)

        def original(args: dict[str, Any]) -> dict[str, Any]:
            latent, clip, text = block(Streams(args["img"], args["clip"], args["txt"]))
            return {"img": latent, "txt": text, "clip": clip}

        args = {"img": streams.latent, "txt": streams.text, "clip": streams.clip}
        out = replacement(
            {**args, "transformer_options": self._options}, {"original_block": original}
        )
        return Streams(out["img"], out.get("clip", streams.clip), out["txt"])

    def fused_block(self, index: int, latent: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        replacement = self._enter("single", index)
        if replacement is None:
            return block(latent)
        return replacement(
            {"img": latent, "transformer_options": self._options},
            {"original_block": lambda args: {"img": block(args["img"])}},
        )["img"]

    def _enter(self, kind: str, index: int) -> Callable[..., Any] | None:
        self._options["block_type"], self._options["block_index"] = kind, index
        return self._replacements.get((f"{kind}_block", index))
