"""Find the weights files that belong together, by their content."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import CheckpointError, Problem
from ..models.bigvgan import BigVGANParams
from ..models.clip import CLIPParams
from ..models.flow import FlowParams
from ..models.synchformer import SyncHeadParams, SynchformerParams
from ..models.vae import VAEParams
from .identify import Part, identify
from .kinds import MODEL_PARTS, PartKind
from .layouts import Params
from .published import ENCODERS, VARIANTS, PublishedFile, files_for

_MAX_REASONS = 20


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Parts that fit each other: the five of a complete model, and what judges its sound.

    Attributes:
        sync_head: None if no file holds one.
    """

    flow: Part
    vae: Part
    vocoder: Part
    clip: Part
    synchformer: Part
    sync_head: Part | None = None

    @property
    def params(self) -> FlowParams:
        params = self.flow.params
        assert isinstance(params, FlowParams)
        return params

    @property
    def parts(self) -> dict[PartKind, Part]:
        """The five of a complete model."""
        return {kind: getattr(self, kind.value) for kind in MODEL_PARTS}

    def part(self, kind: PartKind) -> Part:
        """Any of the parts.

        Raises:
            NoSyncHeadError: there is no synchronisation head.
        """
        if kind is not PartKind.SYNC_HEAD:
            return self.parts[kind]
        if self.sync_head is None:
            raise NoSyncHeadError(self.synchformer)
        return self.sync_head

    @property
    def synthetic(self) -> bool:
        """Whether any part has synthetic weights, so that the result is noise."""
        return any(part.synthetic for part in self.parts.values())


class MissingPartsError(CheckpointError):
    """No file fits.

    Attributes:
        files: the published files that would fit; empty if the model is no published variant.
    """

    def __init__(self, message: str, files: Sequence[PublishedFile]) -> None:
        super().__init__(message, problem=Problem.MISSING_WEIGHTS)
        self.files = tuple(files)


class NoSyncHeadError(CheckpointError):
    """The model works, but how well sound and picture go together cannot be measured with it."""

    def __init__(self, synchformer: Part) -> None:
        published = next(f for f in ENCODERS if f.kind is PartKind.SYNCHFORMER)
        super().__init__(
            f"this Synchformer file holds no synchronisation head ({synchformer.path.name}); "
            f"{published.name}, which the authors published, does",
            problem=Problem.MISSING_WEIGHTS,
        )


def variant_of(flow: Part) -> str | None:
    """Name of the published variant that a flow network is, or is a synthetic copy of."""
    if flow.synthetic in VARIANTS:
        return flow.synthetic
    return next((name for name, v in VARIANTS.items() if v.params == flow.params), None)


def misfit(flow: FlowParams, params: Params) -> str | None:
    """Why a part cannot work with a flow network; None if it can."""
    checks: tuple[tuple[str, int, int], ...]
    if isinstance(params, VAEParams):
        checks = (("latent channels", params.latent_dim, flow.latent_dim),)
    elif isinstance(params, BigVGANParams):
        checks = (
            ("mel bands", params.mels, flow.audio.mels),
            ("samples per frame", params.hop, flow.audio.hop),
        )
    elif isinstance(params, CLIPParams):
        checks = (
            ("embedding width", params.embed_dim, flow.clip_dim),
            ("text width", params.text_width, flow.text_dim),
        )
    elif isinstance(params, (SynchformerParams, SyncHeadParams)):
        checks = (("width", params.width, flow.sync_dim),)
    else:
        return "it is a flow network itself"
    faults = [f"{what} {got}, expected {want}" for what, got, want in checks if got != want]
    return "; ".join(faults) or None


class Catalog:
    """A user's weights files."""

    def __init__(
        self,
        files: Sequence[tuple[str, Path]],
        identify: Callable[[Path], Sequence[Part]] = identify,
    ) -> None:
        """Identify ``files``, given as pairs of the name shown to the user and the path.

        Args:
            identify: as the function of that name.
        """
        self._parts: list[tuple[str, Part]] = []
        self._unusable: dict[str, str] = {}
        for name, path in sorted(files):
            try:
                self._parts += [(name, part) for part in identify(path)]
            except CheckpointError as error:
                self._unusable[name] = str(error)

    @property
    def unusable(self) -> Mapping[str, str]:
        """The files that hold no network, by name: why."""
        return self._unusable

    def names(self, kind: PartKind) -> list[str]:
        """Names of the files that hold a part of that kind."""
        return [name for name, part in self._parts if part.kind is kind]

    def bundle(
        self,
        model: str,
        *,
        dtype: torch.dtype,
        chosen: Mapping[PartKind, str] | None = None,
    ) -> Bundle:
        """Find a complete set of parts; synthetic and real weights are never mixed.

        Args:
            model: name of a published variant, or of a file with a flow network.
            dtype: preferred if several files fit; then the first by name is taken.
            chosen: names of the files to use instead of searching, by kind.

        Raises:
            MissingPartsError: no file fits; lists the published ones that would.
            CheckpointError: a chosen file does not exist, is of another kind, or does not fit.
        """
        published = model in VARIANTS
        flow = self._variant(model, dtype) if published else self._find(PartKind.FLOW, model)
        params = flow.params if flow else VARIANTS[model].params
        assert isinstance(params, FlowParams)
        synthetic = flow is not None and flow.synthetic is not None

        found = {PartKind.FLOW: flow}
        for kind in MODEL_PARTS:
            if kind is not PartKind.FLOW:
                name = (chosen or {}).get(kind)
                found[kind] = (
                    self._fitting(kind, params, dtype, synthetic=synthetic)
                    if name is None
                    else self._chosen(kind, name, params)
                )
        parts = {kind.value: part for kind, part in found.items() if part is not None}
        if len(parts) == len(found):
            head = self._sync_head(parts["synchformer"], params, dtype)
            return Bundle(**parts, sync_head=head)
        variant = model if published else flow and variant_of(flow)
        raise self._missing(model, variant, [kind for kind in found if found[kind] is None])

    def _variant(self, variant: str, dtype: torch.dtype) -> Part | None:
        """The flow network of a published variant, real weights before synthetic ones."""
        flows = [part for _, part in self._parts if part.kind is PartKind.FLOW]
        matches = [part for part in flows if variant_of(part) == variant]
        return _prefer(dtype, [part for part in matches if part.synthetic is None] or matches)

    def _fitting(
        self, kind: PartKind, flow: FlowParams, dtype: torch.dtype, *, synthetic: bool
    ) -> Part | None:
        return _prefer(dtype, self._fits(kind, flow, synthetic=synthetic))

    def _fits(self, kind: PartKind, flow: FlowParams, *, synthetic: bool) -> list[Part]:
        return [
            part
            for _, part in self._parts
            if part.kind is kind
            and misfit(flow, part.params) is None
            and (part.synthetic is not None) == synthetic
        ]

    def _sync_head(self, synchformer: Part, flow: FlowParams, dtype: torch.dtype) -> Part | None:
        """The head of Synchformer's own file, else one from another copy of it."""
        fits = self._fits(PartKind.SYNC_HEAD, flow, synthetic=synchformer.synthetic is not None)
        own = [part for part in fits if part.path == synchformer.path]
        return _prefer(dtype, own or fits)

    def _chosen(self, kind: PartKind, name: str, flow: FlowParams) -> Part:
        part = self._find(kind, name)
        reason = misfit(flow, part.params)
        if reason is not None:
            message = f"{name} does not fit the flow network: {reason}"
            raise CheckpointError(message, Problem.WRONG_PART)
        return part

    def _find(self, kind: PartKind, name: str) -> Part:
        """The part of that kind in the file called ``name``."""
        for known, part in self._parts:
            if known == name and part.kind is kind:
                return part
        expected = f"expected a {kind.title}"
        others = [part.looks_like for known, part in self._parts if known == name]
        if name in self._unusable:
            message = f"{self._unusable[name]} ({expected})"
        elif others:
            message = f"{name} looks like {' and '.join(others)}; {expected}"
        else:
            have = ", ".join(self.names(kind)) or "none"
            message = f"there is no file {name}; {expected}. Files of that kind: {have}"
        # only the other parts can be searched for instead
        is_flow = kind is PartKind.FLOW
        raise CheckpointError(message, Problem.WRONG_WEIGHTS if is_flow else Problem.WRONG_PART)

    def _missing(
        self, model: str, variant: str | None, kinds: Sequence[PartKind]
    ) -> MissingPartsError:
        files = [f for f in files_for(variant) if f.kind in kinds] if variant else []
        lines = [f"{model}: no file found for its {', '.join(kind.title for kind in kinds)}."]
        lines += [f"  {file.describe()}" for file in files]
        if not files:
            lines.append("It matches no published variant, so no download is known for it.")
        misfits = [
            f"{name} looks like {part.looks_like}"
            + (" (synthetic weights)" if part.synthetic else "")
            for name, part in self._parts
            if part.kind in kinds
        ]
        lines += _some("Found, but does not fit: ", misfits)
        lines += _some("Found, but not usable: ", list(self._unusable.values()))
        return MissingPartsError("\n".join(lines), files)


def _some(prefix: str, reasons: Sequence[str]) -> list[str]:
    """A line for each reason, as many as one reads."""
    more = len(reasons) - _MAX_REASONS
    lines = [f"{prefix}{reason}" for reason in reasons[:_MAX_REASONS]]
    return [*lines, f"... and {more} more"] if more > 0 else lines


def _prefer(dtype: torch.dtype, parts: Sequence[Part]) -> Part | None:
    return next((part for part in parts if part.dtype == dtype), parts[0] if parts else None)
