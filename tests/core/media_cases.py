"""Kinds of video that users have: containers, codecs, frame rates, damage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from av.codec.codec import Codec, UnknownCodecError
from PIL import Image

from .made_videos import numbered, set_display_matrix, steady, write_video

F = Fraction
_NTSC = F(30000, 1001)
_MS = F(1, 1000)
_X265 = {"x265-params": "log-level=none:pools=1"}
_SVT = {"preset": "10", "svtav1-params": "lp=1"}
_VPX = {"deadline": "realtime", "cpu-used": "8"}
_PLAIN = {"bf": "0", "preset": "ultrafast"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A video to write.

    Attributes:
        name: the file name; its suffix chooses the container.
        arguments: of ``write_video``; ``times`` default to one second at 25 per second.
        damage: applied to the file afterwards.
        upright: undoes a display rotation, on frames (n, 3, H, W).
        hidden: number of frames before the first one shown.
    """

    name: str = "a.mp4"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    damage: Callable[[Path], None] | None = None
    upright: Callable[[torch.Tensor], torch.Tensor] = lambda frames: frames
    hidden: int = 0

    @property
    def times(self) -> list[Fraction]:
        """When each frame was meant to be shown, in seconds after the first one shown."""
        times = list(self.arguments.get("times", steady(25, 25)))[self.hidden :]
        return [time - times[0] for time in times]

    def write(self, folder: Path) -> Path:
        """Write the file into a folder."""
        path = folder / self.name
        if path.suffix == ".webp":
            _write_webp(path, self.times)
        else:
            settings: dict[str, Any] = {"times": steady(25, 25), **self.arguments}
            write_video(path, **settings)
        if self.damage is not None:
            self.damage(path)
        return path


def missing_encoder(case: Case) -> str | None:
    """Why this PyAV cannot write a case (no such encoder or pixel format); None if it can."""
    name = case.arguments.get("codec", "libx264")
    try:
        codec = Codec(name, "w")
    except UnknownCodecError:
        return f"this PyAV has no encoder {name}"
    wanted = case.arguments.get("pix_fmt", "yuv420p")
    if case.name.endswith(".webp") or not codec.video_formats:
        return None
    known = {form.name for form in codec.video_formats}
    return None if wanted in known else f"this PyAV's {name} takes no {wanted}"


def _write_webp(path: Path, times: list[Fraction]) -> None:
    frames = [Image.fromarray(numbered(number)) for number in range(len(times))]
    ends = [*times[1:], 2 * times[-1] - times[-2]]
    lengths = [round((end - time) * 1000) for time, end in zip(times, ends, strict=True)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=lengths, lossless=True)


def _cut_off(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])


def _rotate(path: Path) -> None:
    set_display_matrix(path, 0, 1, -1, 0)


def _uneven(unit: Fraction) -> list[Fraction]:
    steps = [1, 2, 1, 5, 1, 1, 9, 3, 1, 1, 1, 2, 7, 1, 1, 1, 4, 4, 1, 1, 1, 1, 12, 1, 1]
    at = F(0)
    times: list[Fraction] = []
    for step in steps:
        times.append(round(at / unit) * unit)
        at += F(step, 60)
    return times


def _rate(rate: Fraction | int, **options: Any) -> Case:
    return Case(arguments={"times": steady(int(rate), rate), "unit": 1 / F(rate), **options})


CASES: dict[str, Case] = {
    "mp4, H.264, B-frames": Case(),
    "mov, H.264": Case(name="a.mov"),
    "mkv, H.264": Case(name="a.mkv", arguments={"unit": _MS}),
    "ts, H.264": Case(name="a.ts"),
    "avi, MPEG-4": Case(name="a.avi", arguments={"codec": "mpeg4", "unit": F(1, 25)}),
    "avi, MPEG-4, B-frames": Case(
        name="a.avi", arguments={"codec": "mpeg4", "unit": F(1, 25), "options": {"bf": "2"}}
    ),
    "mp4, HEVC": Case(arguments={"codec": "libx265", "options": _X265}),
    "mp4, HEVC, 10 bit": Case(
        arguments={"codec": "libx265", "options": _X265, "pix_fmt": "yuv420p10le"}
    ),
    "mp4, H.264, 10 bit": Case(arguments={"pix_fmt": "yuv420p10le"}),
    "webm, VP8": Case(name="a.webm", arguments={"codec": "libvpx", "unit": _MS, "options": _VPX}),
    "webm, VP9": Case(
        name="a.webm", arguments={"codec": "libvpx-vp9", "unit": _MS, "options": _VPX}
    ),
    "webm, VP9, 10 bit": Case(
        name="a.webm",
        arguments={"codec": "libvpx-vp9", "unit": _MS, "options": _VPX, "pix_fmt": "yuv420p10le"},
    ),
    "mp4, AV1": Case(arguments={"codec": "libsvtav1", "options": _SVT}),
    "webm, AV1, 10 bit": Case(
        name="a.webm",
        arguments={"codec": "libsvtav1", "unit": _MS, "options": _SVT, "pix_fmt": "yuv420p10le"},
    ),
    "mov, ProRes, 10 bit": Case(
        name="a.mov", arguments={"codec": "prores_ks", "pix_fmt": "yuv422p10le"}
    ),
    "mov, MJPEG": Case(name="a.mov", arguments={"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    "avi, MJPEG": Case(
        name="a.avi", arguments={"codec": "mjpeg", "pix_fmt": "yuvj420p", "unit": F(1, 25)}
    ),
    "gif": Case(
        name="a.gif",
        arguments={"times": steady(20, 20), "codec": "gif", "pix_fmt": "rgb8", "unit": F(1, 100)},
    ),
    "webp, variable": Case(name="a.webp", arguments={"times": _uneven(_MS)}),
    "12 fps": _rate(12),
    "16 fps": _rate(16),
    "23.976 fps": _rate(F(24000, 1001)),
    "24 fps": _rate(24),
    "29.97 fps": _rate(_NTSC),
    "30 fps": _rate(30),
    "48 fps": _rate(48),
    "50 fps": _rate(50),
    "59.94 fps": _rate(F(60000, 1001)),
    "60 fps": _rate(60),
    "120 fps": _rate(120),
    "240 fps": _rate(240),
    "variable, mp4": Case(arguments={"times": _uneven(F(1, 90_000))}),
    "variable, mkv": Case(name="a.mkv", arguments={"times": _uneven(_MS), "unit": _MS}),
    "odd size, H.264 4:4:4": Case(arguments={"pix_fmt": "yuv444p", "size": (101, 97)}),
    "odd size, VP9": Case(
        name="a.webm",
        arguments={"codec": "libvpx-vp9", "unit": _MS, "options": _VPX, "size": (101, 97)},
    ),
    "rotation": Case(damage=_rotate, upright=lambda frames: frames.rot90(1, (2, 3))),
    "non-zero start, mp4": Case(arguments={"times": [F(7, 3) + t for t in steady(25, 25)]}),
    "non-zero start, mkv": Case(
        name="a.mkv", arguments={"times": [3 + t for t in steady(25, 25)], "unit": _MS}
    ),
    "non-zero start, ts": Case(name="a.ts", arguments={"times": [9 + t for t in steady(25, 25)]}),
    "edit list that hides frames": Case(
        arguments={"times": [t - F(8, 25) for t in steady(40, 25)], "options": _PLAIN}, hidden=8
    ),
    "edit list, B-frames": Case(
        arguments={"times": [t - F(8, 25) for t in steady(40, 25)]}, hidden=8
    ),
    "missing duration, mkv": Case(
        name="a.mkv", arguments={"unit": _MS, "container_options": {"live": "1"}}
    ),
    "missing duration, fragmented mp4": Case(
        arguments={"container_options": {"movflags": "frag_keyframe+empty_moov"}}
    ),
    "no times at all, raw H.264": Case(name="a.h264", arguments={"container": "h264"}),
    "sound beside it": Case(arguments={"layouts": ("mono",)}),
    "several audio tracks": Case(arguments={"layouts": ("stereo", "mono", "stereo")}),
    "several audio tracks, mkv": Case(
        name="a.mkv", arguments={"layouts": ("mono", "5.1"), "unit": _MS}
    ),
    "5.1": Case(arguments={"layouts": ("5.1",)}),
    "broken tail, mkv": Case(
        name="a.mkv",
        arguments={"times": steady(40, 25), "unit": _MS, "options": _PLAIN},
        damage=_cut_off,
    ),
    "broken tail, fragmented mp4": Case(
        arguments={
            "times": steady(60, 25),
            "options": {**_PLAIN, "g": "10"},
            "container_options": {"movflags": "frag_keyframe+empty_moov"},
        },
        damage=_cut_off,
    ),
    "broken tail, avi": Case(
        name="a.avi",
        arguments={"times": steady(40, 25), "codec": "mpeg4", "unit": F(1, 25)},
        damage=_cut_off,
    ),
}
