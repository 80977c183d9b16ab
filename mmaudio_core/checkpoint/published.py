"""The published MMAudio variants: their architectures and the files they consist of.

Checksums are the ones the authors publish with their code. Sizes are those of the parameters at
four bytes each (the files are float32), slightly less than the files themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..config import FORMAT_16K, FORMAT_44K, AudioFormat
from ..errors import MMAudioError
from ..models.flow import FlowParams
from .kinds import PartKind

DEFAULT_VARIANT = "large_44k_v2"
HUB = "https://huggingface.co"

CC_BY_NC = "CC-BY-NC 4.0: not for commercial use"
MIT = "MIT license"
APPLE = "Apple's license"

_AUTHORS = "hkchengrex/MMAudio"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What distinguishes a published variant from the others.

    Attributes:
        audio: format of its latents, which decides on the VAE and the vocoder.
        bytes: size of the flow network's parameters.
        md5: checksum of the flow network's file.
    """

    audio: AudioFormat
    width: int
    joint_depth: int = 4
    fused_depth: int = 8
    v2: bool = False
    bytes: int
    md5: str

    @property
    def params(self) -> FlowParams:
        """Architecture of the flow network."""
        return FlowParams(
            latent_dim=self.audio.latent_dim,
            clip_dim=1024,
            sync_dim=768,
            text_dim=1024,
            width=self.width,
            joint_depth=self.joint_depth,
            fused_depth=self.fused_depth,
            v2=self.v2,
        )


VARIANTS: Mapping[str, Variant] = {
    "small_16k": Variant(
        audio=FORMAT_16K,
        width=448,
        bytes=629_134_576,
        md5="af93cde404179f58e3919ac085b8033b",
    ),
    "small_44k": Variant(
        audio=FORMAT_44K,
        width=448,
        bytes=629_636_576,
        md5="babd74c884783d13701ea2820a5f5b6d",
    ),
    "medium_44k": Variant(
        audio=FORMAT_44K,
        width=896,
        bytes=2_487_223_776,
        md5="5a56b6665e45a1e65ada534defa903d0",
    ),
    "large_44k": Variant(
        audio=FORMAT_44K,
        width=896,
        joint_depth=7,
        fused_depth=14,
        bytes=4_120_008_672,
        md5="fed96c325a6785b85ce75ae1aafd2673",
    ),
    "large_44k_v2": Variant(
        audio=FORMAT_44K,
        width=896,
        joint_depth=7,
        fused_depth=14,
        v2=True,
        bytes=4_122_302_432,
        md5="01ad4464f049b2d7efdaa4c1a59b8dfe",
    ),
}


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One file on the Hugging Face hub.

    Attributes:
        filename: path inside ``repo``.
        bytes: size.
        approximate: whether the exact size is not published.
        md5: checksum, if one is published.
    """

    kind: PartKind
    repo: str = _AUTHORS
    filename: str
    bytes: int
    approximate: bool = True
    md5: str | None = None
    license: str = CC_BY_NC

    @property
    def name(self) -> str:
        """The file's name without folders, under which it is saved."""
        return self.filename.rsplit("/", 1)[-1]

    @property
    def size(self) -> str:
        """Readable size, such as ``about 4.12 GB``."""
        return ("about " if self.approximate else "") + readable_size(self.bytes)

    def url(self, endpoint: str = HUB) -> str:
        """Address for a browser."""
        return f"{endpoint.rstrip('/')}/{self.repo}/resolve/main/{self.filename}"

    def describe(self) -> str:
        """Kind, address, size and license in one line."""
        return f"{self.kind.title}: {self.url()} ({self.size}; {self.license})"


_DECODERS: Mapping[AudioFormat, tuple[PublishedFile, PublishedFile]] = {
    FORMAT_16K: (
        PublishedFile(
            kind=PartKind.VAE,
            filename="ext_weights/v1-16.pth",
            bytes=686_629_512,
            md5="69f56803f59a549a1a507c93859fd4d7",
        ),
        PublishedFile(
            kind=PartKind.VOCODER,
            filename="ext_weights/best_netG.pt",
            bytes=448_935_464,
            md5="eeaf372a38a9c31c362120aba2dde292",
        ),
    ),
    FORMAT_44K: (
        PublishedFile(
            kind=PartKind.VAE,
            filename="ext_weights/v1-44.pth",
            bytes=1_221_919_752,
            md5="fab020275fa44c6589820ce025191600",
        ),
        PublishedFile(
            kind=PartKind.VOCODER,
            repo="nvidia/bigvgan_v2_44khz_128band_512x",
            filename="bigvgan_generator.pt",
            bytes=488_748_580,
            license=MIT,
        ),
    ),
}
ENCODERS = (
    PublishedFile(
        kind=PartKind.CLIP,
        repo="apple/DFN5B-CLIP-ViT-H-14-384",
        filename="open_clip_pytorch_model.bin",
        bytes=3_946_859_524,
        license=APPLE,
    ),
    PublishedFile(
        kind=PartKind.SYNCHFORMER,
        filename="ext_weights/synchformer_state_dict.pth",
        bytes=949_840_980,
        md5="5b2f5594b0730f70e41e549b7c94390c",
    ),
)


def files_for(name: str) -> tuple[PublishedFile, ...]:
    """The five files of the variant ``name``, in the order of ``MODEL_PARTS``.

    Raises:
        MMAudioError: there is no such variant.
    """
    variant = find_variant(name)
    flow = PublishedFile(
        kind=PartKind.FLOW,
        filename=f"weights/mmaudio_{name}.pth",
        bytes=variant.bytes,
        md5=variant.md5,
    )
    return (flow, *_DECODERS[variant.audio], *ENCODERS)


def find_variant(name: str) -> Variant:
    """The variant ``name``.

    Raises:
        MMAudioError: there is no such variant.
    """
    if name not in VARIANTS:
        raise MMAudioError(
            f"got the MMAudio variant {name!r}, expected one of {', '.join(VARIANTS)}"
        )
    return VARIANTS[name]


def readable_size(count: int) -> str:
    """``count`` bytes in decimal units, as download pages and disks give them."""
    if count < 1_000_000:
        return f"{count:,} bytes"
    return f"{count / 1e9:.2f} GB" if count >= 1_000_000_000 else f"{count / 1e6:.0f} MB"
