"""First stage: from an item's video to the frames that the encoders take."""

from __future__ import annotations

from fractions import Fraction

from ..features.visual import TimeRange, VideoClip, shortened, used_part
from ..media import FrameReader, open_source
from ..progress import Progress, no_progress
from .inputs import input_facts, open_video
from .item import Item
from .stages import DecodedItem, timed

HELD_SECONDS = 30
"""Longest part of a video whose frames are held at once; a second of them is 7 MB."""


def decode_item(item: Item, progress: Progress = no_progress) -> DecodedItem:
    """Read the frames of an item's video, unless they are too many to hold.

    Args:
        item: which one.
        progress: called at every frame.

    Raises:
        MediaError: the video cannot be read, or is too short after the start.
        MMAudioError: there is neither a video nor a duration.
    """
    options = item.options
    seconds: dict[str, float] = {}
    if item.video is None:
        return DecodedItem(requested=options.duration, duration=options.duration)
    with timed(seconds, "decode"):
        facts = input_facts(item.video, read=True)
        source = open_source(open_video(item.video))
        image = source.still_image
        if image is not None:
            return DecodedItem(
                requested=options.duration, duration=options.duration, image=image, input=facts
            )
        part = used_part(VideoClip(source=source), time_range(item))
        duration, chunks = part.duration, None
        if part.duration <= HELD_SECONDS:
            reader = FrameReader(
                source,
                start=part.start,
                duration=part.duration,
                clip=not options.mask_away_clip,
                progress=progress,
            )
            chunks = tuple(reader)
            duration = reader.duration
    requested = options.duration or part.available - options.start
    return DecodedItem(
        requested=requested,
        duration=duration,
        chunks=chunks,
        input=facts,
        notes=shortened(duration, requested, options.start) if chunks is not None else (),
        seconds=seconds,
    )


def time_range(item: Item) -> TimeRange:
    """The part of its video that an item is about."""
    options = item.options
    return TimeRange(
        duration=options.duration,
        start=options.start if item.video is not None else Fraction(0),
        mask_away_clip=options.mask_away_clip,
    )
