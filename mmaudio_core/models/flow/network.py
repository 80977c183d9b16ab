"""The flow network: velocity of an audio latent, given CLIP, sync and text features.

MMAudio (Cheng et al., arXiv 2412.15322): a rectified flow from noise (t = 0) to data (t = 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ...config import SEGMENT_TOKENS, TEXT_TOKENS, AudioFormat, audio_format
from ..ops import TORCH_OPERATIONS, LayerFactory, Operations, cast_to
from ..rope import rotations
from ..shapes import CheckpointShapes
from .blocks import FinalLayer, FusedBlock, JointBlock
from .conditions import Conditions, nearest_rows, unique_sync_rows
from .hooks import NO_HOOKS, BlockHooks, Streams
from .layers import HEAD_WIDTH, ConditionVectors, GatedMLP, TimeEmbedding, apply_over_length

# Tables that older files contain; they are computed here.
IGNORED_KEYS = ("t_embed.freqs", "latent_rot", "clip_rot")


@dataclass(frozen=True, kw_only=True)
class FlowParams:
    """Architecture of a flow network."""

    latent_dim: int
    clip_dim: int
    sync_dim: int
    text_dim: int
    width: int
    joint_depth: int
    fused_depth: int
    v2: bool

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> FlowParams:
        """Infer the architecture from a state dict's shapes.

        Raises:
            CheckpointError: a shape is missing or does not fit this architecture.
            MMAudioError: no published model has this latent width.
        """
        found = CheckpointShapes(network="flow network", shapes=shapes)
        width, latent_dim, _ = found.shape("audio_input_proj.0.weight", None, None, 7)
        found.heads(width, HEAD_WIDTH, "the flow network")
        return cls(
            latent_dim=audio_format(latent_dim).latent_dim,
            clip_dim=found.shape("clip_input_proj.0.weight", width, None)[1],
            sync_dim=found.shape("sync_input_proj.0.weight", width, None, 7)[1],
            text_dim=found.shape("text_input_proj.0.weight", width, None)[1],
            width=width,
            joint_depth=found.block_count("joint_blocks"),
            fused_depth=found.block_count("fused_blocks"),
            # v2 has an activation before the MLP
            v2="clip_input_proj.2.w1.weight" in shapes,
        )

    @property
    def heads(self) -> int:
        return self.width // HEAD_WIDTH

    @property
    def audio(self) -> AudioFormat:
        return audio_format(self.latent_dim)


class FlowNetwork(nn.Module):
    """MMAudio's flow network; attribute names are the published keys."""

    def __init__(
        self,
        params: FlowParams,
        *,
        operations: Operations = TORCH_OPERATIONS,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.params = params
        make = LayerFactory(operations, device, dtype)
        width, v2 = params.width, params.v2
        self.latent_mean = make.parameter(1, 1, params.latent_dim)
        self.latent_std = make.parameter(1, 1, params.latent_dim)
        self.empty_string_feat = make.parameter(TEXT_TOKENS, params.text_dim)
        self.empty_clip_feat = make.parameter(1, params.clip_dim)
        self.empty_sync_feat = make.parameter(1, params.sync_dim)
        self.sync_pos_emb = make.parameter(1, 1, SEGMENT_TOKENS, params.sync_dim)

        between: list[nn.Module] = [nn.SiLU()] if v2 else []
        activation = nn.SiLU if v2 else nn.SELU
        self.audio_input_proj = nn.ModuleList(
            [make.conv1d(params.latent_dim, width, 7), activation(), GatedMLP(make, width, 7)]
        )
        self.clip_input_proj = nn.ModuleList(
            [make.linear(params.clip_dim, width), *between, GatedMLP(make, width, 3)]
        )
        self.sync_input_proj = nn.ModuleList(
            [make.conv1d(params.sync_dim, width, 7), activation(), GatedMLP(make, width, 3)]
        )
        self.text_input_proj = nn.ModuleList(
            [make.linear(params.text_dim, width), *between, GatedMLP(make, width, None)]
        )
        self.clip_cond_proj = make.linear(width, width)
        self.text_cond_proj = make.linear(width, width)
        self.global_cond_mlp = GatedMLP(make, width, None)
        self.t_embed = TimeEmbedding(
            make, width, channels=width if v2 else 256, scale=10_000.0 if v2 else 1.0
        )
        last = params.joint_depth - 1
        self.joint_blocks = nn.ModuleList(
            [JointBlock(make, width, last=i == last) for i in range(params.joint_depth)]
        )
        self.fused_blocks = nn.ModuleList(
            [FusedBlock(make, width) for _ in range(params.fused_depth)]
        )
        self.final_layer = FinalLayer(make, width, params.latent_dim)

    def interruptible_modules(self) -> list[nn.Module]:
        """See ``progress.Interruptible``."""
        return [*self.joint_blocks, *self.fused_blocks]

    def empty_clip(self, batch: int, frames: int) -> Tensor:
        """The learned features that stand for no picture: (batch, frames, clip_dim)."""
        return self.empty_clip_feat.expand(batch, frames, -1)

    def empty_sync(self, batch: int, tokens: int) -> Tensor:
        """The learned features that stand for no video: (batch, tokens, sync_dim)."""
        return self.empty_sync_feat.expand(batch, tokens, -1)

    def empty_text(self, batch: int) -> Tensor:
        """The learned features that stand for no text: (batch, 77, text_dim).

        An empty prompt has other features: those of an empty text.
        """
        return self.empty_string_feat.expand(batch, -1, -1)

    def conditions(
        self, clip: Tensor, sync: Tensor, text: Tensor, latents: int, *, repeating: bool = False
    ) -> Conditions:
        """Project the features once for all steps.

        Args:
            clip: (U, V, clip_dim).
            sync: (U, S, sync_dim), S a multiple of 8.
            text: (U, 77, text_dim).
            latents: length N of the latent.
            repeating: all segments have the same sync features, as without a video; equal rows are
                then kept once.
        """
        segments = torch.unflatten(sync, 1, (-1, SEGMENT_TOKENS))
        sync = (segments + cast_to(self.sync_pos_emb, sync)).flatten(1, 2)
        clip = _apply_all(self.clip_input_proj, clip)
        sync = _apply_all(self.sync_input_proj, sync)
        text = _apply_all(self.text_input_proj, text)
        row_of_latent = nearest_rows(sync.shape[1], latents, sync.device)
        if repeating:
            kept, kept_row = unique_sync_rows(sync.shape[1], sync.device)
            sync, row_of_latent = sync[:, kept], kept_row[row_of_latent]
        sets, rows = sync.shape[:2]
        numbers = torch.arange(sets, device=sync.device)
        return Conditions(
            clip=clip,
            text=text,
            pooled=self.clip_cond_proj(clip.mean(dim=1)) + self.text_cond_proj(text.mean(dim=1)),
            sync_rows=sync.flatten(0, 1),
            set_of_row=numbers.repeat_interleave(rows),
            row_of_latent=row_of_latent + numbers[:, None] * rows,
        )

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        conditions: Conditions,
        set_index: Tensor | None = None,
        hooks: BlockHooks = NO_HOOKS,
    ) -> Tensor:
        """Velocity of ``x``, with its shape.

        Args:
            x: latents (B, N, latent_dim).
            t: times, (U,) for one per condition set or (1,) for all.
            conditions: U sets.
            set_index: (B,) int64, the set that each latent uses; by default set i for latent i.
            hooks: interventions of a host.
        """
        clip, text = conditions.clip, conditions.text
        if set_index is None:
            set_index = torch.arange(len(x), device=x.device)
        else:
            clip, text = clip[set_index], text[set_index]
        length, frames = x.shape[1], clip.shape[1]
        latent_rotation = rotations(length, HEAD_WIDTH, device=x.device)
        clip_rotation = rotations(frames, HEAD_WIDTH, scale=length / frames, device=x.device)
        per_set = self.t_embed(t, x.dtype) + self.global_cond_mlp(conditions.pooled)
        global_condition = ConditionVectors(per_set, set_index[:, None])
        per_row = per_set[conditions.set_of_row] + conditions.sync_rows
        latent_condition = ConditionVectors(per_row, conditions.row_of_latent[set_index])

        streams = Streams(_apply_all(self.audio_input_proj, x), clip, text)
        for index, block in enumerate(self.joint_blocks):
            run = partial(
                block,
                latent_condition=latent_condition,
                global_condition=global_condition,
                latent_rotation=latent_rotation,
                clip_rotation=clip_rotation,
                hooks=hooks,
            )
            streams = hooks.joint_block(index, streams, run)
        latent = streams.latent
        for index, block in enumerate(self.fused_blocks):
            run = partial(block, condition=latent_condition, rotation=latent_rotation, hooks=hooks)
            latent = hooks.fused_block(index, latent, run)
        return self.final_layer(latent, global_condition)

    def normalize(self, z: Tensor) -> Tensor:
        """Latents from the VAE's scale to the flow's."""
        return (z - cast_to(self.latent_mean, z)) / cast_to(self.latent_std, z)

    def unnormalize(self, x: Tensor) -> Tensor:
        """Latents from the flow's scale to the VAE's."""
        return x * cast_to(self.latent_std, x) + cast_to(self.latent_mean, x)


def _apply_all(layers: nn.ModuleList, x: Tensor) -> Tensor:
    for layer in layers:
        x = apply_over_length(layer, x)
    return x
