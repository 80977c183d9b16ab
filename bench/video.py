"""Repeats a video without re-encoding it."""

from __future__ import annotations

import math
from pathlib import Path

import av


def repeat_video(source: Path, seconds: float, target: Path) -> Path:
    """Repeat a video's packets in ``target`` until it lasts ``seconds``.

    Args:
        source: starts with a key frame and has a constant frame rate.

    Returns:
        ``target``, or ``source`` if that is long enough.
    """
    with av.open(str(source)) as container:
        video = container.streams.video[0]
        assert video.average_rate is not None and video.time_base is not None
        duration = video.frames / video.average_rate
        count = math.ceil(seconds / duration)
        if count <= 1:
            return source
        ticks = round(duration / video.time_base)
        with av.open(str(target), "w") as output:
            copied = output.add_stream_from_template(video)
            for repetition in range(count):
                container.seek(0)
                for packet in container.demux(video):
                    if packet.dts is None or packet.pts is None:  # the end of the stream
                        continue
                    packet.dts += repetition * ticks
                    packet.pts += repetition * ticks
                    packet.stream = copied
                    output.mux(packet)
    return target
