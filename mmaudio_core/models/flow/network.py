"""The flow network: velocity of an audio latent, given CLIP, sync and text features.

MMAudio (Cheng et al., arXiv 2412.15322): a rectified flow from noise (t = 0) to data (t = 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...config import SEGMENT_TOKENS, TEXT_TOKENS, AudioFormat, audio_format
from ..ops import Operations, cast
from ..rope import rotations
from ..shapes import Shapes
from .blocks import FusedBlock, JointBlock, Streams
from .conditions import Conditions, alike_tokens, spread_rows
from .layers import HEAD_WIDTH, Condition, LayerFactory, Modulation, apply_over_length, modulate

# Tables that older files carry and that are computed here.
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
        """Read the architecture off a state dict's shapes.

        Raises:
            CheckpointError: a shape is missing or is not one this architecture has.
            MMAudioError: a latent width of no published model.
        """
        got = Shapes(network="flow network", shapes=shapes)
        width, latent_dim, _ = got.of("audio_input_proj.0.weight", None, None, 7)
        got.heads(width, HEAD_WIDTH, "the flow network")
        return cls(
            latent_dim=audio_format(latent_dim).latent_dim,
            clip_dim=got.of("clip_input_proj.0.weight", width, None)[1],
            sync_dim=got.of("sync_input_proj.0.weight", width, None, 7)[1],
            text_dim=got.of("text_input_proj.0.weight", width, None)[1],
            width=width,
            joint_depth=got.depth("joint_blocks"),
            fused_depth=got.depth("fused_blocks"),
            # v2 has an activation before the MLP, and a time embedding as wide as the network
            v2="clip_input_proj.2.w1.weight" in shapes,
        )

    @property
    def heads(self) -> int:
        return self.width // HEAD_WIDTH

    @property
    def audio(self) -> AudioFormat:
        return audio_format(self.latent_dim)


class TimeEmbedding(nn.Module):
    """Sinusoids of the time, in float32 whatever the weights are, then a two-layer MLP."""

    def __init__(self, make: LayerFactory, params: FlowParams) -> None:
        super().__init__()
        self.frequencies = params.width if params.v2 else 256
        self.scale = 10_000.0 if params.v2 else 1.0
        self.mlp = nn.Sequential(
            make.layer(self.frequencies, params.width, None),
            nn.SiLU(),
            make.layer(params.width, params.width, None),
        )

    def forward(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        """(B,) -> (B, D)."""
        channel = torch.arange(0, self.frequencies, 2, dtype=torch.float32, device=t.device)
        angle = t.float()[:, None] * (self.scale / 10_000.0 ** (channel / self.frequencies))
        return self.mlp(torch.cat((angle.cos(), angle.sin()), dim=-1).to(dtype))


class FinalLayer(nn.Module):
    """Modulated norm and projection to the latent's width."""

    def __init__(self, make: LayerFactory, params: FlowParams) -> None:
        super().__init__()
        self.adaLN_modulation = Modulation(make, params.width, 2)
        self.conv = make.layer(params.width, params.latent_dim, 7)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        shift, scale = self.adaLN_modulation(condition)
        return apply_over_length(self.conv, modulate(x, shift, scale))


class FlowNetwork(nn.Module):
    """MMAudio's flow network; attribute names are the published keys."""

    def __init__(
        self,
        params: FlowParams,
        *,
        operations: Operations = nn,  # pyright: ignore[reportArgumentType]
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
            [make.layer(params.latent_dim, width, 7), activation(), make.mlp(width, 7)]
        )
        self.clip_input_proj = nn.ModuleList(
            [make.layer(params.clip_dim, width, None), *between, make.mlp(width, 3)]
        )
        self.sync_input_proj = nn.ModuleList(
            [make.layer(params.sync_dim, width, 7), activation(), make.mlp(width, 3)]
        )
        self.text_input_proj = nn.ModuleList(
            [make.layer(params.text_dim, width, None), *between, make.mlp(width, None)]
        )
        self.clip_cond_proj = make.layer(width, width, None)
        self.text_cond_proj = make.layer(width, width, None)
        self.global_cond_mlp = make.mlp(width, None)
        self.t_embed = TimeEmbedding(make, params)
        last = params.joint_depth - 1
        self.joint_blocks = nn.ModuleList(
            [JointBlock(make, width, last=i == last) for i in range(params.joint_depth)]
        )
        self.fused_blocks = nn.ModuleList(
            [FusedBlock(make, width) for _ in range(params.fused_depth)]
        )
        self.final_layer = FinalLayer(make, params)

    def steps(self) -> list[nn.Module]:
        return [*self.joint_blocks, *self.fused_blocks]

    def empty_clip(self, batch: int, frames: int) -> Tensor:
        """What stands for no picture: (batch, frames, clip_dim)."""
        return self.empty_clip_feat.expand(batch, frames, -1)

    def empty_sync(self, batch: int, tokens: int) -> Tensor:
        """What stands for no sync features: (batch, tokens, sync_dim)."""
        return self.empty_sync_feat.expand(batch, tokens, -1)

    def empty_text(self, batch: int) -> Tensor:
        """What stands for no text at all (an empty prompt is not that): (batch, 77, text_dim)."""
        return self.empty_string_feat.expand(batch, -1, -1)

    def conditions(
        self, clip: Tensor, sync: Tensor, text: Tensor, latents: int, *, repeating: bool = False
    ) -> Conditions:
        """Project the features once, for all steps.

        Args:
            clip: (U, V, clip_dim).
            sync: (U, S, sync_dim), S a multiple of 8.
            text: (U, 77, text_dim).
            latents: N, the latent's length.
            repeating: the sync features of all segments are the same, as where there is no video:
                rows that come out alike are kept once.
        """
        segments = torch.unflatten(sync, 1, (-1, SEGMENT_TOKENS))
        sync = (segments + cast(self.sync_pos_emb, sync)).flatten(1, 2)
        clip, sync, text = (
            _chain(proj, x)
            for proj, x in (
                (self.clip_input_proj, clip),
                (self.sync_input_proj, sync),
                (self.text_input_proj, text),
            )
        )
        common = self.clip_cond_proj(clip.mean(dim=1)) + self.text_cond_proj(text.mean(dim=1))
        spread = spread_rows(sync.shape[1], latents, sync.device)
        if repeating:
            kept, which = alike_tokens(sync.shape[1], sync.device)
            sync, spread = sync[:, kept], which[spread]
        sets, rows = sync.shape[:2]
        numbers = torch.arange(sets, device=sync.device)
        return Conditions(
            clip=clip,
            text=text,
            common=common,
            sync=sync.flatten(0, 1),
            owner=numbers.repeat_interleave(rows),
            spread=spread + numbers[:, None] * rows,
        )

    def forward(
        self, x: Tensor, t: Tensor, conditions: Conditions, which: Tensor | None = None
    ) -> Tensor:
        """Velocity of ``x`` (B, N, latent_dim): the shape of ``x``.

        Args:
            x: latents.
            t: times (U,), of each set of the conditions; or (1,), of all.
            conditions: U sets.
            which: (B,) int64, the set of each latent; None where there is one a latent.
        """
        clip, text = conditions.clip, conditions.text
        if which is None:
            which = torch.arange(len(x), device=x.device)
        else:
            clip, text = clip[which], text[which]
        count, frames = x.shape[1], clip.shape[1]
        latent_rotation = rotations(count, HEAD_WIDTH, device=x.device)
        clip_rotation = rotations(frames, HEAD_WIDTH, scale=count / frames, device=x.device)
        common = self.t_embed(t, x.dtype) + self.global_cond_mlp(conditions.common)
        common_condition = Condition(common, which[:, None])
        rows = common[conditions.owner] + conditions.sync
        extended = Condition(rows, conditions.spread[which])

        streams = Streams(_chain(self.audio_input_proj, x), clip, text)
        for block in self.joint_blocks:
            streams = block(
                streams,
                extended=extended,
                common=common_condition,
                latent_rotation=latent_rotation,
                clip_rotation=clip_rotation,
            )
        latent = streams.latent
        for block in self.fused_blocks:
            latent = block(latent, extended, latent_rotation)
        return self.final_layer(latent, common_condition)

    def normalize(self, z: Tensor) -> Tensor:
        """VAE latents to the flow's scale."""
        return (z - cast(self.latent_mean, z)) / cast(self.latent_std, z)

    def unnormalize(self, x: Tensor) -> Tensor:
        """The flow's latents to the VAE's scale."""
        return x * cast(self.latent_std, x) + cast(self.latent_mean, x)


def _chain(layers: nn.ModuleList, x: Tensor) -> Tensor:
    for layer in layers:
        x = apply_over_length(layer, x)
    return x
