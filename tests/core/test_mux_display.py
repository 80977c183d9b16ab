"""A copied picture is displayed as before: shape, turn, colors, stereo, transparency."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import pytest
import torch
from av.sidedata.sidedata import SideDataContainer

from mmaudio_core.media import open_source
from mmaudio_core.mux import FileOptions, MuxResult, mux_audio

from .made_display import CLIPS, HLG, PQ
from .test_mux import packets_of

F = Fraction
CROP = (6, 20, 10, 12)
SIDE_DATA = {
    "MASTERING_DISPLAY_METADATA": "mastering",
    "CONTENT_LIGHT_LEVEL": "light",
    "AMBIENT_VIEWING_ENVIRONMENT": "ambient",
    "STEREO3D": "stereo",
    "SPHERICAL": "spherical",
}


class Display(NamedTuple):
    """What libav reads of a file.

    Attributes:
        aspect: pixel aspect ratio; 1 if there is none.
        color: primaries, transfer, matrix (2: unknown) and range (0: unknown); None: what the
            decoder says, which depends on libav.
        turn: the upper left of the display matrix, row by row; None if there is none.
        data: what else is known of the picture.
        alpha: it says that it is transparent.
        dolby: it holds a Dolby Vision configuration.
        crop: pixels left, above, right, below that are not shown.
    """

    aspect: Fraction = F(1)
    color: tuple[int, int, int, int] | None = (2, 2, 2, 0)
    turn: tuple[int, ...] | None = None
    data: frozenset[str] = frozenset()
    alpha: bool = False
    dolby: bool = False
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)


def display_of(path: Path) -> Display:
    with av.open(path) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        frame = next(container.decode(stream))
        data = {item.type.name: bytes(item) for item in SideDataContainer(frame)}  # pyright: ignore
        matrix = data.get("DISPLAYMATRIX")
        a, b, _, c, d = struct.unpack_from("=5i", matrix) if matrix else (0,) * 5
        return Display(
            aspect=stream.sample_aspect_ratio or F(1),
            color=(
                context.color_primaries,
                context.color_trc,
                context.colorspace,
                context.color_range,
            ),
            turn=tuple(value >> 16 for value in (a, b, c, d)) if matrix else None,
            data=frozenset(SIDE_DATA[name] for name in data.keys() & SIDE_DATA.keys()),
            alpha="alpha_mode" in {key.lower() for key in stream.metadata},
            dolby=b"dvvC" in path.read_bytes(),
            crop=crop_of(path.read_bytes()),
        )


def children(data: bytes) -> list[tuple[int, bytes]]:
    """EBML elements (RFC 8794): id and content of each."""
    found: list[tuple[int, bytes]] = []
    position = 0
    while position < len(data):
        length = 9 - data[position].bit_length()
        identifier = int.from_bytes(data[position : position + length], "big")
        position += length
        length = 9 - data[position].bit_length()
        size = int.from_bytes(data[position : position + length], "big") & ~(1 << 7 * length)
        position += length
        found.append((identifier, data[position : position + size]))
        position += size
    assert position == len(data)
    return found


def picture_of(data: bytes) -> dict[int, int]:
    """Numbers in the element Video of the first track of a Matroska file, by id."""
    tracks = dict(children(dict(children(data))[0x18538067]))[0x1654AE6B]
    track = next(content for identifier, content in children(tracks) if identifier == 0xAE)
    video = dict(children(track))[0xE0]
    return {identifier: int.from_bytes(value, "big") for identifier, value in children(video)}


def crop_of(data: bytes) -> tuple[int, int, int, int]:
    """From the bytes of a file: mp4's clean aperture, Matroska's pixel crop."""
    if data.startswith(b"\x1aE\xdf\xa3"):
        picture = picture_of(data)
        left, top, right, bottom = (picture.get(i, 0) for i in (0x54CC, 0x54BB, 0x54DD, 0x54AA))
        return left, top, right, bottom
    if b"clap" not in data:
        return 0, 0, 0, 0
    values = struct.unpack_from(">4I4i", data, data.index(b"clap") + 4)
    width, height, x, y = (F(*values[i : i + 2]) for i in (0, 2, 4, 6))
    left, top = (96 - width) / 2 + x, (96 - height) / 2 + y
    return int(left), int(top), int(96 - width - left), int(96 - height - top)


EXPECTED = {
    "VP9, 64:45 in mp4": Display(aspect=F(64, 45), color=(2, 2, 2, 1)),
    "H.264, 2:1": Display(aspect=F(2)),
    "H.264, 12:11 in mkv": Display(aspect=F(12, 11)),
    "H.264, 2:1, but square in the container": Display(),
    "H.264, 3:2 in the container alone": Display(aspect=F(3, 2)),
    "H.264, shown twice as wide": Display(aspect=F(2)),
    "H.263 in 3gp": Display(aspect=F(12, 11)),
    "MPEG-4, 16:11": Display(aspect=F(16, 11)),
    "VP9, rotated and 4:3": Display(aspect=F(4, 3), color=(2, 2, 2, 1), turn=(0, -1, 1, 0)),
    "VP8": Display(color=None),
    "VP9, square": Display(color=(2, 2, 2, 1)),
    "AV1, 4:3": Display(aspect=F(4, 3), color=(2, 2, 2, 1)),
    "ProRes, 10:11": Display(aspect=F(10, 11), color=None),
    "90 degrees": Display(turn=(0, -1, 1, 0)),
    "180 degrees": Display(turn=(-1, 0, 0, -1)),
    "270 degrees and 2:1": Display(aspect=F(2), turn=(0, 1, -1, 0)),
    "mirrored": Display(turn=(-1, 0, 0, 1)),
    "mirrored and rotated": Display(turn=(0, -1, -1, 0)),
    "HLG": Display(color=HLG),
    "PQ with mastering data": Display(color=PQ, data=frozenset({"mastering", "light"})),
    "HEVC PQ with ambient light": Display(
        color=PQ, data=frozenset({"mastering", "light", "ambient"})
    ),
    "AV1, PQ": Display(color=PQ, data=frozenset({"mastering", "light"})),
    "VP9, HLG in the container": Display(color=HLG),
    "full range": Display(color=(6, 6, 6, 2)),
    "MPEG-4, colors in the container": Display(color=(9, 18, 9, 2)),
    "MJPEG, full range": Display(color=(1, 1, 5, 2)),
    "stereo 3D": Display(data=frozenset({"stereo"})),
    "stereo 3D in mkv": Display(data=frozenset({"stereo"})),
    "spherical": Display(data=frozenset({"spherical"})),
    "Dolby Vision": Display(color=HLG, dolby=True),
    "cropped": Display(crop=CROP),
    "cropped, 2:1": Display(aspect=F(2), crop=CROP),
    "cropped, rotated, in VP9": Display(color=(2, 2, 2, 1), turn=(0, -1, 1, 0), crop=CROP),
    "VP9 with transparency": Display(color=(2, 2, 2, 1), alpha=True),
}
"""What each file says, before and after."""
LOST = {
    ("HEVC PQ with ambient light", "mkv"): (
        Display(color=PQ, data=frozenset({"mastering", "light"})),
        "ambient viewing environment",
    ),
    ("MPEG-4, colors in the container", "mov"): (
        Display(color=(9, 18, 9, 0)),
        "full color range",
    ),
    ("Dolby Vision", "mov"): (Display(color=HLG), "Dolby Vision"),
    ("VP9 with transparency", "mp4"): (Display(color=(2, 2, 2, 1)), "transparency"),
}
"""What a container cannot hold: what is left, and the name of the rest."""


def mux(source: Path, container: str, name: str) -> MuxResult:
    return mux_audio(
        source,
        torch.zeros(1, 3200),
        16000,
        source.with_name(name),
        file_options=FileOptions(container=container),
    )


@pytest.mark.parametrize("name", CLIPS)
def test_display(name: str, tmp_path: Path) -> None:
    """In every container that the codec is copied into, and again from there."""
    source = CLIPS[name].write(tmp_path / "source")
    expected, got = EXPECTED[name], display_of(source)
    if expected.color is None:
        expected = expected._replace(color=got.color)
    assert got == expected
    copies = 0
    for container in ("mp4", "mov", "mkv", "webm"):
        result = mux(source, container, "copy")
        if result.video_codec != open_source(source).info.codec:
            continue
        copies += 1
        kept, lost = LOST.get((name, container), (expected, None))
        assert display_of(result.path) == kept, container
        said = [note for note in result.notes if "cannot hold" in note]
        told = f"{container} cannot hold the video's {lost}; another container may."
        assert said == ([told] if lost else []), container
        again = mux(result.path, container, "again")
        assert display_of(again.path) == kept, container
        assert packets_of(again.path) == packets_of(result.path) == packets_of(source)
    assert copies


@pytest.mark.parametrize("container", ["mkv", "webm"])
def test_the_display_size_in_the_bytes(container: str, tmp_path: Path) -> None:
    """Read from the file itself: the size, the checksum, no trace of the room that it took."""
    source = CLIPS["VP9, 64:45 in mp4"].write(tmp_path / "source")
    data = mux(source, container, "out").path.read_bytes()
    tracks = dict(children(dict(children(data))[0x18538067]))[0x1654AE6B]
    first, second = children(tracks)[:2]
    if first[0] == 0xBF:  # CRC-32, of what follows
        assert first[1] == zlib.crc32(tracks[6:]).to_bytes(4, "little")
        first = second
    assert first[0] == 0xAE and b"~~~" not in tracks
    video = dict(children(dict(children(first[1]))[0xE0]))
    pixels, display = (
        tuple(int.from_bytes(video[identifier], "big") for identifier in pair)
        for pair in ((0xB0, 0xBA), (0x54B0, 0x54BA))
    )
    assert (pixels, display) == ((80, 64), (128, 72))
    assert 0x54B2 not in video  # its unit is the default: pixels
