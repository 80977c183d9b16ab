"""MMAudioTrainingSet makes what ComfyUI's Train LoRA takes."""

from __future__ import annotations

import math

from .conftest import Inside

ALONE, SEEN = [False, False, True], [True, True, True]


def test_a_folder_becomes_examples(inside: Inside) -> None:
    found = inside("training_set")("folder")
    assert found["folders"] == ["steps"]
    assert found["shapes"] == [[1, 1, 32, 20]] * 6  # 2 copies of 3 pieces of a second
    assert found["kinds"] == [ALONE, SEEN, SEEN] * 2
    assert found["dropped"] == [ALONE] * 6
    assert found["without text"] == [[*kind[:2], False] for kind in found["kinds"]]
    assert found["held out"] == ["wood_02.mkv"]
    assert found["same"]
    assert found["on disk"] > 20
    assert found["preview"] == [1, (34 + 66 + 96) + 8, 4 * (256 + 8) + 8, 3]
    # three films with four frames each, of which the first are dark
    assert found["colorful"] > 3 * 4 * 64 * 64 / (204 * 1064) / 2
    assert found["colorful, sounds alone"] == 0
    left_out = (
        "bell.flac: the same sound as again.flac",
        "broken.mp4: cannot be opened as video or sound",
        "mute.mkv: holds no sound track",
    )
    for told, start in zip(found["notices"], left_out, strict=True):
        assert told.startswith(start)
        assert f"Left out: {start}" in found["report"]
    assert "Learned: 3 pieces (3 s, 2 with a picture) of 2 recordings." in found["report"]
    assert "Held out: wood_02.mkv at 0 s: wood" in found["report"]
    assert "not for commercial use" in found["report"]


def test_lists_of_videos_and_sounds(inside: Inside) -> None:
    found = inside("training_set")("lists")
    assert found["kinds"] == [SEEN, SEEN, SEEN, ALONE, ALONE]
    assert found["captions"] == ["one", "one", "two", "three", "four"]
    assert "no recording is held out" in found["notices"][0]
    said = found["said"]
    assert "got 3 captions for 2 videos and sounds" in said["captions"]
    assert "leads out of it" in said["folder"] and "leads out of it" in said["absolute"]
    assert "sound 1 at 0 s: silent" in said["nothing"]
    assert said["seconds"].startswith("piece_seconds: got 20.0")
    assert "an overlap of 1 s for pieces of 1 s" in said["overlap"]
    assert "beginning of the caption only: sound 1 and 1 more" in found["long"][1]
    assert "Note: sound 1: " in found["report of long"]
    assert "Left out" not in found["report of long"]
    assert "thunder " * 40 not in found["report of long"]


def test_comfyuis_trainer_takes_them(inside: Inside) -> None:
    found = inside("training_set")("training")
    assert {"plain", "checkpointing, bf16", "batch of 2", "one example"} <= set(found)
    for name, result in found.items():
        assert result["changed"] and all(math.isfinite(x) for x in result["losses"]), name
    plain, other = found["plain"]["losses"], found["checkpointing, bf16"]["losses"]
    assert abs(other[0] / plain[0] - 1) < 0.02


def test_every_layout_and_precision_is_trained(inside: Inside) -> None:
    """The three layouts of the five variants; fp8 weights in the way that the version has."""
    found = inside("training_set")("variants")
    assert len(found) == 9
    for name, result in found.items():
        assert all(math.isfinite(x) for x in result["losses"]), name
        assert result["changed"] > 30 and result["known"] > 50, (name, result)
