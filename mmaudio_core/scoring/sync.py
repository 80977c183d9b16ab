"""How far apart sound and picture are, by Synchformer's synchronisation head.

The head looks at windows of 14 segments (4.8 s) and names one of 21 offsets from -2 to 2 s, 0.2 s
apart (Iashin et al., arXiv 2401.16423). The authors count seconds by which the sound comes too
early; here they are those by which it is late, as in ``TakeScores``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..audio.channels import mix_to_mono
from ..audio.resample import resample
from ..audio.sync_mel import (
    SEGMENT_SAMPLES,
    SEGMENT_STEP_SAMPLES,
    SYNC_RATE,
    segment_count,
    sync_mel,
)
from ..audio.waveform import check_finite_samples
from ..checkpoint import NoSyncHeadError, PartKind
from ..config import SEGMENT_TOKENS
from ..errors import MMAudioError, Problem
from ..models.synchformer import WINDOW_SEGMENTS, SyncHead
from ..progress import Progress, no_progress, tick_on_forward
from ..providers import LoadedModel, ModelProvider, check_finite

SYNC_SCORE_STAGE = "sync score"
SEGMENT_SECONDS = SEGMENT_SAMPLES / SYNC_RATE
STEP_SECONDS = SEGMENT_STEP_SAMPLES / SYNC_RATE
WINDOW_SECONDS = (WINDOW_SEGMENTS - 1) * STEP_SECONDS + SEGMENT_SECONDS
"""4.8 s."""
_WINDOW_STEP = 3
"""Segments from one window to the next: 0.96 s."""
_SILENCE = "the sound is silent"
_SILENT = 1e-4
"""Peak (-80 dB) below which there is nothing to hear; the head would still name an offset."""
_SEGMENT_BATCH, _WINDOW_BATCH = 128, 40  # a batch of windows has fewer tokens
_SEGMENT_TOKENS = 74
_LIVE_TENSORS = 14  # of (tokens, width), at the peak of a block


@dataclass(frozen=True, kw_only=True)
class SyncScore:
    """How one take goes together with the picture.

    Windows in which there is nothing to hear are left out.

    Attributes:
        desync: the published DeSync score: mean of the distances, in seconds, of the first and the
            last window; 0 is best. None if it was not measured.
        sync_offset: median of ``offsets``: seconds by which the sound is late (below 0: early).
        offsets: the same for each window.
        times: middle of each window, in seconds.
        reason: why nothing was measured.
    """

    desync: float | None = None
    sync_offset: float | None = None
    offsets: tuple[float, ...] = ()
    times: tuple[float, ...] = ()
    reason: str | None = None


def score_sync(
    networks: ModelProvider,
    sync: Tensor | None,
    waveforms: Tensor,
    sample_rate: int,
    progress: Progress = no_progress,
) -> list[SyncScore]:
    """Compare takes with the picture; both begin at the same time.

    Where one is longer, its end is left out.

    Args:
        networks: provides the synchronisation head, which is loaded only if there is something to
            measure.
        sync: (1, S, sync_dim) Synchformer's features of the picture; None without a video.
        waveforms: (takes, channels, T) samples.
        sample_rate: in Hz.
        progress: called at least once per transformer block.

    Raises:
        MMAudioError: the features are not those of this model.
        MediaError: a sample is NaN or infinite.
        NumericsError: the network produced NaN or infinity.
        CheckpointError: the head's weights cannot be read.
    """
    takes = len(waveforms)
    if sync is None:
        reason = "there is no video to compare with: the features hold no sync features"
        return [SyncScore(reason=reason)] * takes
    check_finite_samples(waveforms)
    seconds = waveforms.shape[-1] / sample_rate
    pictures = sync.shape[1] // SEGMENT_TOKENS
    sounds = segment_count(round(seconds * SYNC_RATE))
    count = min(pictures, sounds)
    if count < WINDOW_SEGMENTS:
        return [SyncScore(reason=_too_short(seconds, pictures, sounds))] * takes
    used = waveforms[..., : math.ceil(_seconds(count) * sample_rate)]
    mono = [resample(mix_to_mono(take)[None], sample_rate, SYNC_RATE) for take in used]
    samples = _fitted(mono, count)
    windows = _audible_windows(samples, window_starts(count))
    if not windows:
        return [SyncScore(reason=_SILENCE)] * takes
    try:
        head = networks.acquire(PartKind.SYNC_HEAD, _bytes(networks, takes * count))
    except NoSyncHeadError as error:
        return [SyncScore(reason=str(error))] * takes
    _check_features(sync, head)
    measured: list[dict[int, float]] = [{} for _ in range(takes)]
    for (take, start), offset in zip(
        windows, _offsets(head, sync, samples, windows, progress), strict=True
    ):
        measured[take][start] = offset
    return [_score(offsets) for offsets in measured]


def _score(measured: Mapping[int, float]) -> SyncScore:
    """The score of a take from the offset of each window, by its first segment."""
    if not measured:
        return SyncScore(reason=_SILENCE)
    offsets = tuple(measured.values())
    return SyncScore(
        desync=(abs(offsets[0]) + abs(offsets[-1])) / 2,
        sync_offset=statistics.median(offsets),
        offsets=offsets,
        times=tuple(round(start * STEP_SECONDS + WINDOW_SECONDS / 2, 3) for start in measured),
    )


def window_starts(count: int) -> list[int]:
    """First segments of the windows of ``count`` segments; the first and the last are included."""
    last = count - WINDOW_SEGMENTS
    return sorted({*range(0, last, _WINDOW_STEP), last})


def _seconds(count: int) -> float:
    """How long ``count`` segments are."""
    return (count - 1) * STEP_SECONDS + SEGMENT_SECONDS


def _too_short(seconds: float, pictures: int, sounds: int) -> str:
    if sounds < WINDOW_SEGMENTS:
        got = f"the sound is {seconds:.2f} s long"
    else:
        got = f"the picture's sync features cover {_seconds(pictures) if pictures else 0:.2f} s"
    return f"{got}, expected at least {WINDOW_SECONDS:g} s"


def _check_features(sync: Tensor, head: LoadedModel) -> None:
    assert isinstance(head.network, SyncHead)
    width = head.network.params.width
    if sync.shape[-1] != width:
        raise MMAudioError(
            f"got sync features of width {sync.shape[-1]}, expected {width} for {head.name}",
            Problem.FEATURE_WIDTH,
        )


def _bytes(networks: ModelProvider, segments: int) -> int:
    """Memory for the activations of the largest batch."""
    tokens = min(_SEGMENT_BATCH, segments) * _SEGMENT_TOKENS
    values = tokens * networks.params.sync_dim * _LIVE_TENSORS
    return values * networks.compute_dtype(PartKind.SYNC_HEAD).itemsize


def _fitted(mono: Sequence[Tensor], count: int) -> Tensor:
    """(takes, samples of ``count`` segments), cut or padded to them."""
    fitted = torch.zeros(len(mono), SEGMENT_SAMPLES + (count - 1) * SEGMENT_STEP_SAMPLES)
    for row, waveform in zip(fitted, mono, strict=True):
        length = min(len(row), waveform.shape[1])
        row[:length] = waveform[0, :length]
    return fitted


def _audible_windows(samples: Tensor, starts: Sequence[int]) -> list[tuple[int, int]]:
    """Take and first segment of each window in which there is something to hear."""
    steps = torch.unflatten(samples, 1, (-1, SEGMENT_STEP_SAMPLES))
    loud = torch.maximum(steps.amax(dim=2), -steps.amin(dim=2)) >= _SILENT
    steps_of_window = WINDOW_SEGMENTS + 1  # a segment is two steps long
    return [
        (take, start)
        for take in range(len(samples))
        for start in starts
        if loud[take, start : start + steps_of_window].any()
    ]


def _offsets(
    head: LoadedModel,
    sync: Tensor,
    samples: Tensor,
    windows: Sequence[tuple[int, int]],
    progress: Progress,
) -> list[float]:
    """By how many seconds the sound is late in each window."""
    network = head.network
    assert isinstance(network, SyncHead)
    segments = samples.unfold(1, SEGMENT_SAMPLES, SEGMENT_STEP_SAMPLES)
    takes, count = len(segments), segments.shape[1]
    total, done = takes * count + len(windows), 0

    def batches(indices: Tensor, size: int, run: Callable[[Tensor], Tensor]) -> Tensor:
        nonlocal done
        parts: list[Tensor] = []
        for batch in torch.split(indices, size):
            parts.append(run(batch).float().cpu())
            done += len(batch)
        return torch.cat(parts)

    def encode(batch: Tensor) -> Tensor:
        mel = sync_mel(segments[batch // count, batch % count])
        return network.encode_segments(mel.to(head.device), dtype=head.dtype)

    def compare(batch: Tensor) -> Tensor:
        within = batch[:, 1:] + torch.arange(WINDOW_SEGMENTS)
        visual = pictures[within].flatten(1, 2).to(head.device)
        audio = sounds[batch[:, :1], within].flatten(1, 2).to(head.device)
        return network.offset_logits(visual, audio, dtype=head.dtype)

    pictures = torch.unflatten(sync[0].float().cpu(), 0, (-1, SEGMENT_TOKENS))
    with torch.no_grad(), tick_on_forward(network, lambda: progress(SYNC_SCORE_STAGE, done, total)):
        sounds = batches(torch.arange(takes * count), _SEGMENT_BATCH, encode)
        sounds = torch.unflatten(sounds, 0, (takes, count))
        logits = check_finite(
            batches(torch.tensor(windows), _WINDOW_BATCH, compare), SYNC_SCORE_STAGE, head
        )
    progress(SYNC_SCORE_STAGE, total, total)
    early = network.params.seconds[logits.argmax(dim=1)]
    return [round(-float(seconds), 3) + 0.0 for seconds in early]  # no -0.0
