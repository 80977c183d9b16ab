"""Manifests, and what folders and patterns stand for."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from mmaudio_core.batch.expand import expand
from mmaudio_core.batch.item import Item
from mmaudio_core.batch.manifest import ManifestError, read_manifest
from mmaudio_core.batch.options import OPTIONS, ItemOptions
from mmaudio_core.errors import MMAudioError

DEFAULTS = ItemOptions(steps=9, prompt="rain")


def read(*lines: object, folder: str = "") -> list[Item]:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return read_manifest(text, "list.jsonl", DEFAULTS, folder)


def test_a_line_is_an_item() -> None:
    items = read(
        {"video": "day1/clip.mp4"},
        "",
        {"video": "/films/clip.mp4", "prompt": "", "seed": 7, "duration": 2.4},
        {"video": "s3://bucket/a/clip2.mov?x=1", "takes": 2},
        {"out": "wind.flac", "prompt": "wind", "duration": 3},
        {"video": "day1/clip.mp4", "out": "again/clip.mkv", "loudness": -14},
        folder="/data",
    )
    assert [one.line for one in items] == [1, 3, 4, 5, 6]
    assert [one.video for one in items] == [
        "/data/day1/clip.mp4",
        "/films/clip.mp4",
        "s3://bucket/a/clip2.mov?x=1",
        None,
        "/data/day1/clip.mp4",
    ]
    assert [one.out for one in items] == ["day1/clip", "clip", "clip2", "wind", "again/clip"]
    assert items[0].options is DEFAULTS
    assert items[1].options == replace(DEFAULTS, prompt="", seed=7, duration=Fraction(12, 5))
    assert items[3].options.sound_format == "flac"
    assert items[4].options == replace(DEFAULTS, container="mkv", loudness=-14.0)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"video": "a.mp4", "promt": "x"}, 'no key "promt"; the nearest is "prompt"'),
        ({"video": "a.mp4", "model": "x"}, '"model" is for the whole run, expected as --model'),
        ({"video": "a.mp4", "steps": "9"}, '"steps" is a str (9), expected a whole number'),
        ({"video": "a.mp4", "steps": True}, '"steps" is True, expected a whole number'),
        ({"video": "a.mp4", "steps": 0}, '"steps" is 0, expected a whole number from 1'),
        ({"video": "a.mp4", "audio_only": 1}, '"audio_only" is 1, expected true or false'),
        ({"video": "a.mp4", "container": "avi"}, "expected one of auto, mp4"),
        ({"video": "a.mp4", "out": "../b"}, "expected one below the folder of results"),
        ({"video": "a.mp4", "out": "/b"}, "expected one below the folder of results"),
        ({"video": "a.mp4", "out": ".mmaudio/b"}, "where a run keeps its records"),
        ({"video": "a.mp4", "out": "b.mp4", "container": "mkv"}, '"out" ends in .mp4'),
        ({"video": "a.mp4", "audio_only": True, "container": "mp4"}, "for sound alone"),
        ({"video": 5}, '"video" is 5, expected text'),
        ({"out": "b"}, 'expected a "duration"'),
        ({"prompt": "x", "duration": 2}, "expected a name for the result"),
        ([1], "got a list"),
        ("{video: 1}", "got what is no JSON (column 2"),
        ('{"video": "a.mp4", "video": "b.mp4"}', 'got "video" twice'),
        ('{"video": "a.mp4", "cfg": NaN}', "got NaN"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(line: object, told: str) -> None:
    with pytest.raises(ManifestError) as raised:
        read({"video": "fine.mp4"}, line)
    assert "list.jsonl, line 2: " in str(raised.value)
    assert told in str(raised.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ManifestError) as raised:
        read(*({"video": f"{n}.mp4", "x": 1, "steps": 0} for n in range(30)))
    lines = str(raised.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "... and 10 more"
    assert "no key" in lines[0] and '"steps" is 0' in lines[0]
    with pytest.raises(ManifestError, match="holds no line"):
        read("", "  ")


@pytest.mark.parametrize(
    "lines",
    [
        [{"video": "a.mp4"}, {"video": "a.mov"}],
        [{"video": "a.mp4"}, {"video": "A.mp4"}],
        [{"video": "/x/a.mp4"}, {"video": "/y/a.mp4"}],
        [{"video": "a.mp4", "takes": 2}, {"video": "b.mp4", "out": "a_take1"}],
    ],
)
def test_two_results_of_one_name_are_refused(lines: list[object]) -> None:
    with pytest.raises(ManifestError) as raised:
        read(*lines)
    assert "line 1: " in str(raised.value) and "line 2: " in str(raised.value)
    assert "would both be written to" in str(raised.value)


def test_every_option_can_be_read() -> None:
    assert set(OPTIONS) == set(vars(ItemOptions()))
    for name, option in OPTIONS.items():
        value = getattr(ItemOptions(), name)
        value = float(value) if isinstance(value, Fraction) else value
        assert option.read(value) == value


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def outs(source: str, results: Path | None = None) -> list[str]:
    return [one.out for one in expand([source], DEFAULTS, results)]


def test_a_folder_is_searched_but_not_for_results(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "a/b.MOV", "a.b.webm", ".hidden/c.mp4", ".d.mp4", "notes.txt")
    touch(tmp_path, "out/b.mp4", "out/b.json")
    assert outs(str(tmp_path), tmp_path / "out") == ["a.b", "a/b", "b"]
    assert outs(str(tmp_path / "*.mp4")) == ["b"]
    assert outs(str(tmp_path / "**" / "*.mp4"), tmp_path / "out") == ["b"]
    assert outs(str(tmp_path / "a" / "b.MOV")) == ["b"]
    (tmp_path / "list.jsonl").write_text('{"video": "a/b.MOV"}\n', encoding="utf-8-sig")
    found = expand([str(tmp_path / "list.jsonl")], DEFAULTS, None)
    assert (found[0].video, found[0].out) == (str(tmp_path / "a" / "b.MOV"), "a/b")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    for source, told in (
        (tmp_path / "none.mp4", "does not exist"),
        (tmp_path, "found no video"),
        (tmp_path / "*.mp4", "found no video"),
        (tmp_path / "none.jsonl", "cannot be read"),
    ):
        with pytest.raises(MMAudioError, match=told):
            outs(str(source))


def test_a_result_never_takes_the_place_of_a_video(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    with pytest.raises(MMAudioError, match="under the same name"):
        outs(str(tmp_path / "a.mp4"), tmp_path)
    assert outs(str(tmp_path / "a.mp4"), tmp_path / "out") == ["a"]
