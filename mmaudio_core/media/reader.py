"""The frames for CLIP (8 a second) and Synchformer (25 a second), a few seconds at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from ..progress import Progress, no_progress
from .decode import decode_frames
from .frame import Frame
from .mask import CLIP_NEUTRAL, SYNC_NEUTRAL, MaskBlend, Masks
from .resize import CLIP_SIZE, SYNC_SIZE, for_clip, for_sync
from .source import ImageSequence, VideoSource
from .timestamps import CLIP_RATE, SYNC_RATE, first_output, whole_frames


@dataclass(frozen=True, kw_only=True)
class FrameChunk:
    """Consecutive frames of the two streams.

    Args:
        clip: (v, 3, 384, 384) uint8, 8 a second.
        sync: (s, 3, 224, 224) uint8, 25 a second.
    """

    clip: Tensor
    sync: Tensor


@dataclass(frozen=True, kw_only=True)
class _Format:
    """What one encoder is shown: frames a second, their size, how they come to it."""

    rate: int
    size: int
    resize: Callable[[Tensor], Tensor]
    neutral: tuple[int, int, int]


_CLIP = _Format(rate=CLIP_RATE, size=CLIP_SIZE, resize=for_clip, neutral=CLIP_NEUTRAL)
_SYNC = _Format(rate=SYNC_RATE, size=SYNC_SIZE, resize=for_sync, neutral=SYNC_NEUTRAL)


class FrameReader:
    """Iterate over it, once, to get the frames; never more than a chunk of them is in memory.

    Args:
        source: a file, or images with a frame rate.
        start: where time 0 of the output lies, in seconds after the first frame shown.
        duration: seconds wanted; None means to the end.
        clip, sync: False leaves out that stream and the work for it.
        masks: what of each source frame may be seen; None means all of it.
        chunk_seconds: seconds of video in a chunk.
        progress: called at every source frame as ("frames", done, total), in 25ths of a second;
            total is unknown, and equals done, where no duration is wanted.

    Raises:
        MediaError: while iterating, when the file cannot be read or nothing in it decodes.
    """

    def __init__(
        self,
        source: VideoSource | ImageSequence,
        *,
        start: Fraction = Fraction(0),
        duration: Fraction | None = None,
        clip: bool = True,
        sync: bool = True,
        masks: Masks | None = None,
        chunk_seconds: int = 8,
        progress: Progress = no_progress,
    ) -> None:
        self._source = source
        self._start = start
        self._wanted = duration
        self._clip = clip
        self._sync = sync
        self._veil = None if masks is None else MaskBlend(masks)
        self._chunk_seconds = chunk_seconds
        self._progress = progress
        self._duration: Fraction | None = None

    @property
    def duration(self) -> Fraction:
        """Seconds really there: what was wanted, cut at the end of the last decoded frame.

        The chunks hold ``int(8 * duration)`` and ``int(25 * duration)`` frames in all.

        Raises:
            RuntimeError: when read before the last chunk was.
        """
        if self._duration is None:
            raise RuntimeError("FrameReader.duration is known once every chunk was read")
        return self._duration

    def __iter__(self) -> Iterator[FrameChunk]:
        chunks = _Chunks(self._chunk_seconds, clip=self._clip, sync=self._sync)
        shown: _Shown | None = None
        last = end = Fraction(0)
        for picture in decode_frames(self._source, self._start):
            time = picture.time - self._start
            if time >= last:
                last, end = time, picture.end_time - self._start
            certain = time if self._wanted is None else min(time, self._wanted)
            if shown is not None:
                yield from chunks.up_to(certain, shown)
                chunks.show(time, shown)
            self._report(certain)
            if self._wanted is not None and time >= self._wanted:
                break
            shown = _Shown(picture, self._veil)
        duration = end if self._wanted is None else min(end, self._wanted)
        if shown is not None:
            yield from chunks.up_to(duration, shown)
            yield from chunks.last(duration, shown)
        self._duration = duration

    def _report(self, time: Fraction) -> None:
        done = max(0, whole_frames(time, SYNC_RATE))
        total = done if self._wanted is None else whole_frames(self._wanted, SYNC_RATE)
        self._progress("frames", done, total)


class _Shown:
    """The source frame on show: converted and resized at most once, and only when picked."""

    def __init__(self, picture: Frame, veil: MaskBlend | None) -> None:
        self._picture = picture
        self._veil = veil
        self._rgb: Tensor | None = None
        self._resized: dict[int, Tensor] = {}

    def resized(self, form: _Format) -> Tensor:
        if form.size not in self._resized:
            if self._rgb is None:
                self._rgb = self._picture.rgb()
            rgb = self._rgb
            if self._veil is not None:
                rgb = self._veil(rgb, self._picture.time, form.neutral)
            self._resized[form.size] = form.resize(rgb)
        return self._resized[form.size]


class _Stream:
    """One output stream: counts its frames and fills the chunk in the making."""

    def __init__(self, form: _Format, seconds: int) -> None:
        self.form = form
        self._capacity = form.rate * seconds
        self._chunk: Tensor | None = None
        self._taken = 0  # frames in the chunks before this one
        self._filled = 0  # frames in this one

    def show(self, until: int, shown: _Shown) -> None:
        """Put ``shown`` into every output frame not yet made whose number is below ``until``."""
        filled = min(until - self._taken, self._capacity)
        if filled <= self._filled:
            return
        if self._chunk is None:
            self._chunk = self._frames(self._capacity)
        # By numpy, on this thread: torch would wait for threads that the decoder keeps busy.
        self._chunk.numpy()[self._filled : filled] = shown.resized(self.form).numpy()
        self._filled = filled

    def take(self, until: int) -> Tensor:
        """The frames of this chunk whose number is below ``until``."""
        count = max(0, min(self._filled, until - self._taken))
        chunk = self._frames(0) if self._chunk is None else self._chunk[:count]
        self._taken += count
        self._filled = 0
        self._chunk = None
        return chunk

    def _frames(self, count: int) -> Tensor:
        return torch.empty((count, 3, self.form.size, self.form.size), dtype=torch.uint8)


class _Chunks:
    """Both streams, cut at the same times.

    A frame on show until ``time`` decides every output frame below ``first_output(time)``. The
    last of these may still lie past the video's end, by rounding, if the video ends right there;
    it always falls into the chunk that ``time`` lies in. So a chunk goes out once a frame at or
    after its end was seen, and the last one is cut to the length then known.
    """

    def __init__(self, seconds: int, *, clip: bool, sync: bool) -> None:
        self._clip = _Stream(_CLIP, seconds)
        self._sync = _Stream(_SYNC, seconds)
        asked = ((self._clip, clip), (self._sync, sync))
        self._streams = [stream for stream, wanted in asked if wanted]
        self._seconds = seconds
        self._boundary = seconds

    def show(self, time: Fraction, shown: _Shown) -> None:
        """``shown`` is on show until ``time``."""
        for stream in self._streams:
            stream.show(first_output(time, stream.form.rate), shown)

    def up_to(self, time: Fraction, shown: _Shown) -> Iterator[FrameChunk]:
        """The chunks that end at or before ``time``, with ``shown`` on show until then."""
        while time >= self._boundary:
            for stream in self._streams:
                stream.show(stream.form.rate * self._boundary, shown)
            yield self._take(Fraction(self._boundary))
            self._boundary += self._seconds

    def last(self, duration: Fraction, shown: _Shown) -> Iterator[FrameChunk]:
        """What is left of a video that ends at ``duration``; nothing if not one frame is."""
        for stream in self._streams:
            stream.show(whole_frames(duration, stream.form.rate), shown)
        chunk = self._take(duration)
        if len(chunk.clip) or len(chunk.sync):
            yield chunk

    def _take(self, time: Fraction) -> FrameChunk:
        return FrameChunk(
            clip=self._clip.take(whole_frames(time, CLIP_RATE)),
            sync=self._sync.take(whole_frames(time, SYNC_RATE)),
        )
