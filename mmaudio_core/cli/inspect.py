"""``mmaudio inspect``: what a weights file is, what a video holds."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..batch.inputs import open_video
from ..batch.item import file_name, is_url
from ..checkpoint import Part, identify
from ..checkpoint.catalog import variant_of
from ..checkpoint.kinds import PartKind
from ..checkpoint.lora.describe import describe_lora
from ..checkpoint.scan import ENDINGS
from ..errors import CheckpointError, MMAudioError
from ..media import VideoFile, open_source
from .exit_codes import DONE, SOME_FAILED
from .output import as_json, write_line


def inspect(arguments: argparse.Namespace) -> int:
    """Tell of each file; returns the exit code."""
    code = DONE
    for name in arguments.files:
        try:
            facts = describe_file(name)
        except MMAudioError as error:
            facts = {"file": name, "error": str(error)}
            code = SOME_FAILED
        write_line(as_json(facts) if arguments.json else _as_text(facts))
    return code


def describe_file(name: str) -> dict[str, Any]:
    """What a file holds, as JSON.

    Raises:
        MMAudioError: it is neither weights nor a video.
    """
    if os.path.splitext(file_name(name))[1].lower() in ENDINGS:
        if is_url(name):
            raise MMAudioError(f"'{name}' is a URL; expected weights on a disk: download them")
        return {"file": name, **_weights(Path(name))}
    return {"file": name, "kind": "video", **_video(name)}


def _weights(path: Path) -> dict[str, Any]:
    try:
        parts = identify(path)
    except CheckpointError:
        if path.is_file() and (lora := describe_lora(path)) is not None:
            return {"kind": "lora", **asdict(lora)}
        raise
    return {"kind": "weights", "networks": [_network(part) for part in parts]}


def _network(part: Part) -> dict[str, Any]:
    values = sum(_count(shape) for shape in part.shapes.values())
    return {
        "network": part.kind.value,
        "description": part.looks_like,
        "variant": variant_of(part) if part.kind is PartKind.FLOW else None,
        "dtype": str(part.dtype).removeprefix("torch."),
        "parameters": values,
        "synthetic": part.synthetic is not None,
    }


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count


def _video(name: str) -> dict[str, Any]:
    source = open_source(open_video(name))
    image = source.still_image
    if image is not None:
        return {"width": image.shape[1], "height": image.shape[0], "still": True}
    info = source.info
    rate = info.frame_rate
    facts: dict[str, Any] = {
        "duration": round(float(info.duration), 3),
        "width": info.width,
        "height": info.height,
        "frame_rate": None if rate is None else round(float(rate), 3),
        "codec": info.codec,
        "bit_depth": info.bit_depth,
    }
    if isinstance(source, VideoFile):
        facts["tracks"] = _tracks(source)
    return facts


def _tracks(source: VideoFile) -> list[dict[str, Any]]:
    """Every track of a file, as its header tells."""
    tracks: list[dict[str, Any]] = []
    with source.open() as (container, picture):
        for stream in container.streams:
            context: Any = getattr(stream, "codec_context", None)
            facts: dict[str, Any] = {
                "index": stream.index,
                "type": stream.type,
                "codec": getattr(context, "name", None),
            }
            if stream.type == "audio" and context is not None:
                facts |= {"sample_rate": context.sample_rate, "channels": context.channels}
            if stream.language not in (None, "und"):
                facts["language"] = stream.language
            if stream.index == picture.index:
                facts["used"] = True
            tracks.append(facts)
    return tracks


def _as_text(facts: dict[str, Any]) -> str:
    name = facts["file"]
    if "error" in facts:
        return f"{name}: {facts['error']}"
    if facts["kind"] == "lora":
        return f"{name}: {_lora_text(facts)}"
    if facts["kind"] == "weights":
        return "\n".join([f"{name}:", *(f"  {_network_text(n)}" for n in facts["networks"])])
    size = f"{facts['width']}x{facts['height']}"
    if facts.get("still"):
        return f"{name}: a still picture, {size}"
    rate = facts["frame_rate"]
    parts = [f"{facts['duration']:g} s", size, facts["codec"], f"{facts['bit_depth']} bits"]
    if rate is not None:
        parts.insert(2, f"{rate:g} frames per second")
    lines = [f"{name}: a video, {', '.join(parts)}"]
    for track in facts.get("tracks", ()):
        known = [track["type"], track["codec"] or "unknown codec"]
        if "sample_rate" in track:
            known += [f"{track['sample_rate']} Hz", f"{track['channels']} channels"]
        if "language" in track:
            known.append(track["language"])
        lines.append(f"  track {track['index']}: {', '.join(known)}")
    return "\n".join(lines)


def _lora_text(lora: dict[str, Any]) -> str:
    ranks = " and ".join(map(str, lora["ranks"]))
    text = (
        f"a LoRA of rank {ranks} for {lora['modules']} of a network's matrices, "
        f"{_count_text(lora['values'])} in {' and '.join(lora['dtypes'])}"
    )
    if lora["trained_for"]:
        steps = "" if lora["steps"] is None else f" in {lora['steps']} steps"
        text += f", trained for {lora['trained_for']}{steps}"
    return f"{text}; it fits {', '.join(lora['fits']) or 'no published variant: ' + lora['misfit']}"


def _count_text(count: int) -> str:
    return f"{count / 1e6:.1f} million values" if count >= 1e5 else f"{count} values"


def _network_text(network: dict[str, Any]) -> str:
    variant = f", {network['variant']}" if network["variant"] else ""
    made_up = ", synthetic weights: the sound is noise" if network["synthetic"] else ""
    values = _count_text(network["parameters"])
    return f"{network['description']}{variant}, {values} in {network['dtype']}{made_up}"
