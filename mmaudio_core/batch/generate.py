"""Second stage, on the device: from frames and prompts to sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from torch import Tensor

from ..codec.decode import decode
from ..features.text import encode_prompts
from ..features.types import Features, VisualFeatures
from ..features.video import encode_image, encode_video
from ..features.visual import VideoClip, extract_visual_features
from ..media import FrameChunk
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from ..sampling.clips import are_alike, check_latents, sample_clips
from ..sampling.sample import sample
from ..scoring.rank import ScoreWeights, rank
from ..scoring.score import score_takes
from .batches import Batch
from .decode import time_range
from .inputs import open_video
from .item import Item
from .stages import DecodedItem, Failure, GeneratedSound, caught, timed

STAGE = "generate"
_WEIGHTS = ScoreWeights()


@dataclass(frozen=True, kw_only=True)
class _HeldFrames:
    """Frames that were decoded before."""

    chunks: tuple[FrameChunk, ...]
    duration: Fraction

    def __iter__(self) -> Iterator[FrameChunk]:
        return iter(self.chunks)


@dataclass(frozen=True, kw_only=True)
class _Encoded:
    """An item's features, what came with them, and the seconds that it took so far."""

    features: Features
    decoded: DecodedItem
    notes: tuple[str, ...]
    seconds: dict[str, float]


def generate(
    networks: ModelProvider,
    batch: Batch,
    decoded: Mapping[int, DecodedItem],
    progress: Progress = no_progress,
) -> dict[int, GeneratedSound | Failure]:
    """The sound of some or all items of a batch.

    An item's sound depends on the item, on its place in the batch and on the size of the batch.
    The places of items that are not given, or turn out to be of another length, are filled with
    another item's features, whose sound is dropped.

    Args:
        networks: provides the five networks. Its feature cache should be empty and stay so:
            what it holds decides which frames are encoded together, and so the last bits.
        batch: from ``plan_batches``.
        decoded: by place in the batch, from 0.
        progress: called at least once per block of every network.

    Returns:
        For each place given, its sound, or why there is none.
    """
    results: dict[int, GeneratedSound | Failure] = {}
    encoded: dict[int, _Encoded] = {}
    for place, frames in decoded.items():
        item = batch.items[place]
        found = caught(STAGE, lambda i=item, f=frames: _encode(networks, i, f, progress))
        if isinstance(found, Failure):
            results[place] = found
        else:
            encoded[place] = found
    for place, latents in _sample(networks, batch, encoded, progress).items():
        if isinstance(latents, Failure):
            results[place] = latents
        else:
            results[place] = caught(
                STAGE,
                lambda i=batch.items[place], e=encoded[place], z=latents: _finish(
                    networks, i, e, z, progress
                ),
            )
    return results


def _encode(
    networks: ModelProvider, item: Item, frames: DecodedItem, progress: Progress
) -> _Encoded:
    seconds = dict(frames.seconds)
    with timed(seconds, "features"):
        visual, notes = _encode_picture(networks, item, frames, progress)
        options = item.options
        text = encode_prompts(networks, options.prompt, options.negative, progress)
        features = Features.join(visual, text)
    return _Encoded(features=features, decoded=frames, notes=notes, seconds=seconds)


def _encode_picture(
    networks: ModelProvider, item: Item, frames: DecodedItem, progress: Progress
) -> tuple[VisualFeatures, tuple[str, ...]]:
    if frames.chunks is not None:
        held = _HeldFrames(chunks=frames.chunks, duration=frames.duration)
        return encode_video(networks, held, frames.duration, progress).visual, frames.notes
    clip = None if item.video is None else VideoClip(source=open_video(item.video))
    if frames.image is not None:
        clip = None
    result = extract_visual_features(
        networks,
        clip,
        replace(time_range(item), mask_away_clip=item.options.mask_away_clip and clip is not None),
        progress,
    )
    visual = result.features
    if frames.image is not None and not item.options.mask_away_clip:
        visual = replace(visual, clip=encode_image(networks, frames.image, progress))
    return visual, (*frames.notes, *result.notices)


def _sample(
    networks: ModelProvider, batch: Batch, encoded: Mapping[int, _Encoded], progress: Progress
) -> dict[int, Tensor | Failure]:
    """Latents (takes, N, latent_dim) of each place.

    Whether an item shares its batch depends on the item alone, see ``_shares``.
    """
    shared = {place: e for place, e in encoded.items() if _shares(batch, e.features)}
    results: dict[int, Tensor | Failure] = {
        place: caught(STAGE, lambda p=place, e=e: _sample_alone(networks, batch, p, e, progress))
        for place, e in encoded.items()
        if place not in shared
    }
    if not shared:
        return results
    together = caught(STAGE, lambda: _sample_shared(networks, batch, shared, progress))
    if isinstance(together, Failure):  # which of them is to blame is found one by one
        for place, e in shared.items():
            one = caught(
                STAGE, lambda p=place, e=e: _sample_shared(networks, batch, {p: e}, progress)
            )
            results[place] = one if isinstance(one, Failure) else one[place]
    else:
        results |= together
    return {
        place: found
        if isinstance(found, Failure)
        else caught(STAGE, lambda z=found: check_latents(networks, z))
        for place, found in results.items()
    }


def _shares(batch: Batch, features: Features) -> bool:
    """Whether an item is what its batch was planned for: as long as requested, a moving picture."""
    if len(batch.items) == 1:
        return False
    options = batch.items[0].options
    has_video = batch.items[0].video is not None
    return (
        features.duration == options.duration
        and (features.sync is not None) == has_video
        and (features.clip is not None) == (has_video and not options.mask_away_clip)
    )


def _sample_alone(
    networks: ModelProvider, batch: Batch, place: int, encoded: _Encoded, progress: Progress
) -> Tensor:
    options = batch.items[place].options
    with timed(encoded.seconds, "sampling"):
        return sample(
            networks,
            encoded.features,
            options.seeds,
            steps=options.steps,
            cfg=options.cfg,
            progress=progress,
        )


def _sample_shared(
    networks: ModelProvider, batch: Batch, encoded: Mapping[int, _Encoded], progress: Progress
) -> dict[int, Tensor | Failure]:
    """Latents of the items given, each in its place of a batch of the full size."""
    first = next(iter(encoded))
    assert all(are_alike(encoded[first].features, e.features) for e in encoded.values())
    options = batch.items[first].options
    places = [place if place in encoded else first for place in range(len(batch.items))]
    seconds: dict[str, float] = {}
    with timed(seconds, "sampling"):
        latents = sample_clips(
            networks,
            [encoded[place].features for place in places],
            [batch.items[place].options.seeds for place in places],
            steps=options.steps,
            cfg=options.cfg,
            progress=progress,
        )
    for e in encoded.values():
        e.seconds["sampling"] = seconds["sampling"] / len(encoded)
    return {place: latents[place] for place in encoded}


def _finish(
    networks: ModelProvider, item: Item, encoded: _Encoded, latents: Tensor, progress: Progress
) -> GeneratedSound:
    """Decode the takes, and choose among them if that is asked for."""
    options, rate = item.options, networks.params.audio.sample_rate
    with timed(encoded.seconds, "sound"):
        waveforms = decode(networks, latents, encoded.features.duration, progress)
    kept = list(range(options.takes))
    scores: list[Mapping[str, float | None]] = []
    unmeasured: list[Mapping[str, str]] = []
    if options.score or options.best_of > options.takes:
        with timed(encoded.seconds, "scores"):
            found = score_takes(
                networks,
                encoded.features,
                waveforms,
                rate,
                _WEIGHTS,
                latents=latents,
                progress=progress,
            )
        ranking = rank(found, _WEIGHTS)
        if options.best_of > options.takes:
            kept = list(ranking.order[: options.takes])
        scores = [{**found[take].values(), "total": ranking.totals[take]} for take in kept]
        unmeasured = [found[take].unmeasured for take in kept]
    return GeneratedSound(
        waveforms=waveforms[kept],
        sample_rate=rate,
        seeds=tuple(options.seeds[take] for take in kept),
        scores=tuple(scores),
        unmeasured=tuple(unmeasured),
        input=encoded.decoded.input,
        notes=encoded.notes,
        seconds=encoded.seconds,
    )
