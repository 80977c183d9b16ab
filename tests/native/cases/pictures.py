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
"""Start and duration in seconds: 10 frames, of which the first 5 are left out."""
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

    A whole file's are compared with the file's own, a trimmed one's with those of the same part of
    the file on disk with its sound replaced, and a VIDEO of components' likewise.
    """
    got: dict[str, Any] = {}
    parts: list[bytes] | None = None
    for name in FILES:
        path = _noise(name)
        source = _packets(path)
        for kind, video in _videos(path):
            encoded = None
            for mode in MODES:
                video_packets, *sounds = _packets(_mux(video(), mode))
                if kind in ("path", "BytesIO"):
                    encoded = source[0]
                elif encoded is None:
                    encoded = video_packets
                got[f"{name}, {kind}, {mode}"] = {
                    "video": len(video_packets),
                    "same": video_packets == encoded,
                    "tracks": len(sounds),
                    "kept": len(sounds) > 1 and sounds[1] == source[1],
                }
            if kind.endswith("in memory"):
                got[f"{name}, {kind}"] = encoded == parts
            parts = encoded
    return got


def _videos(path: Path) -> Iterator[tuple[str, Any]]:
    """Each kind of VIDEO, and what makes it."""
    name, data = str(path), path.read_bytes()
    yield "path", lambda: InputImpl.VideoFromFile(name)
    yield "BytesIO", lambda: InputImpl.VideoFromFile(io.BytesIO(data))
    yield "trimmed", lambda: _trimmed(InputImpl.VideoFromFile(name))
    yield "trimmed in memory", lambda: _trimmed(InputImpl.VideoFromFile(io.BytesIO(data)))
    components = InputImpl.VideoFromFile(name).get_components()
    yield "components", lambda: InputImpl.VideoFromComponents(components)


def _trimmed(video: Any) -> Any:
    """As ``as_trimmed``, which 0.8.0 lacks."""
    return SimpleNamespace(
        get_active_trim_window=lambda: TRIM, get_stream_source=video.get_stream_source
    )


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
