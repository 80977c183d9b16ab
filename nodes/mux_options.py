"""The sound and file options of MuxAudioVideo as inputs, and the graph as the file's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from comfy.cli_args import args
from comfy_api.latest import io

from ..mmaudio_core.mux import AudioOptions, FileOptions, options
from .inputs import ADVANCED

AUDIO, FILE = AudioOptions(), FileOptions()  # the defaults
OFF = "off"
LOUDNESS: dict[str, float | None] = {
    OFF: None,
    "-14 LUFS": -14.0,
    "-16 LUFS": -16.0,
    "-23 LUFS": -23.0,
}


def option_inputs() -> list[io.Input]:
    """All optional and folded away; their defaults change nothing."""
    return [
        io.Combo.Input(
            "original_audio",
            options=list(options.SOURCE_AUDIO_MODES),
            default=AUDIO.source_audio,
            optional=True,
            tooltip=(
                "The video's own sound: replace drops it, mix adds the new sound to it, duck also "
                "lowers it under the new sound, keep_as_track keeps it as further tracks."
            ),
            extra_dict=ADVANCED,
        ),
        io.Float.Input(
            "gain_db",
            default=AUDIO.gain_db,
            min=options.GAIN_DB.min,
            max=options.GAIN_DB.max,
            step=0.5,
            optional=True,
            tooltip="Gain of the new sound in decibels.",
            extra_dict=ADVANCED,
        ),
        _fade("fade_in", "Seconds over which the new sound fades in."),
        _fade("fade_out", "Seconds over which the new sound fades out at its end."),
        io.Combo.Input(
            "loudness",
            options=list(LOUDNESS),
            default=OFF,
            optional=True,
            tooltip=(
                "Target loudness (BS.1770) of the result, with true peaks below -1 dB: -14 as "
                "streaming services play, -16 for podcasts, -23 for European television."
            ),
            extra_dict=ADVANCED,
        ),
        io.Combo.Input(
            "container",
            options=list(options.CONTAINERS),
            default=FILE.container,
            optional=True,
            tooltip=(
                "File format. auto is the first of mp4, mov and mkv that can hold picture and "
                "sound. If a chosen container cannot hold the picture's codec, the picture is "
                "encoded again."
            ),
            extra_dict=ADVANCED,
        ),
        io.Combo.Input(
            "audio_codec",
            options=list(options.AUDIO_CODECS),
            default=FILE.audio_codec,
            optional=True,
            tooltip="auto is AAC, in webm Opus. flac and pcm are lossless (16 bits).",
            extra_dict=ADVANCED,
        ),
        io.Int.Input(
            "bitrate",
            default=FILE.bitrate,
            min=options.BITRATE_KBPS.min,
            max=options.BITRATE_KBPS.max,
            optional=True,
            tooltip="Of AAC and Opus, in kbit/s. 0: a suitable one.",
            extra_dict=ADVANCED,
        ),
        io.Boolean.Input(
            "trim_to_audio",
            default=FILE.trim_to_audio,
            optional=True,
            tooltip="End the picture with the sound. Off: keep the whole picture.",
            extra_dict=ADVANCED,
        ),
        io.Int.Input(
            "crf",
            default=FILE.crf,
            min=options.CRF.min,
            max=options.CRF.max,
            optional=True,
            tooltip="Quality of an encoded picture: lower is better and larger.",
            extra_dict=ADVANCED,
        ),
        io.Combo.Input(
            "pix_fmt",
            options=list(options.PIX_FMTS),
            default=FILE.pix_fmt,
            optional=True,
            tooltip=(
                "Pixel format of an encoded picture: yuv420p plays everywhere, yuv420p10le has "
                "finer gradations and keeps HDR, yuv444p sharper colors. auto: yuv420p, with 10 "
                "bits for a video of 10 or more."
            ),
            extra_dict=ADVANCED,
        ),
    ]


def keep_metadata_input() -> io.Input:
    """Behind all other inputs: saved graphs hold values by their place."""
    return io.Boolean.Input(
        "keep_metadata",
        default=FILE.keep_metadata,
        optional=True,
        tooltip=(
            "Keep the video's own title and other tags, location, chapters, timecode, data and "
            "cover picture. Off: leave them out, for privacy."
        ),
        extra_dict=ADVANCED,
    )


def _fade(name: str, tooltip: str) -> io.Input:
    return io.Float.Input(
        name,
        default=0.0,
        min=options.FADE_SECONDS.min,
        max=options.FADE_SECONDS.max,
        step=0.05,
        optional=True,
        tooltip=tooltip,
        extra_dict=ADVANCED,
    )


def writes_workflow() -> bool:
    """Whether graphs go into files; not with ComfyUI's ``--disable-metadata``."""
    return not args.disable_metadata


def workflow_metadata(prompt: Any, extra_pnginfo: Mapping[str, Any] | None) -> dict[str, str]:
    """The graph, as ComfyUI's SaveVideo writes it into its files."""
    if not writes_workflow():
        return {}
    entries = dict(extra_pnginfo or {})
    if prompt is not None:
        entries["prompt"] = prompt
    return {key: json.dumps(value) for key, value in entries.items()}
