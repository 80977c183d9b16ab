"""MuxAudioVideo on ComfyUI's own VIDEO types: which packets are written."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import folder_paths
import numpy as np
import torch
from comfy_api.latest import InputImpl
from mmaudio_pack.nodes.mux import MuxAudioVideo

RATE = 48_000
FRAMES = 25
"""A second of picture."""
TRIM = (0.2, 0.4)
"""Start and duration in seconds."""
TRIMMED_FROM = 5
"""The frame that is shown at its start; one earlier where 11 of them are shown."""
MODES = ("replace", "mix", "duck", "keep_as_track")
FILES = {
    "mp4": ("mp4", "libx264", "aac", {}),
    "mkv": ("matroska", "libx264", "flac", {}),
    "webm": ("webm", "libvpx-vp9", "libopus", {}),
    "fragmented mp4": (
        "mp4",
        "libx264",
        "aac",
        {"movflags": "frag_keyframe+empty_moov+default_base_moof"},
    ),
}
"""Muxer, encoders and the muxer's options."""


def case_packets() -> dict[str, Any]:
    """For each file, VIDEO and way of treating its sound: how its packets and those written differ.

    A whole file's are compared with its own. Trimmed files and components are encoded: their
    pictures are compared with the file's own, since an encoder with several threads does not
    always make the same packets.
    """
    got: dict[str, Any] = {}
    for name in FILES:
        path = _noise(name)
        source, pictures = _packets(path), _pictures(path)
        for kind, video in _videos(path):
            for mode in MODES:
                written = _mux(video(), mode)
                packets, *sounds = _packets(written)
                if kind in ("path", "BytesIO"):
                    same = packets == source[0]
                else:
                    same = _alike(_pictures(written), pictures, kind)
                got[f"{name}, {kind}, {mode}"] = {
                    "video": len(packets),
                    "same": same,
                    "tracks": len(sounds),
                    "kept": len(sounds) > 1 and sounds[1] == source[1],
                }
    return got


def _alike(got: np.ndarray, source: np.ndarray, kind: str) -> bool:
    """Whether pictures (n, H, W) are those of the source, or of the part that is trimmed."""
    first = TRIMMED_FROM - (len(got) - 10) if kind.startswith("trimmed") else 0
    difference = got.astype(int) - source[first : first + len(got)]
    return bool(np.abs(difference).mean() < 8)


def _pictures(path: Path) -> np.ndarray:
    """The luma of every frame, (n, H, W) uint8."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])


def _videos(path: Path) -> Iterator[tuple[str, Any]]:
    """Each kind of VIDEO, and what makes it."""
    name, data = str(path), path.read_bytes()
    yield "path", lambda: InputImpl.VideoFromFile(name)
    yield "BytesIO", lambda: InputImpl.VideoFromFile(io.BytesIO(data))
    yield "trimmed", lambda: _Trimmed(name)
    yield "trimmed in memory", lambda: _Trimmed(io.BytesIO(data))
    components = InputImpl.VideoFromFile(name).get_components()
    yield "components", lambda: InputImpl.VideoFromComponents(components)


class _Trimmed(InputImpl.VideoFromFile):
    """As ``as_trimmed`` gives, which 0.8.0 lacks."""

    def get_active_trim_window(self) -> tuple[float, float]:
        return TRIM


def _mux(video: Any, mode: str) -> Path:
    hidden = SimpleNamespace(prompt=None, extra_pnginfo=None)
    node: Any = type("Clone", (MuxAudioVideo,), {**vars(MuxAudioVideo), "hidden": hidden})
    audio = {"waveform": torch.rand(1, 1, RATE) * 0.2 - 0.1, "sample_rate": RATE}
    node.execute(audio, "packets/out", video=video, original_audio=mode)
    return max(
        Path(folder_paths.get_output_directory(), "packets").iterdir(), key=lambda path: path.name
    )


def _packets(path: Path) -> list[list[bytes]]:
    """The packets of every track."""
    with av.open(str(path)) as container:
        tracks: list[list[bytes]] = [[] for _ in container.streams]
        for packet in container.demux():
            if packet.size:
                tracks[packet.stream.index].append(bytes(packet))
    return tracks


def _noise(name: str) -> Path:
    """A file of noise: more than one buffer of what reads it."""
    muxer, video_codec, audio_codec, options = FILES[name]
    path = Path(f"{name.replace(' ', '_')}.{'mp4' if muxer == 'mp4' else name}").absolute()
    generator = np.random.default_rng(0)
    with av.open(str(path), "w", format=muxer, options=options) as output:
        settings = {"preset": "ultrafast", "crf": "10"}
        if video_codec != "libx264":
            settings = {"deadline": "realtime", "cpu-used": "8", "b": "4M"}
        picture = output.add_stream(video_codec, rate=25, options=settings)
        picture.width = picture.height = 96
        picture.pix_fmt = "yuv420p"
        sound = output.add_stream(audio_codec, rate=RATE, layout="mono")
        resampler = av.AudioResampler(format=sound.format, layout="mono", rate=RATE)
        for number in range(FRAMES):
            image = generator.integers(0, 256, (96, 96, 3), np.uint8)
            output.mux(picture.encode(av.VideoFrame.from_ndarray(image)))
            samples = generator.uniform(-0.3, 0.3, (1, RATE // 25)).astype(np.float32)
            chunk = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
            chunk.sample_rate, chunk.time_base = RATE, Fraction(1, RATE)
            chunk.pts = number * RATE // 25
            for piece in resampler.resample(chunk):
                output.mux(sound.encode(piece))
        output.mux(picture.encode(None))
        output.mux(sound.encode(None))
    return path
