"""AUDIO in every form, into every node that takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import folder_paths
import numpy as np
import tiny
import torch
from comfy_api.latest import InputImpl, Types
from mmaudio_pack.mmaudio_core.errors import MMAudioError
from mmaudio_pack.nodes.cures import MMAudioNodeError
from mmaudio_pack.nodes.encode import MMAudioEncode
from mmaudio_pack.nodes.mux import MuxAudioVideo
from mmaudio_pack.nodes.save_audio import MMAudioSaveAudio

RATE = 16_000
PCM = {"container": "mov", "audio_codec": "pcm"}
IMAGES = torch.zeros(25, 16, 16, 3)
for saver in (MuxAudioVideo, MMAudioSaveAudio):
    saver.hidden = SimpleNamespace(prompt=None, extra_pnginfo=None)  # pyright: ignore


class Lazy(Mapping[str, Any]):
    """As VideoHelperSuite's sound: a mapping that is no dict."""

    def __init__(self, audio: dict[str, Any]) -> None:
        self._audio = audio

    def __getitem__(self, key: str) -> Any:
        return self._audio[key]

    def __iter__(self) -> Any:
        return iter(self._audio)

    def __len__(self) -> int:
        return len(self._audio)


def sound(channels: int = 2) -> torch.Tensor:
    """One second (channels, T), quiet enough to be mixed down."""
    noise = torch.randn(channels, RATE, generator=torch.Generator().manual_seed(3))
    return (noise / 16).clamp(-0.9, 0.9)


def forms() -> dict[str, Any]:
    stereo = sound()
    whole = {"waveform": stereo[None], "sample_rate": RATE}

    def made(waveform: Any, rate: Any = RATE) -> dict[str, Any]:
        return {"waveform": waveform, "sample_rate": rate}

    return {
        "float32": whole,
        "float64": made(stereo[None].double()),
        "float16": made(stereo[None].half()),
        "bfloat16": made(stereo[None].bfloat16()),
        "int16": made((stereo * 2**15).round().to(torch.int16)[None]),
        "int32": made((stereo.double() * 2**31).round().to(torch.int32)[None]),
        "uint8": made((stereo * 128 + 128).round().to(torch.uint8)[None]),
        "(C, T)": made(stereo),
        "numpy": made(stereo[None].numpy()),
        "not contiguous": made(stereo.T.contiguous().T[None]),
        "requires_grad": made(stereo[None].clone().requires_grad_()),
        "lazy": Lazy(whole),
        "rate float": made(stereo[None], float(RATE)),
        "rate tensor": made(stereo[None], torch.tensor(RATE)),
        "rate numpy": made(stereo[None], np.int64(RATE)),
        "(T,)": made(stereo[0]),
        "mono": made(stereo[None, :1]),
        "3.0": made(sound(3)[None]),
        "5.1": made(sound(6)[None]),
        "16 channels": made(sound(16)[None]),
        "None": None,
        "text": "sound.wav",
        "tensor": stereo,
        "no rate": {"waveform": stereo[None]},
        "no waveform": {"sample_rate": RATE},
        "0 samples": made(torch.zeros(1, 2, 0)),
        "batch 0": made(torch.zeros(0, 2, RATE)),
        "4 axes": made(stereo[None, None]),
        "int64": made(torch.zeros(1, 2, RATE).long()),
        "rate 0": made(stereo[None], 0),
        "rate text": made(stereo[None], "16000"),
        "NaN": made(torch.full((1, 2, RATE), torch.nan)),
    }


def heard(path: str, track: int) -> torch.Tensor:
    with av.open(path) as file:
        stream = file.streams.audio[track]
        resampler = av.AudioResampler(format="flt", layout=stream.layout, rate=stream.rate)
        pieces = [
            piece.to_ndarray().reshape(-1, len(piece.layout.channels)).T
            for frame in [*file.decode(stream), None]
            for piece in resampler.resample(frame)
        ]
    return torch.from_numpy(np.concatenate(pieces, 1))


def result(make: Callable[[], torch.Tensor], expected: torch.Tensor) -> Any:
    """The largest difference, or the shape if that is another one, or the error."""
    try:
        got = make()
    except (MMAudioError, MMAudioNodeError) as error:
        return str(error)
    except IndexError:
        return "no track"
    if got.shape != expected.shape:
        return list(got.shape)
    return float((got - expected).abs().max())


def case_table() -> dict[str, dict[str, Any]]:
    networks = tiny.networks()

    def encode(audio: Any) -> torch.Tensor:
        return MMAudioEncode.execute(networks, audio).args[0]["samples"]

    def muxed(audio: Any) -> torch.Tensor:
        made = MuxAudioVideo.execute(audio, "forms/mux", images=IMAGES, **PCM)
        return heard(made.args[0].get_stream_source(), 0)

    def saved(audio: Any) -> torch.Tensor:
        (file,) = MMAudioSaveAudio.execute(audio, "forms/save", "flac").ui["audio"]
        folder = Path(folder_paths.get_output_directory(), file["subfolder"])
        return heard(str(folder / file["filename"]), 0)

    def own(audio: Any) -> torch.Tensor:
        """As the sound of a Create Video that is kept as a track."""
        parts = Types.VideoComponents(images=IMAGES, frame_rate=Fraction(25), audio=audio)
        made = MuxAudioVideo.execute(
            {"waveform": sound(1)[None], "sample_rate": RATE},
            "forms/own",
            video=InputImpl.VideoFromComponents(parts),
            original_audio="keep_as_track",
            **PCM,
        )
        return heard(made.args[0].get_stream_source(), 1)

    table = {}
    for name, audio in forms().items():
        channels = {"3.0": 3, "5.1": 6, "16 channels": 16}.get(name, 2)
        played = sound(channels)
        played = played[:1] if name in ("(T,)", "mono") else played
        played = played.mean(0, keepdim=True) if channels == 16 else played
        mono = played.mean(0)
        if channels in (3, 6):
            left = played[0] + 0.5**0.5 * (played[2] + (played[4] if channels == 6 else 0))
            right = played[1] + 0.5**0.5 * (played[2] + (played[5] if channels == 6 else 0))
            mono = (left + right) / 2
        latents = encode({"waveform": mono[None, None], "sample_rate": RATE})
        table[name] = {
            "encode": result(lambda audio=audio: encode(audio), latents),
            "mux": result(lambda audio=audio: muxed(audio), played),
            "save": result(lambda audio=audio: saved(audio), played),
            "own": result(lambda audio=audio: own(audio), played),
        }
    return table
