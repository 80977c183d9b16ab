"""Manifests, and what folders and patterns stand for."""

from __future__ import annotations

import json
import os
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
        ({"video": "a.mp4", "steps": "9"}, '"steps" is "9", expected a whole number'),
        ({"video": "a.mp4", "steps": True}, '"steps" is true, expected a whole number'),
        ({"video": "a.mp4", "steps": 0}, '"steps" is 0, expected a whole number from 1'),
        ({"video": "a.mp4", "audio_only": 1}, '"audio_only" is 1, expected true or false'),
        ({"video": "a.mp4", "container": "avi"}, "expected one of auto, mp4"),
        ({"video": "a.mp4", "out": "../b"}, "expected one below the folder of results"),
        ({"video": "a.mp4", "out": "/b"}, "expected one below the folder of results"),
        ({"video": "a.mp4", "out": ".mmaudio/b"}, "where a run keeps its records"),
        ({"video": "a.mp4", "out": "b.mp4", "container": "mkv"}, '"out" ends in .mp4'),
        ({"video": "a.mp4", "audio_only": True, "container": "mp4"}, "for sound alone"),
        ({"video": 5}, '"video" is 5, expected a path or URL'),
        ({"out": "b"}, 'expected a "duration"'),
        ({"prompt": "x", "duration": 2}, "expected a name for the result"),
        ([1], "got a list"),
        ("{video: 1}", "got what is no JSON (column 2"),
        ('{"video": "a.mp4", "video": "b.mp4"}', 'got "video" twice'),
        ('{"video": "a.mp4", "cfg": NaN}', "got NaN"),
        (f'{{"video": "a.mp4", "seed": {"9" * 5000}}}', "expected "),
        ({"video": "a.mp4", "x" * 200_000: 1}, f'no key "{"x" * 59}...; the nearest is'),
        ({"video": "a.mp4", "modle": "x"}, 'no key "modle"; the nearest is "model"'),
        ({"video": "."}, '"." gives the result no name, expected "out"'),
        ({"video": "../.."}, "gives the result no name"),
        ({"video": "a\0.mp4"}, "expected a path or URL"),
        pytest.param(
            {"video": "a.mp4", "out": "\ud800"},
            "expected a name",
            marks=pytest.mark.skipif(os.name == "nt", reason="Windows can store such a name"),
        ),
        ({"video": "a.mp4", "out": ".MMAudio/b"}, "where a run keeps its records"),
        ({"video": "a.mp4", "out": "b.wav"}, "expected one that ends in .mp4"),
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
        [{"video": "\u00e9.mp4"}, {"video": "e\u0301.mp4"}],
        [{"video": "/x/a.mp4"}, {"video": "/y/a.mp4"}],
        [{"video": "a.mp4", "takes": 2}, {"video": "b.mp4", "out": "a_take1"}],
    ],
)
def test_two_results_of_one_name_are_refused(lines: list[object]) -> None:
    with pytest.raises(ManifestError) as raised:
        read(*lines)
    assert "line 1: " in str(raised.value) and "line 2: " in str(raised.value)
    assert "would both be written to" in str(raised.value)


def test_all_results_of_one_name_are_told_at_once() -> None:
    with pytest.raises(ManifestError) as raised:
        read(*({"video": f"{n}.{end}"} for n in range(30) for end in ("mp4", "mov")))
    lines = str(raised.value).splitlines()
    assert "0.mp4 and line 2: 0.mov would both be written to '0'" in lines[0]
    assert (len(lines), lines[20]) == (22, "... and 10 more")


def test_a_name_leaves_room_for_take_and_suffix() -> None:
    """File systems take 255 bytes."""
    read({"video": "a.mp4", "out": "é" * 120})
    with pytest.raises(ManifestError, match="242 bytes, expected at most 240"):
        read({"video": f"{'é' * 121}.mp4"})


def test_lines_end_where_json_cannot_go_on() -> None:
    """JSON holds other separators as they are."""
    prompt = "rain\u2028and\x85wind"
    line = json.dumps({"video": "a.mp4", "prompt": prompt}, ensure_ascii=False)
    items = read(f"{line}\r", "", line.replace("a.mp4", "b.mp4"))
    assert [(one.line, one.options.prompt) for one in items] == [(1, prompt), (3, prompt)]


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


def test_folders_are_searched_wherever_the_results_go(tmp_path: Path) -> None:
    """Results beside the inputs' folder, or above it, leave nothing out."""
    touch(tmp_path, "in/a.mp4", "in/day1/b.mp4", "in/out/day1/b.mp4")
    for results in (tmp_path, tmp_path / "elsewhere"):
        assert outs(str(tmp_path / "in"), results) == ["a", "day1/b", "out/day1/b"]
    assert outs(str(tmp_path / "in" / "*.mp4"), tmp_path) == ["a"]
    assert outs(str(tmp_path / "in"), tmp_path / "in" / "out") == ["a", "day1/b"]
    assert outs(str(tmp_path / "in" / "**" / "*.mp4"), tmp_path / "in" / "out") == ["a", "day1/b"]


@pytest.mark.skipif(os.name == "nt", reason="links need a permission on Windows")
def test_what_links_lead_to_is_found_once(tmp_path: Path) -> None:
    touch(tmp_path, "in/day2/b.mp4", "in/z.mp4", "away/c.mp4", "away/day3/d.mp4")
    for link, target in (("loop", "."), ("day1", "day2"), ("far", "../away"), ("near", "far")):
        (tmp_path / "in" / link).symlink_to(target)
    (tmp_path / "away" / "back").symlink_to("../in")
    expected = ["day2/b", "far/c", "far/day3/d", "z"]
    assert outs(str(tmp_path / "in")) == expected
    assert outs(str(tmp_path / "in" / "**" / "*.mp4")) == expected
    assert outs(str(tmp_path / "in" / "day*" / "*.mp4")) == ["day1/b"]
    (tmp_path / "self.mp4").symlink_to("self.mp4")
    assert outs(str(tmp_path / "*.mp4"), tmp_path / "out") == ["self"]


def test_a_folder_that_cannot_be_listed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, "a.mp4", "locked/b.mp4")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert outs(str(tmp_path)) == ["a"]
    assert "locked' is left out: it cannot be listed (Permission denied)" in caplog.text


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_manifest_in_another_encoding_is_told(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "list.jsonl").write_text('{"video": "\u00e9.mp4"}', encoding=encoding)
    with pytest.raises(MMAudioError, match=r"no UTF-8 text .* Save it as UTF-8"):
        outs(str(tmp_path / "list.jsonl"))


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
