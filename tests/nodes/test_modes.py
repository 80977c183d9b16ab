"""Sound from text, an image, images and videos, in a real ComfyUI."""

from __future__ import annotations

import numpy as np
import pytest

from dev.server import ComfyServer
from tests.nodes.graphs import (
    MODEL,
    RATE,
    Graph,
    Inputs,
    generate,
    node,
    notices,
    run,
    same,
    saved,
    sound,
)

V2, V2_RATE = "large_44k_v2", 44_100
WHOLE = {"duration": 0.0}


@pytest.fixture(scope="module")
def whole(comfy: ComfyServer, clip: str) -> np.ndarray:
    """The sound of the whole clip."""
    return generate(comfy, sound(video=clip, extract=WHOLE))[0]


def frames(clip: str, first: int = 0, count: int = 50) -> Graph:
    """Nodes ``images``, ``count`` of the clip from ``first`` on, and ``parts``, with their rate."""
    return {
        "file": node("LoadVideo", file=clip),
        "parts": node("GetVideoComponents", video=["file", 0]),
        "images": node("ImageFromBatch", image=["parts", 0], batch_index=first, length=count),
    }


def from_images(clip: str, extract: Inputs, first: int = 0, count: int = 50) -> Graph:
    """The sound of ``frames``."""
    seen: Inputs = {"images": ["images", 0], "frame_rate": ["parts", 2]}
    return sound(extract={**WHOLE, **seen, **extract}) | frames(clip, first, count)


@pytest.mark.parametrize(
    ("model", "rate", "seconds"), [(MODEL, RATE, 0.64), (MODEL, RATE, 9.28), (V2, V2_RATE, 1.003)]
)
def test_text_to_audio(comfy: ComfyServer, model: str, rate: int, seconds: float) -> None:
    graph = sound(load={"model": model}, extract={"duration": seconds})
    (take,) = generate(comfy, graph)
    assert len(take) == round(seconds * rate)
    assert float(np.abs(take).std()) > 0.01


def test_prompts_change_the_sound(comfy: ComfyServer) -> None:
    rain, sea, no_sea = (
        generate(comfy, sound(extract=extract))[0]
        for extract in ({}, {"prompt": "sea"}, {"negative_prompt": "sea"})
    )
    assert not same(rain, sea) and not same(rain, no_sea)


def test_prompts_over_time(comfy: ComfyServer) -> None:
    """Another prompt from the middle on; the same one throughout changes nothing."""

    def with_schedule(schedule: str) -> np.ndarray:
        inputs = {"mmaudio": ["load", 0], "features": ["extract", 0], "schedule": schedule}
        graph = sound(
            extract={"duration": 4.0},
            sample={"features": ["schedule", 0]},
            schedule=node("MMAudioPromptSchedule", **inputs),
        )
        return generate(comfy, graph)[0]

    (rain,) = generate(comfy, sound(extract={"duration": 4.0}))
    assert same(with_schedule("0-2: rain | 2-4: rain"), rain)
    mixed = with_schedule("2-4: thunder --no music")
    early, late = slice(RATE), slice(-RATE, None)
    change = [float(np.abs(mixed[part] - rain[part]).mean()) for part in (early, late)]
    assert change[1] > 3 * change[0], change  # the VAE's attention lets a little through


def test_an_image_to_audio(comfy: ComfyServer, clip: str) -> None:
    """Of the requested duration; an image has no sync features, so masking CLIP leaves the text."""
    (seen,) = generate(comfy, from_images(clip, {"duration": 3.0}, count=1))
    (masked,) = generate(
        comfy, from_images(clip, {"duration": 3.0, "mask_away_clip": True}, count=1)
    )
    (text,) = generate(comfy, sound(extract={"duration": 3.0}))
    assert len(seen) == 3 * RATE
    assert not same(seen, text) and same(masked, text)


def test_images_are_a_video_at_their_frame_rate(
    comfy: ComfyServer, clip: str, whole: np.ndarray
) -> None:
    assert same(generate(comfy, from_images(clip, {}))[0], whole)
    (slow,) = generate(comfy, from_images(clip, {"frame_rate": 12.5}))
    assert len(slow) == 4 * RATE
    (ntsc,) = generate(comfy, from_images(clip, {"frame_rate": 29.97}))
    assert len(ntsc) == round(50 * 1001 / 30_000 * RATE)


def test_a_video_made_of_images(comfy: ComfyServer, clip: str, whole: np.ndarray) -> None:
    made = node("CreateVideo", images=["images", 0], fps=25.0)
    graph = sound(extract=WHOLE | {"video": ["made", 0]}, made=made) | frames(clip)
    assert same(generate(comfy, graph)[0], whole)


def test_a_videos_own_sound_is_ignored(
    comfy: ComfyServer, clip_with_sound: str, whole: np.ndarray
) -> None:
    assert same(generate(comfy, sound(video=clip_with_sound, extract=WHOLE))[0], whole)


def test_start_offset(comfy: ComfyServer, clip: str) -> None:
    """The second half by start_offset is the second half as images."""
    (late,) = generate(comfy, sound(video=clip, extract=WHOLE | {"start_offset": 1.0}))
    (early,) = generate(comfy, sound(video=clip, extract={"duration": 1.0}))
    assert len(late) == len(early) == RATE
    assert not same(late, early)
    assert same(late, generate(comfy, from_images(clip, {}, first=25, count=25))[0])


def test_mask_away_clip(comfy: ComfyServer, clip: str, whole: np.ndarray) -> None:
    (masked,) = generate(comfy, sound(video=clip, extract=WHOLE | {"mask_away_clip": True}))
    (text,) = generate(comfy, sound(extract={"duration": 2.0}))
    assert not same(masked, whole) and not same(masked, text)


def test_a_duration_past_the_end_is_cut_and_noted(
    comfy: ComfyServer, clip: str, whole: np.ndarray
) -> None:
    logged = len(comfy.log_text())
    result = run(comfy, saved(sound(video=clip, extract={"duration": 8.0}, sample={"seed": 77})))
    words = notices(result)["extract"]
    assert "2.00 s long" in words and "not 8 s" in words
    assert words in comfy.log_text()[logged:]
    (cut,) = generate(comfy, sound(video=clip, extract={"duration": 8.0}))
    assert same(cut, whole)


def test_nothing_is_noted_if_nothing_is_cut(comfy: ComfyServer, clip: str) -> None:
    graph = sound(video=clip, extract={"duration": 1.5}, load={"precision": "auto"})
    noted = notices(run(comfy, saved(graph)))
    assert set(noted) == {"load"}
    assert "synthetic weights" in noted["load"] and "noise" in noted["load"]


@pytest.fixture(scope="module")
def singles(comfy: ComfyServer, clip: str) -> dict[int, np.ndarray]:
    """Single runs by seed."""
    seeds = (2**64 - 1, 0, 1, 5, 6)
    return {
        seed: generate(comfy, sound(video=clip, sample={"seed": seed, "steps": 3}))[0]
        for seed in seeds
    }


@pytest.mark.parametrize(("seed", "takes"), [(2**64 - 1, 3), (5, 2)])
def test_take_k_is_a_single_run_of_seed_plus_k(
    comfy: ComfyServer, clip: str, singles: dict[int, np.ndarray], seed: int, takes: int
) -> None:
    """After the last seed comes 0."""
    sample = {"seed": seed, "steps": 3, "num_samples": takes}
    got = generate(comfy, sound(video=clip, sample=sample))
    assert len(got) == takes
    for k, take in enumerate(got):
        assert same(take, singles[(seed + k) % 2**64])
    assert not same(got[0], got[1])


def test_below_one_there_is_no_guidance(comfy: ComfyServer) -> None:
    none, some, one, guided = (
        generate(comfy, sound(sample={"cfg": cfg, "steps": 3}))[0] for cfg in (0.0, 0.5, 1.0, 4.5)
    )
    assert same(none, some) and same(none, one) and not same(none, guided)
    words = {"negative_prompt": "sea"}
    (other,) = generate(comfy, sound(extract=words, sample={"cfg": 0.5, "steps": 3}))
    assert same(none, other)
