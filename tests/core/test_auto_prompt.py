"""A prompt of what CLIP sees: the template, and the way from a video's frames to it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.errors import MediaError
from mmaudio_core.feature_cache import FeatureCache
from mmaudio_core.features.auto_prompt import write_prompt
from mmaudio_core.features.clip_frames import read_clip_frames
from mmaudio_core.features.labels import Label
from mmaudio_core.features.visual import TimeRange, VideoClip, extract_visual_features
from mmaudio_core.features.zero_shot import ScoredLabel, encode_labels, score_labels
from mmaudio_core.media import ImageSequence, VideoFile
from mmaudio_core.media.source import Frame
from mmaudio_core.models.clip import CLIP
from mmaudio_core.models.clip.tokenizer import tokenize
from mmaudio_core.providers import LoadedModel
from tests.core.made_videos import steady, write_video
from tests.core.small import MemoryNetworks
from tests.golden_files import relative_error

RANKED = [ScoredLabel("rain", 0.5), ScoredLabel("wind", 0.3), ScoredLabel("cow", 0.04)]
TWO_SECONDS = TimeRange(duration=Fraction(2))


@pytest.mark.parametrize(
    ("top_k", "threshold", "template", "prompt"),
    [
        (3, 0.05, "{labels}", "rain, wind"),
        (3, 0.0, "{labels}", "rain, wind, cow"),
        (1, 0.0, "{labels}", "rain"),
        (5, 0.3, "{pace}: {labels} ", "slow, few cuts: rain, wind"),
        (3, 0.0, "the sound of {labels}; {labels}, {other} {", "the sound of {l}; {l}, {other} {"),
        (3, 0.9, "{pace}", "slow, few cuts"),
        (3, 0.0, "", ""),
    ],
)
def test_templates(top_k: int, threshold: float, template: str, prompt: str) -> None:
    made = write_prompt(
        RANKED, "slow, few cuts", top_k=top_k, threshold=threshold, template=template
    )
    assert made.prompt == prompt.replace("{l}", "rain, wind, cow")
    assert made.labels == tuple(RANKED[:top_k])
    assert made.notices == ()


def test_no_label_is_good_enough() -> None:
    made = write_prompt(RANKED, "still", top_k=2, threshold=0.6, template="a {labels}")
    assert made.prompt == "a"
    assert made.notices == ('no label reaches the threshold of 0.6; the best is "rain" with 0.50',)


class ColorCLIP(nn.Module):
    """Sees the color of a picture and reads the name of a color."""

    def interruptible_modules(self) -> list[nn.Module]:
        return []

    def encode_image(self, frames: Tensor, *, dtype: torch.dtype) -> Tensor:
        return F.normalize(frames.to(dtype).mean(dim=(2, 3)), dim=-1)

    def pooled_text(self, tokens: Tensor, *, dtype: torch.dtype) -> Tensor:
        names = tokenize(["red", "green", "blue"])[:, 1]
        return (tokens[:, :, None] == names).any(dim=1).to(dtype)


def test_a_video_of_two_colors() -> None:
    """A quarter of it is blue, the rest red: a known answer, on a network whose sight is known."""
    frames = torch.zeros(16, 32, 32, 3)
    frames[:12, ..., 0] = frames[12:, ..., 2] = 1
    clip = VideoClip(source=ImageSequence(images=frames, frame_rate=Fraction(8)))
    model = LoadedModel(
        network=ColorCLIP(), device=torch.device("cpu"), dtype=torch.float32, name="colors"
    )
    networks = MemoryNetworks(placed={PartKind.CLIP: model})
    labels = [
        Label(section="a", sentence=f"a photo of {color}", said=said)
        for color, said in (("green", "frogs"), ("blue", "waves"), ("red", "fire"))
    ]
    seen = read_clip_frames(networks, clip, TWO_SECONDS)
    ranked = score_labels(seen.features, labels, encode_labels(networks, labels))
    assert ranked[:2] == [("fire", pytest.approx(0.75)), ("waves", pytest.approx(0.25))]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_video(path, steady(60, 25))
    return path


PLACED = MemoryNetworks().placed


@pytest.fixture
def networks() -> MemoryNetworks:
    return MemoryNetworks(placed=PLACED, feature_cache=FeatureCache())


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch, networks: MemoryNetworks) -> list[int]:
    """Frames of each run of CLIP."""
    clip = networks.acquire(PartKind.CLIP, 0).network
    assert isinstance(clip, CLIP)
    original, ran = clip.encode_image, list[int]()

    def spy(frames: Tensor, *, dtype: torch.dtype) -> Tensor:
        ran.append(len(frames))
        return original(frames, dtype=dtype)

    monkeypatch.setattr(clip, "encode_image", spy)
    return ran


@pytest.mark.parametrize("start", ["0", "0.3"])
@pytest.mark.parametrize("first", ["prompt", "features"])
def test_frames_are_encoded_once_whoever_comes_first(
    networks: MemoryNetworks, encoded: list[int], film: Path, first: str, start: str
) -> None:
    clip = VideoClip(source=film)
    part = TimeRange(duration=Fraction(2), start=Fraction(start))
    if first == "prompt":
        read_clip_frames(networks, clip, part)
        assert sum(encoded) == 16
    features = extract_visual_features(networks, clip, part).features
    assert sum(encoded) == 16
    seen = read_clip_frames(networks, clip, part)
    assert sum(encoded) == 16
    assert features.clip is not None and torch.equal(seen.features, features.clip[0])
    assert seen.steps.shape == (15,)


def test_a_file_is_decoded_once(
    networks: MemoryNetworks, encoded: list[int], film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, given = VideoFile.frames, list[Fraction]()

    def spy(file: VideoFile, start: Fraction = Fraction(0)) -> Iterator[Frame]:
        for frame in original(file, start):
            given.append(frame.time)
            yield frame

    monkeypatch.setattr(VideoFile, "frames", spy)
    clip = VideoClip(source=film)
    first = read_clip_frames(networks, clip, TWO_SECONDS)
    decoded = len(given)
    assert decoded >= 50
    again = read_clip_frames(networks, clip, TWO_SECONDS)
    assert len(given) == decoded and sum(encoded) == 16
    assert torch.equal(again.features, first.features) and torch.equal(again.steps, first.steps)
    read_clip_frames(networks, clip, TimeRange(duration=Fraction(1)))
    assert len(given) > decoded and sum(encoded) == 16


def test_without_a_cache_it_works_too(film: Path) -> None:
    bare = MemoryNetworks(placed=PLACED)
    seen = [read_clip_frames(bare, VideoClip(source=film), TWO_SECONDS) for _ in range(2)]
    assert relative_error(seen[1].features, seen[0].features) < 1e-6


def test_a_still_image(networks: MemoryNetworks) -> None:
    image = torch.rand(1, 40, 60, 3, generator=torch.Generator().manual_seed(0))
    clip = VideoClip(source=ImageSequence(images=image, frame_rate=Fraction(25)))
    seen = read_clip_frames(networks, clip, TWO_SECONDS)
    features = extract_visual_features(networks, clip, TWO_SECONDS).features
    assert features.clip is not None and torch.equal(seen.features, features.clip[0])
    assert seen.steps.shape == (0,)


def test_a_start_past_the_end(networks: MemoryNetworks, film: Path) -> None:
    with pytest.raises(MediaError, match="at or past the end"):
        read_clip_frames(networks, VideoClip(source=film), TimeRange(start=Fraction(3)))
