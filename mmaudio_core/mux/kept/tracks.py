"""Writing what is kept of a file beside picture and sound, in step with them."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction

from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream

from ...media.compat import Chapter, attach, write_chapters
from .content import KeptContent, TimedTrack
from .plan import KeptPlan, cover_files
from .subtitle_text import convert_text, has_styles, text_template
from .tags import describe


@contextmanager
def add_kept(
    plan: KeptPlan, output: OutputContainer, shift: Fraction
) -> Generator[KeptTracks | None, None, None]:
    """Add chapters, attachments and tracks to a container, after the streams that it has.

    Args:
        plan: says which.
        output: the container.
        shift: seconds by which its muxer delays all packets, and chapters do not follow.
    """
    content = plan.content
    chapters = [Chapter(c.start + shift, c.end + shift, c.tags) for c in content.chapters]
    write_chapters(output, chapters)
    if plan.container == "mkv":
        for name, kind, data in [*cover_files(content.covers), *content.attachments]:
            attach(output, name, kind, data)
    if content.video is None or not content.tracks:
        yield None
        return
    with content.video.open() as (container, _):
        yield KeptTracks(plan, output, container)


class KeptTracks:
    """Writes tracks of subtitles and data.

    Args:
        plan: says which, and which of them are converted.
        output: the file to write.
        container: the file to read, opened for these tracks alone.
    """

    def __init__(self, plan: KeptPlan, output: OutputContainer, container: InputContainer) -> None:
        self._output = output
        self._converted = plan.converted
        self._content: KeptContent = plan.content
        self._tracks = {track.index: track for track in plan.content.tracks}
        self._streams = {track.index: self._add(track, container) for track in plan.content.tracks}
        self._container = plan.container
        self._styled: set[int] = set()
        self._last: dict[int, int] = {}
        self._packets = self._read(container)
        self._next = next(self._packets, None)

    def write_until(self, time: Fraction) -> None:
        """Write the packets up to ``time`` in seconds."""
        while self._next is not None and (self._next[0].dts or 0) * _unit(self._next[0]) < time:
            packet, index = self._next
            packet.stream = self._streams[index]
            self._output.mux(packet)
            self._next = next(self._packets, None)

    def finish(self) -> tuple[str, ...]:
        """Write what is left; returns how subtitles were converted, a sentence each."""
        self.write_until(self._content.duration)
        notes: list[str] = []
        for index, target in self._converted.items():
            note = (
                f"{self._container} does not take {self._tracks[index].codec} subtitles: they were"
                f" converted to {target}"
            )
            notes.append(f"{note}, without styles." if index in self._styled else f"{note}.")
        return tuple(dict.fromkeys(notes))

    def _add(self, track: TimedTrack, container: InputContainer) -> Stream:
        target = self._converted.get(track.index)
        if target is None:
            template = container.streams[track.index]
            added = self._output.add_stream_from_template(template, opaque=True)
            added.metadata.clear()
        else:
            source = text_template(target)
            with source:
                template = source.streams.subtitles[0]
                added = self._output.add_stream_from_template(template, opaque=True)
        describe(added, track.notes)
        return added

    def _read(self, container: InputContainer) -> Iterator[tuple[Packet[Stream], int]]:
        """The packets within the part that is used, with times relative to it."""
        streams = [container.streams[index] for index in self._tracks]
        try:
            for packet in container.demux(streams):
                if packet.size and (packet.pts is not None or packet.dts is not None):
                    index = packet.stream.index
                    moved = self._move(packet, index)
                    if moved is not None:
                        yield moved, index
        except FFmpegError:  # the rest cannot be read
            return

    def _move(self, packet: Packet[Stream], index: int) -> Packet[Stream] | None:
        unit = _unit(packet)
        begin = packet.pts if packet.pts is not None else packet.dts or 0
        begin -= round(self._content.start / unit)
        end = begin + (packet.duration or 0)
        limit = int(self._content.duration / unit)
        if begin >= limit or end < 0 or (begin < 0 and end == 0):
            return None
        begin, end = max(begin, 0), min(end, limit)
        last = self._last.get(index)
        if last is not None:
            begin = max(begin, last + 1)
        self._last[index] = begin
        target = self._converted.get(index)
        if target is not None:
            data, codec = bytes(packet), self._tracks[index].codec
            if has_styles(data, codec):
                self._styled.add(index)
            data = convert_text(data, codec, target)
            if not data:
                return None
            converted: Packet[Stream] = Packet(len(data))  # PyAV 17.0 keeps no reference to bytes
            converted.update(data)
            converted.time_base = unit
            converted.is_keyframe = True
            packet = converted
        packet.pts = packet.dts = begin
        packet.duration = max(0, end - begin)
        return packet


def _unit(packet: Packet[Stream]) -> Fraction:
    return Fraction(packet.time_base or Fraction(1, 1000))
