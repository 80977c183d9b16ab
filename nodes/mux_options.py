"""MuxAudioVideo's further inputs, and the options of the core that they stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from comfy.cli_args import args
from comfy_api.latest import io

from ..mmaudio_core.errors import MediaError
from ..mmaudio_core.mux import AUDIO_CODECS, CONTAINERS, ORIGINALS, AudioOptions, FileOptions

LOUDNESS: dict[str, float | None] = {
    "off": None,
    "-14 LUFS": -14.0,
    "-16 LUFS": -16.0,
    "-23 LUFS": -23.0,
}
PIX_FMTS = ("yuv420p", "yuv420p10le", "yuv444p")
_LONGEST_FADE = 600.0


def option_inputs() -> list[io.Input]:
    """Inputs with defaults that change nothing."""
    return [
        io.Combo.Input(
            "original_audio",
            options=list(ORIGINALS),
            default=ORIGINALS[0],
            optional=True,
            tooltip=(
                "The video's own sound: replace drops it, mix adds the new one to it, duck lowers "
                "it under the new one, keep_as_track keeps it as a second track."
            ),
        ),
        io.Float.Input(
            "gain_db",
            default=0.0,
            min=-60.0,
            max=24.0,
            step=0.5,
            optional=True,
            tooltip="Decibels by which the new sound is made louder or quieter.",
        ),
        _fade("fade_in", "Seconds in which the new sound comes up."),
        _fade("fade_out", "Seconds in which the new sound goes down at its end."),
        io.Combo.Input(
            "loudness",
            options=list(LOUDNESS),
            default="off",
            optional=True,
            tooltip=(
                "Loudness (BS.1770) of what is heard, with true peaks below -1 dB: -14 as "
                "streaming services play, -16 for podcasts, -23 for European television."
            ),
        ),
        io.Combo.Input(
            "container",
            options=list(CONTAINERS),
            default="auto",
            optional=True,
            tooltip=(
                "Kind of file; auto is the first of mp4, mov and mkv that takes picture and sound. "
                "One that does not take the picture's codec gets it encoded again."
            ),
        ),
        io.Combo.Input(
            "audio_codec",
            options=list(AUDIO_CODECS),
            default="auto",
            optional=True,
            tooltip="auto is AAC, in webm Opus; flac and pcm lose nothing (16 bits).",
        ),
        io.Int.Input(
            "bitrate",
            default=0,
            min=0,
            max=512,
            optional=True,
            tooltip="Of AAC and Opus in kbit/s; 0 for one that suits.",
        ),
        io.Boolean.Input(
            "trim_to_audio",
            default=False,
            optional=True,
            tooltip="End the picture with the sound. Off keeps the whole picture.",
        ),
        io.Int.Input(
            "crf",
            default=19,
            min=0,
            max=51,
            optional=True,
            tooltip="Quality of pictures that are encoded: lower is better and larger.",
        ),
        io.Combo.Input(
            "pix_fmt",
            options=list(PIX_FMTS),
            default=PIX_FMTS[0],
            optional=True,
            tooltip=(
                "Pixel format of pictures that are encoded; yuv420p plays everywhere, yuv420p10le "
                "has finer steps, yuv444p sharper colours."
            ),
        ),
    ]


def _fade(name: str, tooltip: str) -> io.Input:
    return io.Float.Input(
        name,
        default=0.0,
        min=0.0,
        max=_LONGEST_FADE,
        step=0.05,
        optional=True,
        tooltip=tooltip,
    )


def sound_options(settings: Mapping[str, Any]) -> AudioOptions:
    """What the inputs say of the sound."""
    loudness = settings.get("loudness", "off")
    if loudness not in LOUDNESS:  # ComfyUI 0.3 lets any value of a combo through
        raise MediaError(
            f"loudness {loudness} was got, expected one of {', '.join(LOUDNESS)}: choose one of "
            "them"
        )
    given = {key: settings[key] for key in ("gain_db", "fade_in", "fade_out") if key in settings}
    return AudioOptions(
        original=settings.get("original_audio", ORIGINALS[0]), loudness=LOUDNESS[loudness], **given
    )


def file_options(settings: Mapping[str, Any], metadata: Mapping[str, str]) -> FileOptions:
    """What the inputs say of the file."""
    names = ("container", "audio_codec", "bitrate", "trim_to_audio", "crf", "pix_fmt")
    given = {key: settings[key] for key in names if key in settings}
    return FileOptions(metadata=metadata, **given)


def workflow_metadata(prompt: Any, extra_pnginfo: Mapping[str, Any] | None) -> dict[str, str]:
    """The graph, as ComfyUI's SaveVideo writes it into its files."""
    if args.disable_metadata:
        return {}
    told = dict(extra_pnginfo or {})
    if prompt is not None:
        told["prompt"] = prompt
    return {key: json.dumps(value) for key, value in told.items()}
