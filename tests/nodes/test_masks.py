"""Masks over the picture, WebP, and VideoHelperSuite's info, through a real ComfyUI."""

from __future__ import annotations

import av
import numpy as np
import pytest
from PIL import Image

from dev.server import ComfyServer
from mmaudio_core.media import open_source
from tests.core.made_videos import numbered
from tests.nodes.counting import work
from tests.nodes.graphs import (
    Graph,
    Inputs,
    failure,
    generate,
    muxed,
    node,
    notices,
    paths,
    run,
    same,
    saved,
    sound,
)


def masked(clip: str, value: float, count: int = 1, **extract: object) -> Graph:
    """The sound of a clip behind ``count`` masks, all white (1) or black (0)."""
    inputs: Inputs = {"duration": 1.0, "mask": ["masks", 0], **extract}
    return sound(video=clip, extract=inputs) | {
        "mask": node("SolidMask", value=value, width=32, height=16),
        "picture": node("MaskToImage", mask=["mask", 0]),
        "pictures": node("RepeatImageBatch", image=["picture", 0], amount=count),
        "masks": node("ImageToMask", image=["pictures", 0], channel="red"),
    }


def test_white_keeps_and_black_hides(comfy: ComfyServer, clip: str) -> None:
    (plain,) = generate(comfy, sound(video=clip, extract={"duration": 1.0}))
    (white,) = generate(comfy, masked(clip, 1.0))
    (black,) = generate(comfy, masked(clip, 0.0))
    assert same(plain, white) and not same(plain, black)


def test_another_mask_encodes_only_the_picture_again(comfy: ComfyServer, clip: str) -> None:
    work(comfy, saved(masked(clip, 0.25)))
    again = work(comfy, saved(masked(clip, 0.75)))
    assert again.frames and again.segments and not again.prompts
    once_more = work(comfy, saved(masked(clip, 0.25)))
    assert once_more.encoded == (0, 0, 0)


def test_another_number_of_masks_than_frames_is_noted(comfy: ComfyServer, clip: str) -> None:
    assert "extract" not in notices(run(comfy, saved(masked(clip, 0.5, count=50))))
    notice = notices(run(comfy, saved(masked(clip, 0.5, count=7))))["extract"]
    assert "got 7 masks for the video's 50 frames" in notice


def test_a_mask_alone_is_refused(comfy: ComfyServer, clip: str) -> None:
    graph = masked(clip, 1.0)
    del graph["extract"]["inputs"]["video"]
    assert "a mask is connected, but no picture" in failure(comfy, saved(graph))


def test_images_with_the_info_of_video_helper_suite(comfy: ComfyServer, clip: str) -> None:
    def graph(**extract: object) -> Graph:
        return sound(extract={"duration": 0.0, "images": ["parts", 0], **extract}) | {
            "file": node("LoadVideo", file=clip),
            "parts": node("GetVideoComponents", video=["file", 0]),
        }

    (slow,) = generate(comfy, graph(frame_rate=12.5))
    for info in ({"loaded_fps": 12.5, "source_fps": 25}, {"source_fps": 12.5}):
        (take,) = generate(comfy, graph(video_info=info))
        assert same(take, slow)
    message = failure(comfy, saved(graph(video_info={"loaded_fps": 0})))
    assert "got video_info without a frame rate ({'loaded_fps': 0}), expected" in message


def test_the_muxer_takes_the_info_too(comfy: ComfyServer, clip: str) -> None:
    graph = {
        "file": node("LoadVideo", file=clip),
        "parts": node("GetVideoComponents", video=["file", 0]),
        "sound": node("EmptyAudio", duration=1.0, sample_rate=16_000, channels=1),
        "mux": node(
            "MuxAudioVideo",
            audio=["sound", 0],
            filename_prefix="test/video",
            images=["parts", 0],
            video_info={"loaded_fps": 12.5},
        ),
    }
    (path,) = paths(comfy, run(comfy, graph))
    with av.open(path) as container:
        assert container.streams.video[0].average_rate == 12.5
        assert sum(1 for _ in container.decode(video=0)) == 50


@pytest.mark.parametrize("count", [1, 20])
def test_webp(comfy: ComfyServer, count: int) -> None:
    """An animation is a video, a still one is an image."""
    frames = [Image.fromarray(numbered(n)) for n in range(count)]
    path = comfy.input / f"{count}.webp"
    frames[0].save(path, save_all=count > 1, append_images=frames[1:], duration=50, lossless=True)
    graph = sound(video=path.name, extract={"duration": 0.8})
    (take,) = generate(comfy, graph)
    (text,) = generate(comfy, sound(extract={"duration": 0.8}))
    assert len(take) == len(text) and not same(take, text)
    assert np.isfinite(take).all()
    (written,) = paths(comfy, run(comfy, muxed(graph, video=["video", 0])))
    seconds = open_source(written).info.duration
    assert seconds == 1 if count > 1 else 0.75 < seconds < 0.85
