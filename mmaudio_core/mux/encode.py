"""Pictures encoded as H.264 or VP9, with sound."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from ..config import SYNC_FPS
from ..errors import MediaError
from ..media import (
    Frame,
    FrameSource,
    ImageSequence,
    PathOrBytes,
    VideoFile,
    VideoInfo,
    open_source,
)
from ..media.timestamps import whole_frames
from ..progress import Progress, no_progress
from .atomic_output import MuxResult, atomic_output
from .formats import OutputPlan, plan_encode
from .options import AudioOptions, FileOptions
from .output_audio import prepare_output_audio
from .video_encoder import add_video_stream, choose_encode_format

_TICKS = 90_000
"""Ticks a second for times that follow no frame rate."""


def encode_images(
    images: ImageSequence,
    waveform: Tensor,
    sample_rate: int,
    path_stem: Path,
    *,
    start: Fraction = Fraction(0),
    sound: AudioOptions | None = None,
    file: FileOptions | None = None,
    original: tuple[Tensor, int] | None = None,
    progress: Progress = no_progress,
) -> MuxResult:
    """Write images as H.264 (in webm as VP9) with sound.

    A side of odd length, which most pixel formats cannot hold, gets its last pixel twice.

    Args:
        images: the picture.
        waveform: (C, T) samples in [-1, 1], C 1 or 2; louder ones are clipped.
        sample_rate: of the waveform, in Hz.
        path_stem: the file to write, without its suffix.
        start: where in the picture the sound begins, in seconds; silence before it.
        sound, file: see there.
        original: the sound that the images came with, (C, T), and its rate.
        progress: called as ("encode", done, total), in 25ths of a second.

    Returns:
        The file written, which is there whole or not at all.

    Raises:
        MediaError: when the images or the waveform cannot be used, or the file cannot be written.
    """
    info = images.info
    rate = images.frame_rate.limit_denominator(100_000)
    part = _Part(source=images, info=info, length=info.duration, unit=1 / rate, old=original)
    return _encode(part, (waveform, sample_rate), path_stem, start, sound, file, progress=progress)


def encode_video(
    video: PathOrBytes | FrameSource,
    waveform: Tensor,
    sample_rate: int,
    path_stem: Path,
    *,
    begin: Fraction = Fraction(0),
    duration: Fraction | None = None,
    start: Fraction = Fraction(0),
    sound: AudioOptions | None = None,
    file: FileOptions | None = None,
    plan: OutputPlan | None = None,
    progress: Progress = no_progress,
) -> MuxResult:
    """As ``encode_images``, from a file whose packets cannot be copied, or from a part of one.

    Args:
        begin: where in the file the picture begins, in seconds.
        duration: seconds of it; None for all.
        plan: what was decided before.
    """
    source = open_source(video)
    info = source.info
    length = info.duration - begin
    if not 0 <= begin < info.duration:
        raise MediaError(
            f"a part of the video from {float(begin):g} s on was asked for, but it lasts"
            f" {float(info.duration):g} s; expected a start within it. Trim it less."
        )
    part = _Part(
        source=source,
        info=info,
        begin=begin,
        length=length if duration is None else min(length, duration),
        unit=Fraction(1, _TICKS),
        old=source if isinstance(source, VideoFile) else None,
        zero=begin + (source.packets.start if isinstance(source, VideoFile) else 0),
    )
    return _encode(
        part, (waveform, sample_rate), path_stem, start, sound, file, plan=plan, progress=progress
    )


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What of a picture is encoded.

    Args:
        source, info: the picture.
        begin, length: the part of it that is, in seconds.
        unit: seconds a tick of the encoded picture lasts.
        old: where its own sound is; None when it has none.
        zero: see ``Original``.
    """

    source: FrameSource
    info: VideoInfo
    length: Fraction
    unit: Fraction
    old: VideoFile | tuple[Tensor, int] | None
    begin: Fraction = Fraction(0)
    zero: Fraction = Fraction(0)

    def shown(self, length: Fraction) -> Iterator[tuple[Frame, Fraction]]:
        """The pictures with their times in the part, up to ``length``."""
        held = None  # the one shown when the part begins
        for picture in self.source.frames(self.begin):
            time = picture.time - self.begin
            if time >= length:
                break
            if time <= 0:
                held = picture
                continue
            if held is not None:
                yield held, Fraction(0)
                held = None
            yield picture, time
        if held is not None:
            yield held, Fraction(0)

    def pixels(self, picture: Frame, deep: bool) -> Tensor:
        """(H, W, 3) uint8; uint16 in int32 where the images have more than 8 bits to give."""
        if not deep or not isinstance(self.source, ImageSequence):
            return picture.rgb()
        picture.rgb()  # refuses NaN and infinity
        image = self.source.images[round(picture.time * self.source.frame_rate), ..., :3]
        image = image.detach().to("cpu", torch.float32)
        return image.clamp(0, 1).mul(65535).round().to(torch.int32)


def _encode(
    part: _Part,
    take: tuple[Tensor, int],
    path_stem: Path,
    start: Fraction,
    sound: AudioOptions | None,
    file: FileOptions | None,
    *,
    plan: OutputPlan | None = None,
    progress: Progress,
) -> MuxResult:
    file = file or FileOptions()
    plan = plan or plan_encode(file)
    heard, length, notes = prepare_output_audio(
        *take,
        start=start,
        zero=part.zero,
        length=part.length,
        source=part.old,
        options=(sound or AudioOptions(), file),
        plan=plan,
        progress=progress,
    )
    shape, more = choose_encode_format(part.info, plan, file.pix_fmt)
    total = max(1, whole_frames(length, SYNC_FPS))
    with atomic_output(path_stem, plan.container, file.metadata) as (output, path):
        stream = add_video_stream(
            output,
            plan,
            shape,
            frame_rate=part.info.frame_rate,
            unit=part.unit,
            crf=file.crf,
        )
        with heard.into(output) as tracks:
            for picture, time in part.shown(length):
                progress("encode", min(total, whole_frames(time, SYNC_FPS)), total)
                tracks.write_until(time)
                frame = shape.frame(part.pixels(picture, shape.is_deep))
                frame.time_base = part.unit
                frame.pts = round(time / part.unit)
                output.mux(stream.encode(frame))
            tracks.finish()
            output.mux(stream.encode(None))
        progress("encode", total, total)
    return MuxResult(
        path=path,
        video_codec=plan.encoded,
        container=plan.container,
        notes=(*plan.notes, *more, *notes),
    )
