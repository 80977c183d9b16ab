"""The frames for CLIP (8 per second) and Synchformer (25 per second), a few seconds at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from ..config import CLIP_FPS, SYNC_FPS
from ..progress import Progress, no_progress
from .input_file import PathOrBytes
from .mask import CLIP_NEUTRAL, SYNC_NEUTRAL, MaskBlend, Masks
from .open import open_source
from .resize import CLIP_SIZE, SYNC_SIZE, resize_for_clip, resize_for_sync
from .source import Frame, FrameSource
from .timestamps import first_frame_showing, whole_frames


@dataclass(frozen=True, kw_only=True)
class FrameChunk:
    """Consecutive frames of the two streams.

    Attributes:
        clip: (v, 3, 384, 384) uint8, 8 per second.
        sync: (s, 3, 224, 224) uint8, 25 per second.
    """

    clip: Tensor
    sync: Tensor


@dataclass(frozen=True, kw_only=True)
class _StreamFormat:
    """The frames that one encoder takes."""

    rate: int
    size: int
    resize: Callable[[Tensor], Tensor]
    neutral: tuple[int, int, int]


_CLIP = _StreamFormat(rate=CLIP_FPS, size=CLIP_SIZE, resize=resize_for_clip, neutral=CLIP_NEUTRAL)
_SYNC = _StreamFormat(rate=SYNC_FPS, size=SYNC_SIZE, resize=resize_for_sync, neutral=SYNC_NEUTRAL)


class FrameReader:
    """Iterate over it, once, to get chunks of frames; only one chunk is in memory at a time.

    Args:
        source: the video or images.
        start: where time 0 of the output lies, in seconds after the first frame shown.
        duration: seconds wanted; None means to the end.
        clip, sync: False leaves out that stream and its work.
        masks: what of the source frames is visible; None means all of it.
        chunk_seconds: seconds of video in a chunk.
        progress: called at every source frame as ("frames", done, total), in units of 1/25 s; if
            no duration is given, total is unknown and equals done.

    Raises:
        MediaError: while iterating, if the file cannot be read or nothing in it decodes.
    """

    def __init__(
        self,
        source: PathOrBytes | FrameSource,
        *,
        start: Fraction = Fraction(0),
        duration: Fraction | None = None,
        clip: bool = True,
        sync: bool = True,
        masks: Masks | None = None,
        chunk_seconds: int = 8,
        progress: Progress = no_progress,
    ) -> None:
        self._source = open_source(source)
        self._start = start
        self._limit = duration
        self._clip = clip
        self._sync = sync
        self._blend = None if masks is None else MaskBlend(masks)
        self._chunk_seconds = chunk_seconds
        self._progress = progress
        self._duration: Fraction | None = None

    @property
    def duration(self) -> Fraction:
        """Seconds read: the duration wanted, cut at the end of the last decoded frame.

        The chunks hold ``int(8 * duration)`` and ``int(25 * duration)`` frames in all.

        Raises:
            RuntimeError: before the last chunk has been read.
        """
        if self._duration is None:
            raise RuntimeError("FrameReader.duration is known once every chunk has been read")
        return self._duration

    def __iter__(self) -> Iterator[FrameChunk]:
        chunks = _Chunks(self._chunk_seconds, clip=self._clip, sync=self._sync)
        current: _CurrentFrame | None = None
        latest = end = Fraction(0)
        for frame in self._source.frames(self._start):
            time = frame.time - self._start
            if time >= latest:
                latest, end = time, frame.end_time - self._start
            until = time if self._limit is None else min(time, self._limit)
            if current is not None:
                yield from chunks.complete(until, current)
                chunks.show(current, time)
            self._report(until)
            if self._limit is not None and time >= self._limit:
                break
            current = _CurrentFrame(frame, self._blend)
        duration = end if self._limit is None else min(end, self._limit)
        if current is not None:
            yield from chunks.complete(duration, current)
            yield from chunks.last(duration, current)
        self._duration = duration

    def _report(self, time: Fraction) -> None:
        done = max(0, whole_frames(time, SYNC_FPS))
        total = done if self._limit is None else whole_frames(self._limit, SYNC_FPS)
        self._progress("frames", done, total)


class _CurrentFrame:
    """The source frame being shown: converted and resized at most once, and only if picked."""

    def __init__(self, frame: Frame, blend: MaskBlend | None) -> None:
        self._frame = frame
        self._blend = blend
        self._rgb: Tensor | None = None
        self._resized: dict[int, Tensor] = {}

    def resized(self, form: _StreamFormat) -> Tensor:
        if form.size not in self._resized:
            if self._rgb is None:
                self._rgb = self._frame.rgb()
            rgb = self._rgb
            if self._blend is not None:
                rgb = self._blend(rgb, self._frame.time, form.neutral)
            self._resized[form.size] = form.resize(rgb)
        return self._resized[form.size]


class _Stream:
    """One output stream: fills the current chunk and counts its frames."""

    def __init__(self, form: _StreamFormat, seconds: int) -> None:
        self.form = form
        self._capacity = form.rate * seconds
        self._chunk: Tensor | None = None
        self._offset = 0  # frames in the chunks before this one
        self._filled = 0  # frames in this one

    def show(self, current: _CurrentFrame, end: int) -> None:
        """Put ``current`` into every output frame from the first unfilled one up to ``end``."""
        filled = min(end - self._offset, self._capacity)
        if filled <= self._filled:
            return
        if self._chunk is None:
            self._chunk = self._empty(self._capacity)
        # By numpy, on this thread: torch would wait for threads that the decoder keeps busy.
        self._chunk.numpy()[self._filled : filled] = current.resized(self.form).numpy()
        self._filled = filled

    def take(self, end: int) -> Tensor:
        """This chunk's frames up to output frame ``end``; the next chunk begins there."""
        count = max(0, min(self._filled, end - self._offset))
        chunk = self._empty(0) if self._chunk is None else self._chunk[:count]
        if count < self._capacity:  # a part would keep all of it in memory, or in its pickle
            chunk = chunk.clone()
        self._offset += count
        self._filled = 0
        self._chunk = None
        return chunk

    def _empty(self, count: int) -> Tensor:
        return torch.empty((count, 3, self.form.size, self.form.size), dtype=torch.uint8)


class _Chunks:
    """Both streams, cut at the same times.

    A frame shown until ``time`` decides every output frame below ``first_frame_showing(time)``.
    The last of these may still lie past the video's end, by rounding, if the video ends right
    there; it always falls into the chunk that ``time`` lies in. So a chunk goes out once a frame at
    or after its end has come, and the last one is cut to the length then known.
    """

    def __init__(self, seconds: int, *, clip: bool, sync: bool) -> None:
        self._clip = _Stream(_CLIP, seconds)
        self._sync = _Stream(_SYNC, seconds)
        enabled = ((self._clip, clip), (self._sync, sync))
        self._streams = [stream for stream, wanted in enabled if wanted]
        self._seconds = seconds
        self._boundary = seconds

    def show(self, current: _CurrentFrame, time: Fraction) -> None:
        """Show ``current`` until ``time``."""
        for stream in self._streams:
            stream.show(current, first_frame_showing(time, stream.form.rate))

    def complete(self, time: Fraction, current: _CurrentFrame) -> Iterator[FrameChunk]:
        """The chunks that end at or before ``time``, with ``current`` shown until then."""
        while time >= self._boundary:
            for stream in self._streams:
                stream.show(current, stream.form.rate * self._boundary)
            yield self._take(Fraction(self._boundary))
            self._boundary += self._seconds

    def last(self, duration: Fraction, current: _CurrentFrame) -> Iterator[FrameChunk]:
        """The rest of a video that ends at ``duration``, if there is at least one frame in it."""
        for stream in self._streams:
            stream.show(current, whole_frames(duration, stream.form.rate))
        chunk = self._take(duration)
        if len(chunk.clip) or len(chunk.sync):
            yield chunk

    def _take(self, time: Fraction) -> FrameChunk:
        return FrameChunk(
            clip=self._clip.take(whole_frames(time, CLIP_FPS)),
            sync=self._sync.take(whole_frames(time, SYNC_FPS)),
        )
