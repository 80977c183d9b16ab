"""Which files belong together: a complete set of parts, found by content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import CheckpointError
from ..models.bigvgan import BigVGANParams
from ..models.clip import CLIPParams
from ..models.flow import FlowParams
from ..models.synchformer import SynchformerParams
from ..models.vae import VAEParams
from .identify import Part, identify
from .kinds import PartKind
from .layouts import Params
from .published import PublishedFile, files_for

_PUBLISHED = {"clip_dim": 1024, "sync_dim": 768, "text_dim": 1024}
VARIANTS: Mapping[str, FlowParams] = {
    name: FlowParams(
        latent_dim=latents, width=width, joint_depth=joint, fused_depth=fused, v2=v2, **_PUBLISHED
    )
    for name, latents, width, joint, fused, v2 in (
        ("small_16k", 20, 448, 4, 8, False),
        ("small_44k", 40, 448, 4, 8, False),
        ("medium_44k", 40, 896, 4, 8, False),
        ("large_44k", 40, 896, 7, 14, False),
        ("large_44k_v2", 40, 896, 7, 14, True),
    )
}


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The five parts of a job, which fit each other."""

    flow: Part
    vae: Part
    vocoder: Part
    clip: Part
    synchformer: Part

    @property
    def params(self) -> FlowParams:
        params = self.flow.params
        assert isinstance(params, FlowParams)
        return params

    @property
    def parts(self) -> dict[PartKind, Part]:
        return {kind: getattr(self, kind.value) for kind in PartKind}

    @property
    def synthetic(self) -> bool:
        """Whether any part's weights are made up, so that the result is noise."""
        return any(part.synthetic for part in self.parts.values())


class MissingPartsError(CheckpointError):
    """No file fits; ``files`` are the published ones that would."""

    def __init__(self, message: str, files: Sequence[PublishedFile]) -> None:
        super().__init__(message)
        self.files = tuple(files)


def variant_of(part: Part) -> str | None:
    """The published variant a flow network is, or stands in for; None for any other."""
    if part.synthetic in VARIANTS:
        return part.synthetic
    return next((name for name, params in VARIANTS.items() if params == part.params), None)


def misfit(flow: FlowParams, params: Params) -> str | None:
    """Why a part cannot work with a flow network, or None where it can."""
    checks: tuple[tuple[str, int, int], ...]
    if isinstance(params, VAEParams):
        checks = (("latents", params.latent_dim, flow.latent_dim),)
    elif isinstance(params, BigVGANParams):
        checks = (
            ("mel bands", params.mels, flow.audio.mels),
            ("samples a frame", params.hop, flow.audio.hop),
        )
    elif isinstance(params, CLIPParams):
        checks = (
            ("embedding width", params.embed_dim, flow.clip_dim),
            ("text width", params.text_width, flow.text_dim),
        )
    elif isinstance(params, SynchformerParams):
        checks = (("width", params.width, flow.sync_dim),)
    else:
        return "it is a flow network itself"
    wrong = [f"{what} {got}, {wanted} wanted" for what, got, wanted in checks if got != wanted]
    return "; ".join(wrong) or None


class Catalog:
    """The weights files a user has, in path order."""

    def __init__(self, files: Sequence[tuple[str, Path]]) -> None:
        """``files``: the name a user knows each file by, and where it is."""
        self._parts: list[tuple[str, Part]] = []
        self.unusable: dict[str, str] = {}
        self._paths = dict(files)
        for name, path in sorted(files):
            try:
                self._parts += [(name, part) for part in identify(path)]
            except CheckpointError as error:
                self.unusable[name] = str(error)

    def names(self, kind: PartKind) -> list[str]:
        """Names of the files that hold a part of that kind."""
        return [name for name, part in self._parts if part.kind is kind]

    def bundle(
        self,
        model: str,
        *,
        dtype: torch.dtype,
        chosen: Mapping[PartKind, str] | None = None,
        folder: str = "models/mmaudio",
    ) -> Bundle:
        """A complete set of parts.

        Args:
            model: a variant's name, or a file's.
            dtype: preferred where several files fit; then the first in path order is taken.
            chosen: files to use instead of a search, by kind.
            folder: where files should go, for messages.

        Raises:
            MissingPartsError: no file fits; with the published ones that do.
            CheckpointError: a chosen file is not what it was chosen for.
        """
        missing: list[PartKind] = []
        flow = (
            self._variant(model, dtype) if model in VARIANTS else self.named(PartKind.FLOW, model)
        )
        parts: dict[PartKind, Part] = {}
        if flow is None:
            missing.append(PartKind.FLOW)
        else:
            parts[PartKind.FLOW] = flow
        params = flow.params if flow else VARIANTS[model]
        assert isinstance(params, FlowParams)
        standin = flow.synthetic if flow else None
        for kind in PartKind:
            if kind is PartKind.FLOW:
                continue
            name = (chosen or {}).get(kind)
            if name is not None:
                parts[kind] = self._chosen(kind, name, params)
                continue
            fits = [
                part
                for _, part in self._parts
                if part.kind is kind
                and misfit(params, part.params) is None
                and (part.synthetic is None) == (standin is None)
            ]
            if fits:
                parts[kind] = _best(fits, dtype)
            else:
                missing.append(kind)
        if missing:
            variant = model if model in VARIANTS else flow and variant_of(flow)
            raise self._missing(model, variant or None, missing, folder)
        return Bundle(**{kind.value: part for kind, part in parts.items()})

    def _variant(self, variant: str, dtype: torch.dtype) -> Part | None:
        fits = [
            part
            for _, part in self._parts
            if part.kind is PartKind.FLOW and variant_of(part) == variant
        ]
        real = [part for part in fits if part.synthetic is None]
        return _best(real or fits, dtype) if fits else None

    def named(self, kind: PartKind, name: str) -> Part:
        """The part of that kind in the file a user knows by ``name``.

        Raises:
            CheckpointError: no such file, or it holds something else; says what.
        """
        wanted = f"a {kind.title} was wanted"
        for known, part in self._parts:
            if known == name and part.kind is kind:
                return part
        if name in self.unusable:
            raise CheckpointError(f"{self.unusable[name]} ({wanted})")
        others = [part.looks_like for known, part in self._parts if known == name]
        if others:
            raise CheckpointError(
                f"{name} looks like {' and '.join(others)}; {wanted}: choose another file"
            )
        have = ", ".join(self.names(kind)) or "none"
        raise CheckpointError(f"there is no file {name}; {wanted}. Files of that kind: {have}")

    def _chosen(self, kind: PartKind, name: str, flow: FlowParams) -> Part:
        part = self.named(kind, name)
        why = misfit(flow, part.params)
        if why is not None:
            raise CheckpointError(
                f"{name} does not fit the flow network: {why}. Choose another {kind.title}, or auto"
            )
        return part

    def _missing(
        self, model: str, variant: str | None, kinds: Sequence[PartKind], folder: str
    ) -> MissingPartsError:
        titles = ", ".join(kind.title for kind in kinds)
        lines = [f"{model}: no file found for its {titles}."]
        files = [f for f in files_for(variant) if f.kind in kinds] if variant else []
        lines += [f"  {f.kind.title}: {f.url()} ({f.size}; {f.licence})" for f in files]
        if files:
            lines.append(
                f"Turn on download_missing to fetch them into {folder}, or put them there yourself "
                "(any name, any subfolder)."
            )
        else:
            lines.append(
                f"It has the shapes of no published variant, so there is nothing to download: put "
                f"its {titles} into {folder}, or choose the files in the node."
            )
        lines += [
            f"Found, but not what is missing: {name} looks like {part.looks_like}"
            + (" (a stand-in)" if part.synthetic else "")
            for name, part in self._parts
            if part.kind in kinds
        ]
        lines += [f"Found, but not usable: {reason}" for reason in self.unusable.values()]
        return MissingPartsError("\n".join(lines), files)


def _best(parts: Sequence[Part], dtype: torch.dtype) -> Part:
    return next((part for part in parts if part.dtype == dtype), parts[0])
