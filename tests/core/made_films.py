"""A short film with all that files hold besides picture and sound, and what is read of a file."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.stream import Disposition

F = Fraction
TAGS = {
    "title": "A film",
    "artist": "Somebody",
    "comment": "ä comment",
    "location": "+48.1173+011.5167/",
    "creation_time": "2024-05-06T07:08:09.000000Z",
}
CHAPTERS = ((0.0, 1.2, "One"), (1.2, 2.0, "Two"))
LINES = ((0.4, 1.4, "Hello, you"), (1.6, 1.9, "Two\nlines & more"))
TIMECODE = "01:00:00:00"
FONT = b"a font" * 9
GPS = tuple((second / 2, b"DEVC%012d" % second) for second in range(4))
_TEXT_FILES = {
    "srt": "".join(
        f"{n}\n00:00:0{a:.3f} --> 00:00:0{b:.3f}\n{text}\n\n".replace(".", ",")
        for n, (a, b, text) in enumerate(LINES, 1)
    ),
    "webvtt": "WEBVTT\n\n"
    + "".join(
        f"00:0{a:.3f} --> 00:0{b:.3f}\n{text.replace('&', '&amp;')}\n\n" for a, b, text in LINES
    ),
}


class Content(NamedTuple):
    """What a file holds, as libav reads it.

    Attributes:
        tags: those of ``TAGS``, and any of ComfyUI.
        chapters, lines: when each begins and ends, in seconds, and its text.
        sound: title and language of each track, and whether it is the default.
        cover: the pictures that stand for the file.
        data: packets of other tracks, and their times.
        fonts: attached files that are no pictures.
    """

    tags: dict[str, str]
    chapters: tuple[tuple[float, float, str], ...] = ()
    subtitles: tuple[tuple[str, str, bool], ...] = ()
    lines: tuple[tuple[float, float, str], ...] = ()
    sound: tuple[tuple[str | None, str | None, bool], ...] = ()
    cover: tuple[bytes, ...] = ()
    timecode: str | None = None
    data: tuple[tuple[float, bytes], ...] = ()
    fonts: tuple[bytes, ...] = ()


def picture() -> bytes:
    """A small JPEG."""
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width = encoder.height = 16
    encoder.pix_fmt, encoder.time_base = "yuvj420p", F(1, 25)
    frame = av.VideoFrame.from_ndarray(np.full((24, 16), 99, np.uint8), "yuvj420p")
    return bytes(encoder.encode(frame)[0])


def write_film(path: Path) -> Path:
    """Two seconds in mkv, mp4 or webm, with everything that libav's muxer takes there."""
    kind = path.suffix[1:]
    with av.open(path, "w") as output:
        output.metadata.update(TAGS)
        output.set_chapters(
            [
                {
                    "id": n,
                    "start": round(begin * 1000),
                    "end": round(end * 1000),
                    "time_base": F(1, 1000),
                    "metadata": {"title": title},
                }
                for n, (begin, end, title) in enumerate(CHAPTERS, 1)
            ]
        )
        webm = kind == "webm"
        video = output.add_stream("libvpx-vp9" if webm else "libx264", rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        video.options = {"deadline": "realtime", "cpu-used": "8"} if webm else {"bf": "0"}
        video.metadata["timecode"] = TIMECODE
        sounds = []
        for title, language in (("Voices", "eng"), (None, "deu")):
            sound = output.add_stream("libopus" if webm else "flac", rate=48000, layout="mono")
            sound.metadata.update({"language": language, **({"title": title} if title else {})})
            sounds.append(sound)
        sounds[1].disposition = Disposition.comment.value
        packets: list[Any] = []
        for codec in {"mkv": ["srt"], "webm": ["webvtt"]}.get(kind, []):
            source: Any = av.open(io.BytesIO(_TEXT_FILES[codec].encode()))
            text = output.add_stream_from_template(source.streams.subtitles[0], opaque=True)
            text.metadata["language"] = "fra"
            text.disposition = Disposition.forced.value
            for packet in source.demux():
                if packet.size:
                    packet.stream = text
                    packets.append(packet)
        if kind == "mkv":
            output.add_attachment("cover.jpg", "image/jpeg", picture())
            output.add_attachment("letters.ttf", "font/ttf", FONT)
        if kind == "mp4":
            gps: Any = output.add_data_stream("bin_data")
            gps.time_base = F(1, 1000)
            packets += [_packet(data, gps, time, 0.5) for time, data in GPS]
            cover: Any = output.add_stream("mjpeg", rate=25)
            cover.width = cover.height = 16
            cover.pix_fmt = "yuvj420p"
            cover.disposition = Disposition.attached_pic.value
            packets.append(_packet(picture(), cover, 0, 0))
        for i in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), i, np.uint8), "rgb24")
            frame.pts, frame.time_base = i, F(1, 25)
            output.mux(video.encode(frame))
            for sound in sounds:
                samples = np.zeros((1, 1920), np.int16)
                audio = av.AudioFrame.from_ndarray(samples, "s16", "mono")
                audio.rate, audio.pts, audio.time_base = 48000, i * 1920, F(1, 48000)
                output.mux(sound.encode(audio))
        for stream in (video, *sounds):
            output.mux(stream.encode(None))
        output.mux(packets)
    return path


def write_captioned(path: Path) -> Path:
    """Two seconds of raw H.264 with closed captions (ANSI/CTA-708, as ATSC A/53 carries them)."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="h264") as output:
        video = output.add_stream("libx264", rate=25)
        video.width = video.height = 64
        video.pix_fmt, video.options = "yuv420p", {"x264-params": "aud=1"}
        for i in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), i, np.uint8), "rgb24")
            frame.pts, frame.time_base = i, F(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    delimiter, units = b"\0\0\0\1\x09", buffer.getvalue().split(b"\0\0\0\1\x09")[1:]
    message = b"\xb5\0\x31GA94\3\x41\xff\xfc\xc8\xe5\xff"
    caption = b"\0\0\0\1\x06\x04" + bytes([len(message)]) + message + b"\x80"
    path.write_bytes(b"".join(delimiter + unit[:1] + caption + unit[1:] for unit in units))
    return path


def captions_of(path: Path) -> list[bytes | None]:
    """Each frame's closed captions."""
    with av.open(path) as container:
        kept: list[Any] = [
            SideDataContainer(frame).get(Type.A53_CC)  # pyright: ignore
            for frame in container.decode(video=0)
        ]
    return [None if item is None else bytes(item) for item in kept]


def _packet(data: bytes, stream: Any, time: float, duration: float) -> Any:
    packet: Any = av.Packet(data)
    packet.time_base, packet.stream = F(1, 1000), stream
    packet.pts = packet.dts = round(time * 1000)
    packet.duration = round(duration * 1000)
    packet.is_keyframe = True
    return packet


def content_of(path: Path) -> Content:
    """What a file holds; times after its first frame, rounded to hundredths."""
    with av.open(path) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
        streams = list(container.streams)
        text = [s for s in streams if s.type == "subtitle"]
        data = [s for s in streams if s.type == "data" and "timecode" not in s.metadata]
        covers = [s for s in streams if s.disposition & Disposition.attached_pic]
        packets = [packet for packet in container.demux() if packet.size]
        start = next(p.pts * p.time_base for p in packets if p.stream.index == 0)
        video = {key.lower(): value for key, value in streams[0].metadata.items()}
        chapters = tuple(
            (
                _second(chapter["start"], chapter["time_base"], start),
                _second(chapter["end"], chapter["time_base"], start),
                chapter["metadata"]["title"],
            )
            for chapter in container.chapters()
        )
        return Content(
            tags={key: tags[key] for key in (*TAGS, "prompt") if key in tags},
            chapters=chapters,
            subtitles=tuple(
                (s.codec_context.name, s.language, bool(s.disposition & Disposition.forced))
                for s in text
            ),
            lines=tuple(
                (begin, round(begin + float(p.duration * p.time_base), 2), line)
                for p in packets
                if p.stream in text and (line := _line(bytes(p), p.stream.codec_context.name))
                for begin in [_second(p.pts, p.time_base, start)]
            ),
            sound=tuple(
                (
                    s.metadata.get("title", s.metadata.get("name")),
                    s.metadata.get("language"),
                    bool(s.disposition & Disposition.default),
                )
                for s in container.streams.audio
            ),
            cover=tuple(bytes(p) for p in packets if p.stream in covers),
            timecode=video.get("timecode"),
            data=tuple(
                (_second(p.pts, p.time_base, start), bytes(p)) for p in packets if p.stream in data
            ),
            fonts=tuple(s.data for s in streams if s.type == "attachment"),
        )


def _line(data: bytes, codec: str) -> str:
    text = (data[2:] if codec == "mov_text" else data).decode()
    return text.replace("&amp;", "&") if codec == "webvtt" else text


def _second(ticks: int, unit: Fraction, start: Fraction | int = 0) -> float:
    return round(float(ticks * unit - start), 2)
