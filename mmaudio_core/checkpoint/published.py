"""The published files of the five MMAudio variants: where they are, their size and licence.

Checksums are the ones the authors publish with their code. Sizes are those of the parameters at
four bytes each (the files are float32), a little less than the files themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import MMAudioError
from .kinds import PartKind

VARIANTS = ("small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2")
DEFAULT_VARIANT = "large_44k_v2"
HUB = "https://huggingface.co"

CC_BY_NC = "CC-BY-NC 4.0: not for commercial use"
MIT = "MIT licence"
APPLE = "Apple's licence"

_AUTHORS = "hkchengrex/MMAudio"
_16K = ("small_16k",)
_44K = ("small_44k", "medium_44k", "large_44k", "large_44k_v2")


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One file on the Hugging Face hub.

    ``filename`` is its path inside ``repo``; ``bytes`` its size, only ``approximate`` where the
    exact one is not published; ``md5`` its checksum where there is one; ``variants`` the names
    of the variants that use it.
    """

    kind: PartKind
    repo: str
    filename: str
    bytes: int
    approximate: bool = True
    md5: str | None = None
    licence: str
    variants: tuple[str, ...]

    @property
    def name(self) -> str:
        """The file's name without folders, which is what it is saved as."""
        return self.filename.rsplit("/", 1)[-1]

    @property
    def size(self) -> str:
        """The size for people, such as ``about 4.12 GB``."""
        return ("about " if self.approximate else "") + readable_size(self.bytes)

    def url(self, endpoint: str = HUB) -> str:
        """Where a browser finds the file."""
        return f"{endpoint.rstrip('/')}/{self.repo}/resolve/main/{self.filename}"

    def describe(self) -> str:
        """What it is, where it is, how large, under which licence; one line for messages."""
        return f"{self.kind.title}: {self.url()} ({self.size}; {self.licence})"


def readable_size(count: int) -> str:
    """``count`` bytes in decimal units, as download pages and disks give them."""
    if count < 1_000_000:
        return f"{count:,} bytes"
    return f"{count / 1e9:.2f} GB" if count >= 1_000_000_000 else f"{count / 1e6:.0f} MB"


def _flow(variant: str, size: int, md5: str) -> PublishedFile:
    return PublishedFile(
        kind=PartKind.FLOW,
        repo=_AUTHORS,
        filename=f"weights/mmaudio_{variant}.pth",
        bytes=size,
        md5=md5,
        licence=CC_BY_NC,
        variants=(variant,),
    )


PUBLISHED = (
    _flow("small_16k", 629_134_576, "af93cde404179f58e3919ac085b8033b"),
    _flow("small_44k", 629_636_576, "babd74c884783d13701ea2820a5f5b6d"),
    _flow("medium_44k", 2_487_223_776, "5a56b6665e45a1e65ada534defa903d0"),
    _flow("large_44k", 4_120_008_672, "fed96c325a6785b85ce75ae1aafd2673"),
    _flow("large_44k_v2", 4_122_302_432, "01ad4464f049b2d7efdaa4c1a59b8dfe"),
    PublishedFile(
        kind=PartKind.VAE,
        repo=_AUTHORS,
        filename="ext_weights/v1-16.pth",
        bytes=686_629_512,
        md5="69f56803f59a549a1a507c93859fd4d7",
        licence=CC_BY_NC,
        variants=_16K,
    ),
    PublishedFile(
        kind=PartKind.VAE,
        repo=_AUTHORS,
        filename="ext_weights/v1-44.pth",
        bytes=1_221_919_752,
        md5="fab020275fa44c6589820ce025191600",
        licence=CC_BY_NC,
        variants=_44K,
    ),
    PublishedFile(
        kind=PartKind.VOCODER,
        repo=_AUTHORS,
        filename="ext_weights/best_netG.pt",
        bytes=448_935_464,
        md5="eeaf372a38a9c31c362120aba2dde292",
        licence=CC_BY_NC,
        variants=_16K,
    ),
    PublishedFile(
        kind=PartKind.VOCODER,
        repo="nvidia/bigvgan_v2_44khz_128band_512x",
        filename="bigvgan_generator.pt",
        bytes=488_748_580,
        licence=MIT,
        variants=_44K,
    ),
    PublishedFile(
        kind=PartKind.CLIP,
        repo="apple/DFN5B-CLIP-ViT-H-14-384",
        filename="open_clip_pytorch_model.bin",
        bytes=3_946_859_524,
        licence=APPLE,
        variants=VARIANTS,
    ),
    PublishedFile(
        kind=PartKind.SYNCHFORMER,
        repo=_AUTHORS,
        filename="ext_weights/synchformer_state_dict.pth",
        bytes=949_840_980,
        md5="5b2f5594b0730f70e41e549b7c94390c",
        licence=CC_BY_NC,
        variants=VARIANTS,
    ),
)


def files_for(variant: str) -> tuple[PublishedFile, ...]:
    """The five files of ``variant``, in the order of ``PartKind``.

    Raises:
        MMAudioError: there is no such variant.
    """
    if variant not in VARIANTS:
        raise MMAudioError(
            f"There is no MMAudio variant {variant!r}; expected one of {', '.join(VARIANTS)}."
        )
    return tuple(file for file in PUBLISHED if variant in file.variants)
