"""Identify the networks in a weights file by its tensors, never by its name."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import CheckpointError, MMAudioError
from ..file_identity import FileIdentity, file_identity
from ..models.bigvgan import BigVGANParams
from ..models.clip import CLIPParams
from ..models.flow import FlowParams
from ..models.synchformer import SyncHeadParams
from ..models.vae import VAEParams
from .header import Header, read_header
from .kinds import MODEL_PARTS, PartKind
from .layouts import LAYOUTS, Params
from .weight_norm import folded_shapes

SYNTHETIC_KEY = "mmaudio_standin"  # metadata key of a file with synthetic weights
_QUOTED = 500  # characters

# Part of a key -> what a file with such a key is; the first match is named in errors.
_FOREIGN = (
    ("model.diffusion_model.", "a Stable Diffusion checkpoint"),
    ("text_model.encoder.layers.", "a CLIP text model (Hugging Face layout)"),
    ("vision_model.encoder.layers.", "a CLIP vision model (Hugging Face layout)"),
    ("lora_", "a LoRA"),
    ("double_blocks.", "a Flux or HunyuanVideo diffusion model"),
    ("encoder.block.0.layer.", "a T5 text encoder"),
    ("blocks.0.self_attn.", "a Wan video model"),
    ("transformer_blocks.", "a diffusion transformer"),
    ("model.layers.0.self_attn.", "a language model"),
    ("decoder.mid.attn_1.q.weight", "an image VAE"),
    ("decoder.mid_block.", "an image VAE (diffusers layout)"),
    ("afeat_extractor.", "Synchformer's audio branch alone"),
    ("transformer.resblocks.", "a CLIP text model"),
    ("resblocks.0.convs1.", "a vocoder of another kind (HiFi-GAN?)"),
    ("down_blocks.", "a U-Net diffusion model"),
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One network found in a file.

    Attributes:
        keys: our key -> stored key, before weight norm is folded.
        shapes: our key -> stored shape, likewise.
        dtype: the most common dtype of its tensors.
        synthetic: the variant that synthetic weights imitate; None for real weights.
        identity: of the file when its header was read.
    """

    kind: PartKind
    path: Path
    params: Params
    keys: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    dtype: torch.dtype
    synthetic: str | None
    identity: FileIdentity

    @property
    def looks_like(self) -> str:
        """Description for errors, as precise as the shapes allow."""
        p = self.params
        if isinstance(p, FlowParams):
            version = "v2" if p.v2 else "v1"
            return (
                f"a {version} flow network (width {p.width}, "
                f"{p.joint_depth}+{p.fused_depth} blocks, {p.latent_dim} latent channels)"
            )
        if isinstance(p, VAEParams):
            return f"a VAE ({p.latent_dim} latent channels, {p.mels} mel bands)"
        if isinstance(p, BigVGANParams):
            return f"a BigVGAN vocoder ({p.mels} mel bands, {p.hop} samples per frame)"
        if isinstance(p, CLIPParams):
            return f"a CLIP model (embedding width {p.embed_dim}, text width {p.text_width})"
        if isinstance(p, SyncHeadParams):
            return f"Synchformer's synchronisation head (width {p.width})"
        return f"a Synchformer (width {p.width})"


def identify(path: Path) -> tuple[Part, ...]:
    """The networks in ``path``: usually one, two if a file merges VAE and vocoder.

    Only the header is read, within bounds of memory and time.

    Raises:
        CheckpointError: the file is missing, damaged, or holds none of the networks; the
            message says what it looks like instead. No other exception leaves it.
    """
    try:
        return _identify(path)
    except CheckpointError as error:
        raise CheckpointError(_shortened(str(error))) from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})") from None
    except Exception as error:  # whatever is in it
        raise CheckpointError(f"{path.name} cannot be used ({type(error).__name__})") from None


def _identify(path: Path) -> tuple[Part, ...]:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would block whoever opens it
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise CheckpointError(f"{path} is {kind}; expected a weights file")
    identity = file_identity(status)
    header = read_header(path)
    parts: list[Part] = []
    reasons: list[str] = []
    for kind in PartKind:
        try:
            part = _find(header, kind, identity)
        except MMAudioError as error:
            reasons.append(str(error))
        except (ArithmeticError, ValueError, TypeError, LookupError) as error:
            reasons.append(f"its shapes are none of a {kind.title}: {type(error).__name__}")
        else:
            parts += [part] if part is not None else []
    if any(part.kind in MODEL_PARTS for part in parts):  # the head alone is of no use
        return tuple(parts)
    reason = f" ({reasons[0]})" if reasons else ""
    raise CheckpointError(
        f"{header.path.name} looks like {_describe(header)}{reason}; expected an MMAudio flow "
        f"network, VAE, vocoder, CLIP (open_clip layout) or Synchformer"
    )


def _shortened(message: str) -> str:
    """Without the middle of a message that quotes too much of a file."""
    if len(message) <= 2 * _QUOTED:
        return message
    return f"{message[:_QUOTED]} ... {message[-_QUOTED:]}"


def _find(header: Header, kind: PartKind, identity: FileIdentity) -> Part | None:
    layout = LAYOUTS[kind]
    prefixes = layout.prefixes(header.tensors)
    if not prefixes:
        return None
    keys = layout.rename(header.tensors, prefixes[0])
    infos = {ours: header.tensors[stored] for ours, stored in keys.items()}
    shapes = {key: info.shape for key, info in infos.items()}
    dtypes = [info.dtype for info in infos.values() if info.dtype is not None]
    counts = Counter(dtype for dtype in dtypes if dtype.is_floating_point)
    if not counts:
        raise CheckpointError("its tensors have an unsupported dtype (quantized?)")
    part = Part(
        kind=kind,
        path=header.path,
        params=layout.params(folded_shapes(shapes)),
        keys=keys,
        shapes=shapes,
        dtype=counts.most_common(1)[0][0],
        synthetic=header.metadata.get(SYNTHETIC_KEY),
        identity=identity,
    )
    if len(part.looks_like) > _QUOTED:  # also raises where a number has no end
        raise CheckpointError(f"its shapes are none of a {kind.title}")
    return part


def _describe(header: Header) -> str:
    for fragment, description in _FOREIGN:
        if any(fragment in key for key in header.tensors):
            return description
    if not header.tensors:
        return "a checkpoint without tensors"
    first = ", ".join(key[:100] for key in list(header.tensors)[:3])
    return f"a checkpoint of another model ({len(header.tensors)} tensors: {first}, ...)"
