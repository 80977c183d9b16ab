"""Encoding a part of a video, or images, in step with the audio."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import torch
from av.container import OutputContainer
from torch import Tensor

from ..config import SYNC_FPS
from ..media import Frame, FrameSource, ImageSequence
from ..media.timestamps import whole_frames
from ..progress import Progress
from .formats import OutputPlan
from .output_audio import OutputAudio
from .video_encoder import EncodeFormat, add_video_stream

_TIME_BASE = Fraction(1, 90_000)
"""Seconds per tick where frames may follow no constant rate."""


@dataclass(frozen=True, kw_only=True)
class VideoPart:
    """A part of a video.

    Attributes:
        source: the video.
        start, duration: the part of it, in seconds after the first frame.
    """

    source: FrameSource
    start: Fraction
    duration: Fraction

    def frames(self) -> Iterator[tuple[Frame, Fraction]]:
        """Its frames with their times in the part; the first is the one shown when it begins."""
        first = None
        for frame in self.source.frames(self.start):
            time = frame.time - self.start
            if time >= self.duration:
                break
            if time <= 0:
                first = frame
                continue
            if first is not None:
                yield first, Fraction(0)
                first = None
            yield frame, time
        if first is not None:
            yield first, Fraction(0)


def encode_video(
    part: VideoPart,
    audio: OutputAudio,
    plan: OutputPlan,
    output: OutputContainer,
    progress: Progress,
) -> None:
    """Encode a part of a video into ``output``, with its audio.

    Raises:
        MediaError: if the video cannot be read, or its frame rate cannot be stored.
    """
    info = part.source.info
    time_base = _TIME_BASE
    if isinstance(part.source, ImageSequence):
        time_base = 1 / part.source.frame_rate.limit_denominator(100_000)
    encode_format = EncodeFormat(info.width, info.height, plan.pix_fmt)
    stream = add_video_stream(
        output, plan, encode_format, frame_rate=info.frame_rate, time_base=time_base
    )
    total = max(1, whole_frames(part.duration, SYNC_FPS))
    with audio.add_to(output) as tracks:
        for frame, time in part.frames():
            progress("encode", min(total, whole_frames(time, SYNC_FPS)), total)
            tracks.write_until(time)
            encoded = encode_format.frame(_pixels(part.source, frame, encode_format.is_deep))
            encoded.time_base = time_base
            encoded.pts = round(time / time_base)
            output.mux(stream.encode(encoded))
        tracks.finish()
        output.mux(stream.encode(None))
    progress("encode", total, total)


def _pixels(source: FrameSource, frame: Frame, deep: bool) -> Tensor:
    """(H, W, 3) uint8, or for deep formats 16 bits in int32 if the source has more than 8."""
    rgb = frame.rgb()  # refuses NaN and infinity
    if not deep or not isinstance(source, ImageSequence):
        return rgb
    image = source.images[round(frame.time * source.frame_rate), ..., :3]
    image = image.detach().to("cpu", torch.float32)
    return image.clamp(0, 1).mul(65535).round().to(torch.int32)
